"""Files that hold weights. Written whole or not at all; read without executing anything.

`game.pt` resumes a run (torch's zip format, read with `weights_only=True`); `model.safetensors` ships a model, its config
inside the file's metadata.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch
from torch.overrides import TorchFunctionMode

from sparring.core.config import to_json
from sparring.core.errors import UserError

if TYPE_CHECKING:
    from sparring.core.model import Model

FORMAT = 1


def write_atomic(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that a reader (also after a crash) finds the old content or the new, never a part."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def save_game(path: Path, state: dict[str, Any]) -> None:
    """Write a resumable checkpoint; the one before is kept as `*.previous.pt`."""
    content = io.BytesIO()
    torch.save({"format": FORMAT, **state}, content)
    fresh = path.with_suffix(".fresh.pt")
    write_atomic(fresh, content.getbuffer())
    if path.exists():
        path.replace(previous(path))
    fresh.replace(path)


def previous(path: Path) -> Path:
    return path.with_suffix(".previous.pt")


def load_game(path: Path) -> dict[str, Any]:
    """The newest whole checkpoint: `path`, or the one before it, with a warning, if that is damaged.

    Raises:
        UserError: neither can be read.
    """
    problems = []
    for candidate in (path, previous(path)):
        try:
            state = _read_game(candidate)
        except FileNotFoundError:
            continue
        except (OSError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
            problems.append(f"{candidate} is damaged ({str(error).splitlines()[0][:120]})")
            continue
        if problems:
            warnings.warn(f"{problems[0]}; going on from the checkpoint before it", stacklevel=2)
        return state
    raise UserError("; ".join(problems) or f"{path}: no checkpoint there")


def _read_game(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        if (broken := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"wrong checksum in {broken}")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError("not a checkpoint of this version")
    return state


def save_model(path: Path, model: Model, metadata: dict[str, Any]) -> Path:
    """Write weights with all that is needed to build the model again.

    Raises:
        UserError: a weight is not finite; such a model is never written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise UserError(f"{path}: not written, {name} is not finite")
    card = {
        "format": FORMAT,
        "method": type(model).__module__.rpartition(".")[2],
        "config": to_json(model.config),
        **metadata,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, safetensors.torch.save(tensors, metadata={"sparring": json.dumps(card)}))
    return path


def read_card(path: Path) -> dict[str, Any]:
    """What a model file says of itself: method, config, step, ...

    Raises:
        UserError: the file is missing, damaged, or not one of ours.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {})["sparring"])
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise UserError(f"{path}: not a model that sparring wrote ({type(error).__name__}: {error})") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT or not isinstance(card.get("method"), str):
        raise UserError(f"{path}: written by another version of sparring")
    return card


def load_weights(path: Path, build: type[Model], config: Any) -> Model:
    """Build the model and fill it with the file's weights.

    Shapes are compared before any memory is taken, so that a file cannot make us build what it does not hold.

    Raises:
        UserError: the weights do not fit the config.
    """
    with safetensors.safe_open(path, framework="pt") as file:
        held = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    with torch.device("meta"), _Undrawn():
        model = build(config)
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if held != wanted:
        names = sorted(name for name in held.keys() | wanted.keys() if held.get(name) != wanted.get(name))
        raise UserError(f"{path}: its weights do not fit its config ({', '.join(names[:3])}, ...)")
    # First weights, which would be overwritten at once, take longer to draw than a file takes to read.
    model = model.to_empty(device="cpu") if _all_kept(model) else build(config)
    model.load_state_dict(safetensors.torch.load_file(path))
    return model.eval().requires_grad_(False)


class _Undrawn(TorchFunctionMode):
    """Draws no first weights: where there is no memory, PyTorch loads its compiler for it, which takes a second."""

    DRAWS = frozenset(f"{kind}_" for kind in ("normal", "uniform", "trunc_normal", "orthogonal", "kaiming_uniform",
                                              "kaiming_normal", "xavier_uniform", "xavier_normal"))  # fmt: skip

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in self.DRAWS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _all_kept(model: Model) -> bool:
    """Whether every tensor of a model stands in its state: none is made anew when it is built."""
    known = set(model.state_dict())
    if any(name not in known for name, _ in model.named_buffers()):
        return False
    return not any(isinstance(value, torch.Tensor) for module in model.modules() for value in vars(module).values())
