"""The independent classifiers of the rows: `sparring judge train --data mnist`, say, trained on first use and kept."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from torch import Tensor

from results.real import place
from sparring.data.images import Images
from sparring.judging import judge
from sparring.judging.extractors import extract
from sparring.judging.judge import Judge
from sparring.judging.samples import read
from sparring.metrics.frechet import frechet


@cache
def judge_of(source: str, size: int = 0) -> Judge:
    """The judge of a known set, at its own size or another, trained on its training images on first use and kept."""
    data = Images(source, size=size).resolved()
    found = judge.find(data)
    if found is None:
        found = judge.train(data, show=True)
        judge.keep(found)
    return found


def judge_of_pictures(pictures: np.ndarray, folder: Path) -> Judge:
    """A judge that learns how these pictures were turned: for sets without labels. Kept like the others.

    Args:
        pictures: uint8 N x H x W x C.
        folder: where they are put for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "judged.npy"
    np.save(path, pictures)
    data = Images(str(path), size=pictures.shape[1], channels=pictures.shape[3])
    found = judge.find(data)
    if found is None:
        found = judge.train(data, labels=False, show=True)
        judge.keep(found)
    return found


KINDS = {
    "portraits": "faces/portraits-96.zip/colour",
    "lorelei": "faces/cartoon-faces-96.zip/lorelei",
    "adventurer": "faces/cartoon-faces-96.zip/adventurer",
    "noto": "paired/emoji-noto-twemoji-72.zip/noto",
    "twemoji": "paired/emoji-noto-twemoji-72.zip/twemoji",
    "photos": "photos/bsds500-256.zip/train",
    "cubism": "paintings/paintings-by-style-256.zip/cubism",
    "impressionism": "paintings/paintings-by-style-256.zip/impressionism",
    "japonism": "paintings/paintings-by-style-256.zip/japonism",
    "naturalism": "paintings/paintings-by-style-256.zip/naturalism",
    "rococo": "paintings/paintings-by-style-256.zip/rococo",
}
MOST = 1300
"""pictures of each kind, before they are mirrored"""
SIDE = 64


@cache
def judge_of_kinds() -> Judge:
    """A judge that has learned to tell eleven kinds of pictures: faces, drawn faces, emoji, photos, paintings of five styles.

    Every picture is also shown to it mirrored: so its accuracy is on mirror images of what it has learned.
    """
    found, names = [], []
    for name, source in KINDS.items():
        images = Images(place(source), size=SIDE, channels=3).open().images
        images = images[:: -(-len(images) // MOST)]
        found += [images, images[:, :, ::-1]]
        names += [name] * (2 * len(images))
    path = Path("build/results/kinds.npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, images=np.concatenate(found), labels=np.array(names))
    return judge_of(str(path))


@cache
def digit_judge() -> tuple[Judge, float]:
    """The judge, and its accuracy on the 10,000 test digits, which it has never seen."""
    found = judge_of("mnist")
    images, labels = read(Images("digits").resolved().open(), 10_000, 0)
    assert labels is not None
    return found, (found.classify(images).argmax(1) == labels).float().mean().item()


def digit_report(images: Tensor) -> dict[str, float | str | list[float]]:
    """What the judge says of N pictures of digits: share that is sure, share of each digit, Fréchet distance."""
    expert, accuracy = digit_judge()
    sure, shares = judge.shares(expert.classify(images))
    real, _ = read(Images("mnist").resolved().open(), 10_000, 1)
    distance = frechet(extract(expert, real).features, extract(expert, images).features)
    return {
        "judge": expert.name,
        "judge_accuracy": round(accuracy, 4),
        "sure": round(sure, 4),
        "shares": [round(share, 4) for share in shares],
        "smallest_share": round(min(shares), 4),
        "digit_frechet": round(distance, 3),
    }
