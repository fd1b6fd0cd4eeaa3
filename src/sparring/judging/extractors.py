"""Feature extractors: what turns examples into the numbers that two sets are compared by.

An extractor says its name (with the hash of its weights) and how it resizes: both stand in the protocol of every number.
Which one: "pixels" for points and tiny pictures, "judge" for pictures like the run's own, "inception" for numbers beside
published ones, a file for all else.
"""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from sparring.core.data import Data
from sparring.core.errors import UserError

N = TypeVar("N", bound=nn.Module)
Device = str | torch.device
"""where to compute: "cpu", "cuda", ..."""


class Features(NamedTuple):
    """What an extractor makes of examples, float32."""

    features: Tensor
    """N x d"""
    logits: Tensor | None = None
    """N x classes, where the extractor is a classifier"""


class Extractor(ABC):
    """Turns examples into features; frozen, in evaluation mode, float32."""

    name: str = ""
    """stands in the protocol: what it is, with the first digits of the hash of its weights"""
    resize: str = "none"
    """how pictures are brought to its size"""
    classes: int = 0
    """columns of the logits; 0: it gives none"""
    device: torch.device = torch.device("cpu")

    @abstractmethod
    def features(self, examples: Tensor) -> Features:
        """The features of examples that are float32 and on the extractor's device already."""

    def __call__(self, examples: Tensor) -> Features:
        """The features of N x ... examples in [-1, 1] (N x C x H x W for pictures), on the extractor's device.

        Raises:
            UserError: the extractor cannot take such examples, or gives something that is no features.
        """
        with torch.no_grad(), _exactly(self.device):
            found = self.features(examples.to(self.device, torch.float32))
        self._check(found.features, len(examples), "features")
        if found.logits is not None:
            self._check(found.logits, len(examples), "logits")
        return found

    def _check(self, given: object, count: int, what: str) -> None:
        if not isinstance(given, Tensor) or not given.is_floating_point():
            raise UserError(f"{self.name}: gives {type(given).__name__} for {what}, not a tensor of float numbers")
        if given.dim() != 2 or len(given) != count or not given.shape[1]:
            shape = " x ".join(map(str, given.shape))
            raise UserError(f"{self.name}: gives {what} of shape {shape} for {count} examples, not {count} x d")


@contextlib.contextmanager
def _exactly(device: torch.device) -> Iterator[None]:
    """Full float32, whatever the caller runs in: no autocast, no shortened factors in products or convolutions."""
    before = torch.get_float32_matmul_precision()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.autocast(device.type, enabled=False))
        if before != "highest":
            torch.set_float32_matmul_precision("highest")
            stack.callback(torch.set_float32_matmul_precision, before)
        if device.type == "cuda":
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        yield


class Pixels(Extractor):
    """The numbers themselves, one after another: for points, and for pictures that are tiny."""

    name = "pixels"

    def features(self, examples: Tensor) -> Features:
        return Features(examples.flatten(1))


def stream(extractor: Extractor, examples: Tensor | Iterable[Tensor], batch: int = 100) -> Iterator[Features]:
    """Features batch by batch, in host memory: never more than one batch is held.

    Args:
        extractor: makes them.
        examples: N x ... in [-1, 1], or an iterable of such batches.
        batch: most that go through the extractor at a time.
    """
    for part in [examples] if isinstance(examples, Tensor) else examples:
        for piece in part.split(batch):
            found = extractor(piece)
            yield Features(found.features.cpu(), None if found.logits is None else found.logits.cpu())


def extract(extractor: Extractor, examples: Tensor | Iterable[Tensor], batch: int = 100) -> Features:
    """Features of all examples at once, in host memory; arguments as for `stream`.

    Raises:
        UserError: there are no examples.
    """
    found = list(stream(extractor, examples, batch))
    if not found:
        raise UserError(f"{extractor.name}: there are no examples to look at")
    logits = [part.logits for part in found if part.logits is not None]
    return Features(torch.cat([part.features for part in found]), torch.cat(logits) if logits else None)


def as_channels(images: Tensor, channels: int, whose: str) -> Tensor:
    """N x C x H x W with the channels that an extractor wants: grey is repeated, anything else must fit.

    Raises:
        UserError: it does not.
    """
    if images.dim() != 4:
        raise UserError(f"{whose}: looks at pictures, N x C x H x W, not at {images.dim()} dimensions; try pixels")
    if not channels or images.shape[1] == channels:
        return images
    if images.shape[1] == 1:
        return images.expand(-1, channels, -1, -1)
    raise UserError(f"{whose}: takes pictures of {channels} channels; these have {images.shape[1]}")


def channels_last(network: N) -> N:
    """The same network, its kernels laid out as processors and graphics cards are quickest with."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def file_digest(path: Path, limit: int) -> str:
    """The sha256 of a file, hexadecimal.

    Raises:
        UserError: it is missing, cannot be read, or is larger than `limit` bytes.
    """
    try:
        size = path.stat().st_size
        if size > limit:
            raise UserError(f"{path}: {size:,} bytes; an extractor has at most {limit:,}")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None


def named(text: str, data: Data, size: int = 0, device: Device = "cpu") -> Extractor:
    """The extractor that `--extractor TEXT` means.

    Args:
        text: pixels; judge (the one kept for this data); inception (its weights are fetched on first use); or a file:
            .onnx, .pt (TorchScript), .safetensors (a judge), .pth (Inception's weights).
        data: what the run learns from; decides which judge.
        size: side of the pictures that a .pt or .onnx file wants, if it does not say so itself; 0: as they come.
        device: where it computes.

    Raises:
        UserError: there is no such extractor or file, or no judge is kept for this data.
    """
    if text == "pixels":
        return Pixels()
    if text == "judge":
        return _kept_judge(data, device)
    if text == "inception":
        from sparring.judging.inception import Inception

        return Inception(device=device)
    return _from_file(Path(text).expanduser(), size, device)


def _kept_judge(data: Data, device: Device) -> Extractor:
    from sparring.data.images import Images
    from sparring.judging import judge

    if not isinstance(data, Images):
        raise UserError(f"a judge looks at pictures; for {data.source!r} use the extractor pixels")
    found = judge.find(data, device)
    if found is None:
        shape = data.resolved()
        command = (
            f"sparring judge train --data {shlex.quote(data.source)} --size {shape.size} --channels {shape.channels}"
        )
        fit = "" if data.fit == "crop" else f" --fit {data.fit}"
        raise UserError(f"no judge is kept for this data; train one with `{command}{fit}`")
    return found


def _from_file(path: Path, size: int, device: Device) -> Extractor:
    from sparring.judging.inception import Inception
    from sparring.judging.judge import load
    from sparring.judging.own import Onnx, Scripted

    if not path.is_file():
        known = "pixels, judge, inception, or a .onnx, .pt, .pth or .safetensors file"
        raise UserError(f"no extractor {str(path)!r}: it is {known}")
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return Onnx(path, size, device)
    if suffix == ".pt":
        return Scripted(path, size, device=device)
    if suffix == ".pth":
        return Inception(path, device)
    if suffix == ".safetensors":
        return load(path, device)
    raise UserError(
        f"{path}: not an extractor; known are .onnx, .pt (TorchScript), .safetensors (a judge), .pth (Inception's weights)"
    )
