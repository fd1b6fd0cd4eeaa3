"""Labels that a method learns from: are they all there, and which few of them may be known."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.data.images import Images, ImageSet
from sparring.data.sources import open_source


def require_labels(data: Images) -> None:
    """See that every image of a source has the label of a class; only its labels are read.

    Args:
        data: as `resolved`.

    Raises:
        UserError: an image has no label, or one beyond the named classes.
    """
    with closing(open_source(data.source)) as source:
        labels = source.labels
    missing = int((labels < 0).sum())
    if missing:
        raise UserError(
            f"--data {data.source}: {missing:,} of its {len(labels):,} images have no label, and this method needs one of "
            "each: a folder for each class, say, or a table with a column of labels"
        )
    _require_names(data, labels)


def _require_names(data: Images, labels: np.ndarray) -> None:
    highest = int(labels.max(initial=-1))
    if highest >= data.classes:
        raise UserError(
            f"--data.class-names names {data.classes} classes, numbered from 0, but {data.source} has the label {highest}"
        )


def few_labelled(data: Images, dataset: ImageSet, among: Tensor, count: int, seed: int) -> ImageSet:
    """A few labelled images of a data set, equally many of each class (or one more): the only labels that may be known.

    Args:
        data: config of the data set, as `resolved`.
        dataset: the data set.
        among: int64, the examples to choose from.
        count: images with a label; 0: all that have one.
        seed: of the choice.

    Raises:
        UserError: fewer than one label for each class is asked for, or more than there are.
    """
    labels = dataset.labels[among.numpy()]
    if not (labels >= 0).any():
        raise UserError(f"--data {data.source}: its images have no labels, and this method needs a few")
    _require_names(data, labels)
    if count and count < data.classes:
        raise UserError(
            f"--labelled is {count}; with {data.classes} classes it is at least {data.classes}, or 0 for all"
        )
    chance, chosen = torch.Generator().manual_seed(seed), []
    for label, name in enumerate(data.class_names):
        have = torch.from_numpy(np.flatnonzero(labels == label))
        wanted = count // data.classes + (label < count % data.classes) if count else len(have)
        if len(have) < wanted:
            raise UserError(
                f"--labelled {count} takes {wanted} of each class, but of {name!r} {len(have)} have a label"
            )
        chosen.append(have[torch.randperm(len(have), generator=chance)[:wanted]])
    rows = among[torch.cat(chosen)].numpy()
    return ImageSet(
        dataset.images[rows], dataset.labels[rows], list(dataset.class_names), dataset.fingerprint, dataset.flip
    )
