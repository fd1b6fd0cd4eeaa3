"""Extractors of the user's own: any module, a TorchScript file, an ONNX file.

Each takes N x C x H x W in [-1, 1] and gives N x d features, or a pair: features and N x classes logits.
"""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparring.core.errors import UserError
from sparring.judging.extractors import Device, Extractor, Features, as_channels, file_digest
from sparring.judging.resize import bicubic, eight_bit

LIMIT = 2**31
REACHES_OUT = re.compile(
    rb"\b(save|load|from_file|load_tensor)\s*\(|\btorch\.classes\.|\bops\.(?!prim\.|aten\.|quantized\.)"
)
"""what a TorchScript file could use to touch other files, or code that is not PyTorch's"""
OTHER_FILE = b"\x0a\x08location"
"""in an ONNX file: the key that names another file with the weights"""


class Own(Extractor):
    """A function of pictures that gives features, or features and logits.

    Args:
        name: of the extractor, for the protocol.
        size: side to which pictures are brought; 0: none.
        channels: to which grey pictures are repeated; 0: as they come.
        device: where to compute.
    """

    def __init__(self, name: str, size: int = 0, channels: int = 0, device: Device = "cpu"):
        self.name, self.size, self.channels, self.device = name, size, channels, torch.device(device)
        self.resize = f"{size} px antialiased bicubic, 8 bit" if size else "none"

    def features(self, examples: Tensor) -> Features:
        images = as_channels(examples, self.channels, self.name)
        if self.size:
            images = bicubic(eight_bit(images), self.size) / 127.5 - 1
        try:
            given = self.run(images)
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            shape = " x ".join(map(str, images.shape))
            reason = " ".join(str(error).split())[-200:]
            raise UserError(f"{self.name}: cannot look at pictures of {shape} ({reason})") from None
        pair = tuple(given) if isinstance(given, (tuple, list)) else (given, None)
        if not 1 <= len(pair) <= 2:
            raise UserError(f"{self.name}: gives {len(pair)} things; features, or features and logits, are wanted")
        features, logits = (*pair, None)[:2]
        return Features(_as_float(features), _as_float(logits))

    def run(self, images: Tensor) -> Any:
        """Features, or features and logits."""
        raise NotImplementedError


def _as_float(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value


class Module(Own):
    """Any `torch.nn.Module`; it is moved to the device and put into evaluation mode."""

    def __init__(
        self,
        module: nn.Module,
        name: str = "",
        size: int = 0,
        channels: int = 0,
        device: Device = "cpu",
    ):
        digest = hashlib.sha256()
        for key, value in module.state_dict().items():
            digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        super().__init__(
            f"user {name or type(module).__name__} sha256:{digest.hexdigest()[:8]}", size, channels, device
        )
        self.module = module.to(device).eval()

    def run(self, images: Tensor) -> Any:
        return self.module(images)


class Scripted(Own):
    """A TorchScript file, as `torch.jit.save` writes it.

    It holds a program in PyTorch's own small language, and no Python. One that would read or write other files, or use
    code beyond PyTorch's, is refused; still, it is a program, so take it from people whom you trust.
    """

    def __init__(self, path: Path, size: int = 0, channels: int = 0, device: Device = "cpu"):
        digest = file_digest(path, LIMIT)
        super().__init__(f"user {path.name} sha256:{digest[:8]}", size, channels, device)
        self.module = _read_script(path).to(device).eval()

    def run(self, images: Tensor) -> Any:
        return self.module(images)


def _read_script(path: Path) -> Any:
    advice = "save it with torch.jit.save(torch.jit.trace(module, example), path); pickled modules are never opened"
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if not any(member.filename.endswith("/constants.pkl") for member in members):
                raise UserError(f"{path}: not a TorchScript file; {advice}")
            if sum(member.file_size for member in members) > LIMIT:
                raise UserError(f"{path}: unpacks to more than {LIMIT:,} bytes")
            for member in members:
                # Each member, not each name: a name may stand in the archive twice.
                code = archive.read(member) if member.filename.lower().endswith(".py") else b""
                if (found := REACHES_OUT.search(code)) is not None:
                    raise UserError(f"{path}: uses {found[0].decode()!r}, which no extractor needs, so it is not run")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, and still how such files come
            return torch.jit.load(path, map_location="cpu")
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{path}: not a TorchScript file, or damaged ({reason}); {advice}") from None


class Onnx(Own):
    """An ONNX file of one input; its size and channels are read from the graph. Needs the extra `onnx`."""

    def __init__(self, path: Path, size: int = 0, device: Device = "cpu"):
        digest = file_digest(path, LIMIT)
        session = _open_session(path, torch.device(device))
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            kinds = ", ".join(f"{each.name}: {each.type} {each.shape}" for each in inputs)
            raise UserError(f"{path}: its input must be one float tensor, N x C x H x W; it takes {kinds}")
        count, channels, height, width = [side if isinstance(side, int) else 0 for side in inputs[0].shape]
        if height != width or (size and height and size != height):
            raise UserError(f"{path}: takes pictures of {height} x {width}, not square ones of {size or 'one size'}")
        super().__init__(f"user {path.name} sha256:{digest[:8]}", height or size, channels, device)
        self.session, self.input, self.count = session, inputs[0].name, count

    def run(self, images: Tensor) -> Any:
        # A graph that was exported for one batch size takes nothing else: the last batch is filled up.
        pieces = list(images.split(self.count)) if self.count else [images]
        found = [self._run_piece(piece) for piece in pieces]
        return tuple(torch.cat(parts)[: len(images)].to(images.device) for parts in zip(*found))

    def _run_piece(self, images: Tensor) -> list[Tensor]:
        lacking = max(self.count - len(images), 0)
        full = torch.cat([images, images[-1:].expand(lacking, -1, -1, -1)]) if lacking else images
        given = self._guarded(lambda: self.session.run(None, {self.input: full.cpu().contiguous().numpy()}))
        return [torch.from_numpy(each) for each in given]

    def _guarded(self, run: Callable[[], Any]) -> Any:
        try:
            return run()
        except Exception as error:  # onnxruntime's errors have no common ancestor but this
            raise RuntimeError(str(error)) from error


def _open_session(path: Path, device: torch.device) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"{path}: reading ONNX files needs the extra: pip install 'sparring[onnx]'") from None
    content = path.read_bytes()
    if OTHER_FILE in content:
        raise UserError(
            f"{path}: its weights are in another file, so its hash would say nothing; "
            "write it whole: torch.onnx.export(..., external_data=False)"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.log_severity_level = 3
    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    try:
        return onnxruntime.InferenceSession(content, options, providers=[*providers, "CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common ancestor but this
        raise UserError(f"{path}: not an ONNX file, or damaged ({' '.join(str(error).split())[:160]})") from None
