"""An evaluation: a model, data, and the metrics that fit, each with its protocol; controls beside them on request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import torch

from sparring.core import Data, Dataset, Model, UserError
from sparring.core.data import Part
from sparring.data.scores import Scores
from sparring.judging import likeness, music
from sparring.judging.extractors import Extractor, Pixels, named
from sparring.judging.samples import Refused, Trial, named_metrics
from sparring.metrics.value import Value
from sparring.tasks.compared import Comparable
from sparring.tasks.compose import Compose
from sparring.tasks.sample import Sample

SAMPLES = 10_000


@dataclass(frozen=True)
class Question:
    """What is to be evaluated, and how."""

    metrics: tuple[str, ...] = ()
    """names; none: all that fit"""
    extractor: str = ""
    """pixels, judge, inception or a file; by default the kept judge of the data, or else pixels"""
    samples: int = SAMPLES
    """samples, and at most as many real examples"""
    batch: int = 100
    """examples that go through the extractor at a time"""
    seed: int = 0
    """of the samples and of the choice of real examples"""
    controls: bool = False
    """also judge other real examples, and the same networks untrained"""


@dataclass(frozen=True)
class Answer:
    """What an evaluation found."""

    values: list[Value]
    refused: dict[str, str] = field(default_factory=dict)
    """metrics that were asked for and do not fit, with the reason"""
    controls: dict[str, list[Value]] = field(default_factory=dict)
    """the same metrics for "real" (other real examples in the samples' place) and "untrained" networks; for models from
    pictures to pictures "untouched": what was there without them"""

    def as_dict(self) -> dict[str, Any]:
        controls = {name: [value.as_dict() for value in values] for name, values in self.controls.items()}
        return {"values": [value.as_dict() for value in self.values], "refused": self.refused, "controls": controls}


class Real(Sample):
    """A generator that cannot be beaten: its samples are real examples, other ones than those compared with."""

    def __init__(self, dataset: Dataset, data: Data, config: Any):
        super().__init__(config)
        self.dataset, self.latent = dataset, 1
        self.generator = torch.nn.Identity()

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def sample(self, count: int = 16, seed: int = 0) -> Any:
        index = torch.arange(min(count, len(self.dataset)))
        parts = [self.dataset.batch(part, torch.Generator().manual_seed(seed)) for part in index.split(1024)]
        return torch.cat([self.dataset.prepare(part)[0] for part in parts])


def pick(data: Data, text: str, device: torch.device) -> Extractor:
    """The extractor that is asked for; by default the judge that is kept for the data, or else pixels."""
    if text:
        return named(text, data, device=device)
    try:
        return named("judge", data, device=device)
    except UserError:
        return Pixels()


def evaluate(model: Model, data: Data, dataset: Dataset, question: Question, held_out: Dataset | None = None) -> Answer:
    """Judge a model.

    Args:
        model: of a task that can be judged.
        data, dataset: the real side: its config, and opened.
        question: what to ask.
        held_out: real examples that were kept from training.

    Raises:
        UserError: the task has no metrics, an unknown metric, or data that cannot be used.
    """
    if isinstance(model, Compose):
        if question.metrics or question.extractor:
            raise UserError(
                "--metrics and --extractor are of models that make pictures; all that fit music are computed"
            )
        ours, theirs = music.judge(model, cast(Scores, data), held_out or dataset, question.samples, question.seed)
        return Answer(ours, controls={"real": theirs})
    extractor = pick(data, question.extractor, model.device)
    if isinstance(model, Comparable):
        if question.metrics:
            raise UserError("--metrics are of models that make pictures from noise; all that fit this one are computed")
        values, untouched = likeness.judge(model, data, held_out or dataset, extractor, question.samples, question.seed)
        return Answer(values, controls={"untouched": untouched})
    if not isinstance(model, Sample):
        raise UserError(f"there are no metrics for {type(model).__name__} yet")
    answer = _ask(model, data, dataset, extractor, question, held_out)
    if question.controls:
        answer.controls.update(_controls(model, data, dataset, extractor, question))
    return answer


def _ask(
    model: Sample,
    data: Data,
    dataset: Dataset,
    extractor: Extractor,
    question: Question,
    held_out: Dataset | None = None,
) -> Answer:
    trial = Trial(model, data, dataset, extractor, question.samples, question.batch, question.seed, held_out)
    answer = Answer([])
    for metric in named_metrics(question.metrics):
        try:
            answer.values.extend(metric(trial))
        except UserError as reason:
            # Asked for everything, one hears of what fits; asked for one by name, why it does not.
            if question.metrics or not isinstance(reason, Refused):
                answer.refused[metric.__name__] = str(reason)
    return answer


def _controls(
    model: Sample, data: Data, dataset: Dataset, extractor: Extractor, question: Question
) -> dict[str, list[Value]]:
    """Two halves of the data against each other, and an untrained generator."""
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(question.seed))
    half = min(question.samples, len(order) // 2)
    real = Real(Part(dataset, order[:half]), data, model.config)
    others = Part(dataset, order[half:])
    torch.manual_seed(0)
    untrained = type(model)(model.config).to(model.device).eval()
    return {
        "real": _ask(real, data, others, extractor, question).values,
        "untrained": _ask(untrained, data, dataset, extractor, question).values,
    }
