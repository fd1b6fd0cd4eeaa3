"""Features of real examples, made once: the real side of a comparison does not change from run to run."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from sparring.core.checkpoint import write_atomic
from sparring.data.cache import cache_folder
from sparring.judging.extractors import Extractor, extract
from sparring.metrics.statistics import Moments

KEPT_BYTES = 2**28


@dataclass(frozen=True)
class Remembered:
    """Features of real examples, and what follows from them."""

    features: Tensor
    """n x d, float32"""

    @cached_property
    def moments(self) -> Moments:
        return self.moments_of(self.features)

    @staticmethod
    def moments_of(features: Tensor) -> Moments:
        return Moments.of(features)


def real_features(extractor: Extractor, examples: Tensor, fingerprint: str, batch: int, seed: int) -> Remembered:
    """The features of these examples, from the cache where they have been made before.

    Args:
        extractor: makes them; pixels are not kept.
        examples: N x ..., the choice that the seed makes from the data.
        fingerprint: of the data.
        batch: examples at a time.
        seed: of the choice.
    """
    if extractor.name == "pixels":
        return Remembered(extract(extractor, examples, batch).features)
    path = _place(extractor, examples, fingerprint, seed)
    if path.is_file():
        try:
            return Remembered(load_file(path)["features"])
        except (SafetensorError, KeyError, OSError) as error:
            warnings.warn(f"{path}: damaged, made anew ({error})", stacklevel=2)
    features = extract(extractor, examples, batch).features
    if features.numel() * 4 <= KEPT_BYTES:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, save({"features": features.float().contiguous()}))
    return Remembered(features)


def _place(extractor: Extractor, examples: Tensor, fingerprint: str, seed: int) -> Path:
    key = repr((extractor.name, extractor.resize, fingerprint, tuple(examples.shape), seed, torch.__version__))
    return cache_folder("statistics") / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.safetensors"
