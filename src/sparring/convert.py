"""Weights that others have trained, in the layouts in which people have them, made into models of ours.

Files are read as tensors and never run. What a file holds is compared, name by name and shape by shape, with what its layout
has.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from sparring import catalogue
from sparring.core.config import Config
from sparring.core.errors import UserError

LIMIT = 2**31
"""bytes: no file of generator weights is larger"""
WRAPPERS = ("params_ema", "params", "state_dict", "model", "netG", "generator")
"""names under which weights are found a level deeper"""
State = dict[str, Tensor]
Names = dict[str, str]
"""our name of each weight, and the file's"""


@dataclass(frozen=True)
class Layout:
    """What a file was found to hold."""

    config: Config
    names: tuple[Names, ...]
    """for each file"""
    absent: tuple[str, ...] = ()
    """weights of ours that the original does without: gains are one and biases zero"""
    idle: frozenset[str] = frozenset()
    """the file's weights that make no difference: biases before a normalisation"""


def convert(files: list[Path], method: str, out: Path) -> Path:
    """Make a model of files of weights.

    Args:
        files: one for each network: for cyclegan, that of one direction, or those of both, there and back.
        method: whose networks they are: cyclegan, pix2pix or srgan.
        out: folder of the run, or a .safetensors file.

    Returns:
        the model's file.

    Raises:
        UserError: no such method or file, a file that is no plain dictionary of tensors, or one that holds something else than
            the method's original networks.
    """
    if method not in LAYOUTS:
        raise UserError(f"--as {method}: weights of {', '.join(LAYOUTS)} can be read")
    if not files:
        raise UserError("name a file of weights to convert")
    path = out if out.suffix == ".safetensors" else out / "model.safetensors"
    if path.exists():
        raise UserError(f"{path} is there already; name another --out")
    states = [plain(read(file)) for file in files]
    layout = LAYOUTS[method](states, files)
    model = catalogue.find(method).load().Model(layout.config)
    wanted, found = model.state_dict(), State()
    for state, names, file in zip(states, layout.names, files):
        check(state, names, wanted, layout.idle, file)
        found |= {ours: state[theirs].to(wanted[ours].dtype) for ours, theirs in names.items()}
    found |= {name: torch.full_like(wanted[name], float(name.endswith(".weight"))) for name in layout.absent}
    missing = sorted(wanted.keys() - found.keys())
    assert not missing, missing
    model.load_state_dict(found)
    return model.save(path, converted=[file.name for file in files])


def read(path: Path) -> object:
    """What is in a .pth, .pt or .safetensors file, if it is nothing but tensors.

    Raises:
        UserError: there is no such file, it is too large, or it holds something else.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if size > LIMIT:
        raise UserError(f"{path}: {size:,} bytes are too many for weights of a generator")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old pickles, which are read all the same or refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0][:160]
        raise UserError(f"{path}: holds more than tensors, which is not run ({reason})") from None
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        EOFError,
        zipfile.BadZipFile,
        safetensors.SafetensorError,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UserError(f"{path}: not a readable file of weights ({reason})") from None


def plain(content: object) -> State:
    """The weights by name: a level deeper if need be, without the prefix that parallel training adds."""
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping):
        return {}
    held = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    while held and all(name.startswith("module.") for name in held):
        held = {name.removeprefix("module."): value for name, value in held.items()}
    return held


def check(state: State, names: Names, wanted: State, idle: frozenset[str], file: Path) -> None:
    """Compare what a file holds with what it should.

    Args:
        state: the file's weights.
        names: our name of each weight, and the file's.
        wanted: our weights.
        idle: the file's weights that make no difference.
        file: to name.

    Raises:
        UserError: a weight is missing, is of another shape, or is one too many; both are shown.
    """
    for ours, theirs in names.items():
        if theirs not in state:
            raise UserError(f"{file}: expected {theirs} of shape {shape(wanted[ours])}, found {_listed(state)}")
        if state[theirs].shape != wanted[ours].shape:
            raise UserError(f"{file}: expected {theirs} of shape {shape(wanted[ours])}, found {shape(state[theirs])}")
        if not torch.isfinite(state[theirs]).all():
            raise UserError(f"{file}: {theirs} is not finite")
    extra = sorted(name for name in state.keys() - set(names.values()) - idle if not _statistic(name))
    if extra:
        raise UserError(f"{file}: expected no {extra[0]} (found {shape(state[extra[0]])}): these are other networks")


def _statistic(name: str) -> bool:
    """Running statistics, which networks that normalise by each picture's own do not use."""
    return name.rpartition(".")[2] in {"running_mean", "running_var", "num_batches_tracked"}


def shape(value: Tensor) -> str:
    return " x ".join(map(str, value.shape)) or "a number"


def _listed(state: State) -> str:
    names = list(state)
    return f"{', '.join(names[:4])}{', ...' if len(names) > 4 else ''}" if names else "no tensors by name"


def _cyclegan(states: list[State], files: list[Path]) -> Layout:
    """`latest_net_G_A.pth` and the like: residual generators of any width and number of blocks."""
    if len(states) > 2:
        raise UserError(f"--as cyclegan takes one file, or two: there and back; these are {len(states)}")
    found = [_translator(state, file) for state, file in zip(states, files)]
    if found[1:] and found[0][0] != found[1][0]:
        raise UserError(f"{files[1]}: its network is not the size of that in {files[0]}")
    (channels, width, blocks), _ = found[0]
    names = tuple(
        {f"{network}.{ours}": theirs for ours, theirs in each.items()}
        for network, (_, each) in zip(("there", "home"), found)
    )
    from sparring.data.unpaired import Domains
    from sparring.methods.cyclegan import Config as Cycle

    data = Domains(size=256, channels=channels)
    return Layout(Cycle(data=data, width=width, blocks=blocks, two_way=len(states) == 2, ema=0.0), names)


def _translator(state: State, file: Path) -> tuple[tuple[int, int, int], Names]:
    first = _needed(state, "model.1.weight", 4, file)
    places = sorted({int(found[1]) for name in state if (found := re.match(r"model\.(\d+)\.conv_block\.", name))})
    if not places or places != list(range(10, 10 + len(places))):
        raise UserError(f"{file}: expected residual blocks named model.10.conv_block and so on, found {_listed(state)}")
    second = 6 if "model.10.conv_block.6.weight" in state else 5
    layers = {"first": 1, "halvings.0": 4, "halvings.1": 7}
    end = 10 + len(places)
    layers |= {"doublings.0": end, "doublings.1": end + 3, "last": end + 7}
    modules = {ours: f"model.{place}" for ours, place in layers.items()}
    for number, place in enumerate(places):
        modules[f"blocks.{number}.first"] = f"model.{place}.conv_block.1"
        modules[f"blocks.{number}.second"] = f"model.{place}.conv_block.{second}"
    return (first.shape[1], first.shape[0], len(places)), _with_biases(modules)


def _with_biases(modules: Names) -> Names:
    return {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in modules.items() for kind in ("weight", "bias")}


def _pix2pix(states: list[State], files: list[Path]) -> Layout:
    """`latest_net_G.pth` and the like: U-Nets with batch norm or instance norm."""
    if len(states) != 1:
        raise UserError(f"--as pix2pix takes one file; these are {len(states)}")
    (state,), (file,) = states, files
    first = _needed(state, "model.model.0.weight", 4, file)
    levels = max(
        (name.count("model.") - 1 for name in state if re.fullmatch(r"(model\.)+\d\.weight", _flat(name))), default=0
    )
    if not 5 <= levels <= 10:
        raise UserError(
            f"{file}: expected a U-Net of 5 to 10 levels, nested as model.model.1.model. ..., found {_listed(state)}"
        )
    names, absent, idle = _unet(state, levels)
    last = _needed(state, "model.model.3.weight", 4, file)
    from sparring.data.paired import Pairs
    from sparring.methods.pix2pix import Config as Pix

    data = Pairs(size=2**levels, channels=first.shape[1], target_channels=last.shape[1])
    config = Pix(data=data, width=first.shape[0], ema=0.0)
    return Layout(config, ({f"generator.{ours}": theirs for ours, theirs in names.items()},),
                  tuple(f"generator.{name}" for name in absent), idle)  # fmt: skip


def _flat(name: str) -> str:
    """A nested name without the places at which levels are nested."""
    return re.sub(r"model\.[13]\.(?=model\.)", "model.", name)


def _unet(state: State, levels: int) -> tuple[Names, list[str], frozenset[str]]:
    """Our names and the file's; what the file does without; what it has to no effect."""
    prefix, modules, optional = "model.model", {}, []
    for level in range(levels):
        outermost, innermost = level == 0, level == levels - 1
        down, up = ("0", "3") if outermost else ("1", "3" if innermost else "5")
        modules[f"halvings.{level}.weight"] = f"{prefix}.{down}.weight"
        if outermost or innermost:
            optional.append((f"halvings.{level}.bias", f"{prefix}.{down}.bias"))
        modules[f"doublings.{levels - 1 - level}.weight"] = f"{prefix}.{up}.weight"
        if outermost:
            modules[f"doublings.{levels - 1}.bias"] = f"{prefix}.{up}.bias"
        else:
            norm = f"{prefix}.{'4' if innermost else '6'}"
            optional += [(f"up_norms.{levels - 1 - level}.{kind}", f"{norm}.{kind}") for kind in ("weight", "bias")]
            if not innermost:
                optional += [(f"norms.{level - 1}.{kind}", f"{prefix}.2.{kind}") for kind in ("weight", "bias")]
        prefix += ".1.model" if outermost else ".3.model"
    names = dict(modules) | {ours: theirs for ours, theirs in optional if theirs in state}
    biases = {theirs.replace(".weight", ".bias") for ours, theirs in modules.items() if ours.endswith(".weight")}
    return names, [ours for ours, theirs in optional if theirs not in state], frozenset(biases - set(names.values()))


def _srgan(states: list[State], files: list[Path]) -> Layout:
    """`MSRResNet_x4_f64b16_*.pth`, `RRDB_ESRGAN_x4.pth` and the like: BasicSR's networks, in its names or older ones."""
    if len(states) != 1:
        raise UserError(f"--as srgan takes one file; these are {len(states)}")
    (state,), (file,) = states, files
    dense = any(re.search(r"\.(RDB|rdb)1\.", name) for name in state)
    theirs = {renamed(name) if dense else name: name for name in state}
    first = _needed(state, theirs.get("conv_first.weight", "conv_first.weight"), 4, file)
    if first.shape[1] not in {1, 3}:
        raise UserError(
            f"{file}: expected conv_first.weight of 1 or 3 channels, found {shape(first)}: networks that fold their picture "
            "first, for x2 or x1, are not read"
        )
    blocks = len({name.split(".")[1] for name in theirs if name.startswith("body.")})
    from sparring.data.photos import Photos
    from sparring.methods.srgan import Config as Sharper

    data = Photos(size=96, channels=first.shape[1])
    config = Sharper(
        data=data,
        network="rrdb" if dense else "msr",
        scale=4 if dense or "upconv2.weight" in state else 2,
        blocks=blocks,
        width=first.shape[0],
        ema=0.0,
    )
    own = [name.removeprefix("generator.") for name in catalogue.find("srgan").load().Model(config).state_dict()]
    return Layout(config, ({f"generator.{name}": theirs.get(name, name) for name in own},))


OLDER = (
    (r"model\.0\.", "conv_first."), (r"model\.1\.sub\.(\d+)\.RDB", r"body.\1.rdb"), (r"model\.1\.sub\.\d+\.", "conv_body."),
    (r"model\.3\.", "conv_up1."), (r"model\.6\.", "conv_up2."), (r"model\.8\.", "conv_hr."), (r"model\.10\.", "conv_last."),
    (r"RRDB_trunk\.(\d+)\.RDB", r"body.\1.rdb"), (r"trunk_conv\.", "conv_body."), (r"upconv(\d)\.", r"conv_up\1."),
    (r"HRconv\.", "conv_hr."),
)  # fmt: skip
"""beginnings of names in ESRGAN's own two layouts, and what BasicSR calls the same"""


def renamed(name: str) -> str:
    """A weight of ESRGAN's generator as BasicSR calls it; other names as they are."""
    for older, newer in OLDER:
        if found := re.match(older, name):
            rest = name[found.end() :]
            return found.expand(newer) + (re.sub(r"^(\d\.conv\d)\.0\.", r"\1.", rest) if "rdb" in newer else rest)
    return name


def _needed(state: State, name: str, dimensions: int, file: Path) -> Tensor:
    if name not in state or state[name].dim() != dimensions:
        raise UserError(f"{file}: expected {name}, a convolution's weight, found {_listed(state)}")
    return state[name]


LAYOUTS: dict[str, Callable[[list[State], list[Path]], Layout]] = {
    "cyclegan": _cyclegan, "pix2pix": _pix2pix, "srgan": _srgan,
}  # fmt: skip
