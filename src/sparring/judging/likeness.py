"""How a model from pictures to pictures is judged: by the right answers where there are any, else by the kind it aims at."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from sparring.core import Data, Dataset, UserError
from sparring.judging.extractors import Extractor, Pixels, extract
from sparring.metrics.frechet import frechet
from sparring.metrics.kid import kid
from sparring.metrics.pairs import as_saved, estimate, luma
from sparring.metrics.psnr import psnr
from sparring.metrics.sharpness import gradient_energy, mean_sharpness
from sparring.metrics.ssim import ssim
from sparring.metrics.value import Estimate, Protocol, Value
from sparring.tasks.compared import Comparable, Compared

CHUNK = 16
FEW = 2048
"""pictures below which a Fréchet distance is biased"""


def compared(model: Comparable, dataset: Dataset, count: int, seed: int) -> list[Compared]:
    """What a model makes of up to `count` examples, one entry for each of its verbs."""
    chance = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(dataset), generator=chance)[:count]
    parts = [model.compare(dataset, index, chance) for index in order.split(CHUNK)]
    return [_joined(list(same)) for same in zip(*parts)]


def _joined(parts: list[Compared]) -> Compared:
    first = parts[0]
    made, real, untouched = (
        torch.cat(images) for images in zip(*((part.made, part.real, part.untouched) for part in parts))
    )
    hole = None if first.hole is None else torch.cat([part.hole for part in parts if part.hole is not None])
    further = {name: torch.cat([part.further[name] for part in parts]) for name in first.further}
    return first._replace(made=made, real=real, untouched=untouched, hole=hole, further=further)


def judge(
    model: Comparable, data: Data, dataset: Dataset, extractor: Extractor, count: int, seed: int
) -> tuple[list[Value], list[Value]]:
    """Values of the model, and of what there was without it.

    Raises:
        UserError: there are too few examples.
    """
    if len(dataset) < 2:
        raise UserError("evaluation needs at least 2 examples of data")
    ours: list[Value] = []
    control: list[Value] = []
    found = compared(model, dataset, count, seed)
    for each in found:
        prefix = f"{each.verb}_" if len(found) > 1 else ""
        for values, made, own in ((ours, each.made, True), (control, each.untouched, False)):
            for name, (number, looked) in _numbers(each, made, extractor, own).items():
                values.append(_value(f"{prefix}{name}", number, looked, data, dataset, len(made), seed))
    return ours, control


def _numbers(each: Compared, made: Tensor, extractor: Extractor, own: bool) -> dict[str, tuple[Estimate, Extractor]]:
    """Name, number and what looked at the pictures."""
    real, found = each.real, dict[str, Estimate]()
    if each.paired and each.hole is not None:
        error = ((made - real).square() * each.hole).sum((1, 2, 3)) / (each.hole.sum((1, 2, 3)) * real.shape[1])
        found["hole_psnr"] = estimate(10 * torch.log10(4 / error.double()))
        found["hole_sharpness"] = mean_sharpness(real * each.hole, made * each.hole)
    elif each.paired:
        found["l1"] = estimate((made - real).abs().mean((1, 2, 3)))
        found["psnr"] = estimate(psnr(as_saved(real), as_saved(made)))
        if each.border and real.shape[1] == 3:
            found["psnr_y"] = estimate(psnr(luma(as_saved(real)), luma(as_saved(made)), each.border))
        if min(real.shape[2:]) - 2 * each.border >= 11:
            found["ssim"] = estimate(ssim(as_saved(real), as_saved(made), each.border))
        found["sharpness"] = mean_sharpness(real, made)
    else:
        ratio = gradient_energy(made).mean() / gradient_energy(real).mean()
        found["sharpness"] = Estimate(ratio.item(), math.nan)
    if own:
        found |= {name: estimate(values) for name, values in each.further.items()}
    numbers: dict[str, tuple[Estimate, Extractor]] = {name: (number, Pixels()) for name, number in found.items()}
    if not isinstance(extractor, Pixels):
        features = extract(extractor, real).features, extract(extractor, made).features
        prefix = "" if extractor.name.startswith("inception") else "feature_"
        numbers[f"{prefix}fid"] = Estimate(frechet(*features), math.nan), extractor
        size = min(1000, len(made) // 2)
        if size >= 2:
            whole = kid(*features, size=size)
            numbers[f"{prefix}kid"] = Estimate(whole.value, whole.spread), extractor
        numbers["feature_distance"] = _distance(*features, each.paired), extractor
    return {name: number for name, number in numbers.items() if not math.isnan(number[0].value)}


def _distance(real: Tensor, made: Tensor, paired: bool) -> Estimate:
    """Mean distance of partners in the features, each divided by its length; for two sets there are no partners."""
    if not paired:
        return Estimate(math.nan, math.nan)
    return estimate((functional.normalize(real, dim=1) - functional.normalize(made, dim=1)).norm(dim=1))


def _value(
    name: str, number: Estimate, extractor: Extractor, data: Data, dataset: Dataset, count: int, seed: int
) -> Value:
    few = (f"fewer than {FEW} examples: biased upwards",) if name.endswith("fid") and count < FEW else ()
    protocol = Protocol(
        metric=name, extractor=extractor.name, resize=extractor.resize, data=f"{data.source} {dataset.fingerprint[:8]}",
        real=count, fake=count, seed=seed, warnings=few,
    )  # fmt: skip
    spread = None if math.isnan(number.spread) else number.spread
    return Value(name, number.value, protocol, spread)
