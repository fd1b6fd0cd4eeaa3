"""The extractor of published Fréchet inception distances: TensorFlow's Inception v3, fed by the clean protocol's resizing."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.data.cache import cache_folder
from sparring.data.download import fetch
from sparring.judging.extractors import Device, Extractor, Features, as_channels, channels_last, file_digest
from sparring.judging.resize import bicubic, eight_bit
from sparring.networks.inception import CLASSES, SIZE, InceptionV3

FILE = "pt_inception-2015-12-05-6726825d.pth"
URLS = (
    f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
)
DIGEST = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
BYTES = 95_628_359
LIMIT = 2**28


class Inception(Extractor):
    """2048 features and 1008 logits of pictures of any size, grey or colour."""

    resize = f"{SIZE} px antialiased bicubic, 8 bit"
    classes = CLASSES

    def __init__(self, path: Path | None = None, device: Device = "cpu", digest: str = DIGEST) -> None:
        """Read the weights, which must be the public ones.

        Args:
            path: the weight file; the cache's by default, fetched on first use (96 MB).
            device: where to compute.
            digest: the file's sha256.

        Raises:
            UserError: the file cannot be had, or is not what it should be.
        """
        self.device = torch.device(device)
        self.name = f"inception-v3-tf sha256:{digest[:8]}"
        self.network = channels_last(load_network(path or fetched(), digest).to(device))

    def features(self, examples: Tensor) -> Features:
        pictures = bicubic(eight_bit(examples), SIZE) if examples.dim() == 4 else examples
        pictures = as_channels(pictures, 3, self.name)
        seen = self.network(pictures.contiguous(memory_format=torch.channels_last))
        return Features(seen.features, seen.logits)


def fetched(urls: Sequence[str] = URLS, digest: str = DIGEST) -> Path:
    """The weight file in the cache, fetched if it is not there. Raises UserError, saying where to put it by hand."""
    path = cache_folder("judges") / FILE
    return path if path.is_file() else fetch(urls, path, f"sha256:{digest}", LIMIT)


def load_network(path: Path, digest: str = DIGEST) -> InceptionV3:
    """The network with the weights of a file. Nothing in the file is executed.

    Raises:
        UserError: the file is missing, is another (or half of) the file, or does not fit the network.
    """
    found = file_digest(path, LIMIT)
    if found != digest:
        raise UserError(
            f"{path}: not Inception's weights, or damaged: its sha256 begins with {found[:8]}, not {digest[:8]} "
            f"({path.stat().st_size:,} bytes; the right file has {BYTES:,}). Delete it and fetch it again from {URLS[0]}"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise UserError(f"{path}: cannot be read as weights ({_reason(error)}); fetch {URLS[0]}") from None
    with torch.device("meta"):
        network = InceptionV3()
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    held = {name: tuple(value.shape) for name, value in state.items()} if _is_state(state) else {}
    if held != wanted:
        names = sorted(str(name) for name in held.keys() | wanted.keys() if held.get(name) != wanted.get(name))
        raise UserError(f"{path}: its weights do not fit Inception ({', '.join(names[:3])}, ...); fetch {URLS[0]}")
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _is_state(state: object) -> bool:
    return isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values())
