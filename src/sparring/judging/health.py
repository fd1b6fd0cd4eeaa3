"""Cheap numbers that show at a glance whether a game is in good health, taken at every preview.

All come from 512 samples of fixed noise beside some real examples, in pixels (pictures larger than 32 px a side are averaged
down): no feature network, no training, some tens of milliseconds.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sparring.core import Dataset, Game, UserError
from sparring.metrics.nearest import diversity, nearest
from sparring.metrics.sliced_wasserstein import sliced_wasserstein
from sparring.tasks.sample import Sample

SAMPLES, EXAMPLES, LEAST, SIDE, NEIGHBOURS, CELLS, SEED = 512, 1024, 32, 32, 5, 32, 0
Line = dict[str, Any]


class Reference:
    """Real examples that samples are held against, looked at once.

    Args:
        dataset: what the game is trained on.
        held: what was kept from it, if anything.

    Raises:
        UserError: fewer than 32 examples.
    """

    def __init__(self, dataset: Dataset, held: Dataset | None = None):
        if len(dataset) < LEAST:
            raise UserError(f"{len(dataset)} examples are too few to watch a game's health; {LEAST} are needed")
        examples, labels = _read(dataset, EXAMPLES + SAMPLES)
        count = len(examples) * 2 // 3
        self.examples, self.vectors = examples[:count], vectors(examples[:count])
        self.held = _read(held, SAMPLES)[0] if held is not None else None
        self.others = others = vectors(examples[count:])
        self.diversity = max(diversity(others), 1e-12)
        distance, _ = nearest(self.vectors, self.vectors, NEIGHBOURS + 1)
        self.radius = distance[:, -1]
        self.usual = max(distance[:, 1].median().item(), 1e-12)
        self.reach = self.within(others)
        self.hit = len(nearest(others, self.vectors)[1].unique()) / len(others)
        self._name_groups(labels, count, dataset)

    def _name_groups(self, labels: Tensor | None, count: int, dataset: Dataset) -> None:
        """Groups of examples: the classes, or where there are none, the cells around a few of the examples."""
        self.labelled = labels is not None and int(labels.min()) >= 0 and len(labels.unique()) > 1
        if labels is not None and self.labelled:
            self.group = labels[:count]
            size = int(self.group.max()) + 1
            self.names = list(dataset.class_names) if len(dataset.class_names) == size else list(map(str, range(size)))
        else:
            cells = self.vectors[: min(CELLS, count // 4)]
            self.group = nearest(self.vectors, cells)[1][:, 0]
            self.names = [f"cell {index}" for index in range(len(cells))]
        self.expected = (torch.bincount(self.group, minlength=len(self.names)) / count).tolist()

    def distance(self, found: Tensor) -> float:
        """Sliced Wasserstein distance to real examples, in units of the data's diversity."""
        count = min(len(found), len(self.others))
        gap = sliced_wasserstein(found[:count], self.others[:count], directions=64)
        return gap * math.sqrt(found.shape[1]) / self.diversity

    def within(self, found: Tensor) -> tuple[float, float]:
        """Share of examples that have one of `found` among their neighbourhood (coverage), and the other way round."""
        near = torch.cdist(self.vectors, found, compute_mode="use_mm_for_euclid_dist") <= self.radius[:, None]
        return near.any(1).float().mean().item(), near.any(0).float().mean().item()


def _read(dataset: Dataset, limit: int) -> tuple[Tensor, Tensor | None]:
    """Examples and labels (None where the batch has none), the same ones at every call."""
    index = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(SEED))[:limit]
    batch = dataset.prepare(dataset.batch(index, torch.Generator().manual_seed(SEED)))
    return batch[0], batch[1] if len(batch) > 1 and batch[1].dtype == torch.int64 else None


def vectors(examples: Tensor) -> Tensor:
    """N x d: examples as they are compared."""
    if examples.dim() == 4 and max(examples.shape[2:]) > SIDE:
        examples = functional.adaptive_avg_pool2d(examples, SIDE)
    return examples.flatten(1).float()


def checkup(reference: Reference, model: Sample, game: Game[Any, Any] | None = None) -> Line:
    """The health of this moment.

    `distance`: sliced Wasserstein distance to the data, in units of the distance between two real examples: 0 for real ones.
    `diversity`: mean distance of two samples. `coverage`: share of real examples with a sample in their neighbourhood, which
    reaches to the fifth nearest real one; `precision`: share of samples within such a neighbourhood (Naeem et al. 2020,
    Kynkaanniemi et al. 2019). `distinct`: how many different examples are some sample's nearest, per sample. `nearest`: median
    distance of a sample to its nearest training example, over that of a training example to its nearest other; not where
    examples have fewer than 16 numbers, for there data is dense. All these are about 1 for other real examples.
    `groups`: samples whose nearest real example is of each class (or cell). `score ...`: mean logit that the opponent gives
    to training examples, held-out ones and samples.
    """
    samples = model.sample(SAMPLES, SEED).cpu()
    found = vectors(samples)
    if not found.isfinite().all():
        return {"finite": False}
    coverage, precision = reference.within(found)
    distance, index = nearest(found, reference.vectors)
    line: Line = {
        "diversity": diversity(found) / reference.diversity,
        "distance": reference.distance(found),
        "coverage": coverage / max(reference.reach[0], 1e-12),
        "precision": precision / max(reference.reach[1], 1e-12),
        "distinct": len(index.unique()) / len(index) / reference.hit,
        "groups": torch.bincount(reference.group[index[:, 0]], minlength=len(reference.names)).tolist(),
    }
    if reference.vectors.shape[1] >= 16:
        line["nearest"] = distance.median().item() / reference.usual
    return line | (_scores(reference, game, samples) if game is not None else {})


@torch.no_grad()
def _scores(reference: Reference, game: Game[Any, Any], samples: Tensor) -> Line:
    where, training = game.model.device, game.training
    game.eval()
    sets = {"train": reference.examples[:SAMPLES], "held out": reference.held, "fake": samples}
    piece = max(1, game.config.batch // game.split)
    found: dict[str, list[Tensor]] = {}
    try:
        for name, given in sets.items():
            for part in given.split(piece) if given is not None else ():
                if (score := game.score(part.to(where))) is not None:
                    found.setdefault(f"score {name}", []).append(score.float().cpu())
    except torch.OutOfMemoryError:
        # The game itself will meet it in its next step, and knows what to do.
        return {}
    finally:
        game.train(training)
    return {name: torch.cat(scores).mean().item() for name, scores in found.items()}
