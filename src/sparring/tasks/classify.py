"""Classify: tell which of several classes an image belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from sparring.core import Image, Model, UserError, verb
from sparring.core.media import fit, grid

CHUNK = 512
"""images classified at a time, so that any count fits the memory"""


class Classified(NamedTuple):
    """Images and what they were taken for."""

    picture: Image
    """the images as the classifier sees them"""
    label: list[str]
    """name of the likeliest class of each"""
    probability: Tensor
    """N x classes"""


class Mistakes(NamedTuple):
    """What a classifier gets wrong."""

    picture: Image
    """images that were taken for another class, a row for each class that they are taken for"""
    error: float
    """share of the images that was misjudged"""
    examined: int
    """images that have a label and were looked at"""


class Classify(Model):
    """A classifier of images. A subclass sets `classifier` (images to logits) and `class_names`."""

    classifier: nn.Module
    class_names: Sequence[str]
    preview_columns: ClassVar[int] = 12

    def logits(self, images: Tensor) -> Tensor:
        """N x C x H x W in [-1, 1] to N x classes, float32."""
        with self.using():
            return torch.cat([self.classifier(part).float() for part in images.split(CHUNK)])

    @verb("image.png --out seen.png")
    def classify(self, image: Image) -> Classified:
        """The class of an image, and the probability of each class.

        Args:
            image: a picture of any size; its square middle is looked at.
        """
        seen = fit(image.to(self.device), self.config.data.shape)
        probability = self.logits(seen).softmax(1)
        names = [self.class_names[index] for index in probability.argmax(1).tolist()]
        return Classified(seen, names, probability)

    @verb("--count 1000 --out mistakes.png")
    def mistakes(self, data: str = "", count: int = 10_000, seed: int = 0) -> Mistakes:
        """What it gets wrong, and how much of the data that is.

        Args:
            data: labelled images that it has not learned from; the model's own training data by default.
            count: the most images to look at.
            seed: of the choice of these images.
        """
        images, labels = self._labelled(data, count, seed)
        known = labels >= 0
        if not known.any():
            raise UserError(f"--data {data or self.config.data.source}: its images have no labels to compare with")
        images, labels = images[known], labels[known]
        taken = self.logits(images.to(self.device)).argmax(1).cpu()
        wrong = taken != labels
        picture = self._rows(images[wrong], taken[wrong])
        return Mistakes(picture, wrong.double().mean().item(), len(labels))

    def _labelled(self, data: str, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Up to `count` different images, chosen by the seed, and their labels, on the host."""
        dataset = (self.config.data.replace(source=data) if data else self.config.data).open()
        chance = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(dataset), generator=chance)[:count]
        batches: list[Any] = [dataset.prepare(dataset.batch(part, chance)) for part in order.split(CHUNK)]
        return torch.cat([batch[0] for batch in batches]), torch.cat([batch[1] for batch in batches])

    def _rows(self, images: Tensor, taken: Tensor) -> Tensor:
        """A row for each class: images that are taken for it, black where there are no more."""
        count, columns = len(self.class_names), self.preview_columns
        rows = images.new_full((count, columns, *self.config.data.shape), -1.0)
        for index, row in enumerate(rows):
            found = images[taken == index][:columns]
            row[: len(found)] = found
        return grid(rows.flatten(0, 1), columns)

    def preview(self, seed: int) -> Tensor:
        """A row for each class: examples of the training data that are taken for it."""
        images, _ = self._labelled("", CHUNK, seed)
        return self._rows(images, self.logits(images.to(self.device)).argmax(1).cpu())
