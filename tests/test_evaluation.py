"""Evaluations: what fits is asked, what does not is refused with a reason, and every number says how it was come by."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sparring.core import Data, UserError
from sparring.core.data import Part
from sparring.data.images import Images
from sparring.data.points import Points
from sparring.data.stacked import Stacked
from sparring.judging import cache, evaluation, judge
from sparring.judging.evaluation import Question, evaluate
from sparring.judging.own import Module
from sparring.judging.samples import METRICS, Trial, named_metrics
from sparring.methods import dcgan, gan
from sparring.metrics.value import Protocol, Value
from sparring.tasks.sample import Sample


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "evaluation-cache"))


@pytest.fixture(scope="module")
def digits() -> Images:
    return Images("digits").resolved()


def untrained(data: Data) -> Sample:
    torch.manual_seed(0)
    if isinstance(data, Points):
        return gan.Model(gan.Config.ring().replace(data=data, precision="float32"))
    return dcgan.Model(dcgan.Config.tiny().replace(data=data, precision="float32"))


def test_everything_that_fits_points_is_answered_and_nothing_else() -> None:
    data = Points("ring")
    answer = evaluate(untrained(data), data, data.open(), Question(samples=600))
    names = {value.name for value in answer.values}
    assert {"feature_fid", "feature_kid", "precision", "recall", "density", "coverage", "mmd", "transport", "modes",
            "high_quality", "reverse_kl", "parzen", "sliced_wasserstein", "diversity"} <= names  # fmt: skip
    assert not names & {"ms_ssim", "path_length", "inception_score", "sure"} and not answer.refused
    assert all(value.protocol.metric == value.name and value.protocol.fake for value in answer.values)


def test_what_was_asked_for_and_does_not_fit_says_why() -> None:
    data = Points("ring")
    answer = evaluate(
        untrained(data), data, data.open(), Question(("ms_ssim", "intra_fid", "memorisation"), samples=50)
    )
    assert not answer.values
    assert "for pictures" in answer.refused["ms_ssim"] and "no classifier" in answer.refused["intra_fid"]
    assert "dense" in answer.refused["memorisation"]
    with pytest.raises(UserError, match="no metric 'fad'; there are fid, kid"):
        evaluate(untrained(data), data, data.open(), Question(("fad",)))


def test_few_samples_are_warned_of_in_the_protocol_line(digits: Images) -> None:
    (value,) = evaluate(untrained(digits), digits, digits.open(), Question(("fid",), "pixels", samples=100)).values
    assert "biased upwards: 100 examples" in str(value.protocol) and "singular" in str(value.protocol)


def test_controls_stand_where_they_must(digits: Images) -> None:
    question = Question(("fid", "kid"), "pixels", samples=1500, controls=True)
    answer = evaluate(untrained(digits), digits, digits.open(), question)
    real, fresh = answer.controls["real"], answer.controls["untrained"]
    assert [value.name for value in real] == [value.name for value in fresh] == ["feature_fid", "feature_kid"]
    assert all(low.value < 0.2 * high.value for low, high in zip(real, fresh))
    assert abs(real[1].value) < 4 * (real[1].spread or 0)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_batch_changes_nothing(digits: Images, batch: int) -> None:
    model, dataset = untrained(digits), Part(digits.open(), torch.arange(300))
    asked = ("fid", "kid", "prdc", "mmd")
    first = evaluate(model, digits, dataset, Question(asked, "pixels", 200)).values
    again = evaluate(model, digits, dataset, Question(asked, "pixels", 200, batch=batch)).values
    for value, same in zip(first, again):
        assert value.value == pytest.approx(same.value, rel=1e-6)
        assert not value.protocol.differs(same.protocol)


def test_values_go_through_json_and_different_protocols_are_told_apart(digits: Images) -> None:
    value = Value("fid", 3.0, Protocol("fid", real=10, fake=10, warnings=("few",)), 0.1)
    assert (
        Value.from_dict({k: v for k, v in json.loads(json.dumps(value.as_dict())).items() if k != "protocol_line"})
        == value
    )
    assert json.loads(json.dumps(Value("kl", float("inf"), Protocol("kl")).as_dict()))["value"] is None
    other = Protocol("fid", real=10, fake=20, extractor="inception")
    assert value.protocol.differs(other) == ["extractor", "fake"]


class Counting(nn.Module):
    """Counts the pictures that it has seen."""

    seen = 0

    def forward(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return images.flatten(1)[:, 300:340]


def test_real_features_are_made_once(digits: Images) -> None:
    module, dataset = Counting(), Part(digits.open(), torch.arange(500))
    extractor = Module(module, name="counting")
    real = Trial(untrained(digits), digits, dataset, extractor, 200, 50, 0).real
    module.seen = 0
    first = cache.real_features(extractor, real, "some data", 50, 0)
    assert module.seen == 200
    again = cache.real_features(extractor, real, "some data", 50, 0)
    assert module.seen == 200 and torch.equal(first.features, again.features)
    cache.real_features(extractor, real, "other data", 50, 0)
    assert module.seen == 400
    for path in cache.cache_folder("statistics").glob("*.safetensors"):
        path.write_bytes(b"torn")
    with pytest.warns(UserWarning, match="damaged, made anew"):
        assert torch.equal(first.features, cache.real_features(extractor, real, "some data", 50, 0).features)


class Broken(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :20] * float("nan")


def test_features_that_are_not_finite_are_a_clear_answer(digits: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "pick", lambda *_: Module(Broken(), name="broken"))
    answer = evaluate(untrained(digits), digits, digits.open(), Question(("fid",), samples=50))
    assert "50 of 50" in answer.refused["fid"] and "not finite" in answer.refused["fid"]


class Replays(Sample):
    """Samples that are examples of the data."""

    def __init__(self, images: Tensor):
        super().__init__(dcgan.Config.tiny())
        self.images, self.latent = nn.Parameter(images, requires_grad=False), 1
        self.generator = nn.Identity()

    def sample(self, count: int = 16, seed: int = 0) -> Any:
        return self.images[:count]


@pytest.fixture(scope="module")
def expert(digits: Images) -> judge.Judge:
    return judge.train(digits, epochs=1)


def test_a_judge_counts_classes_and_modes(digits: Images, expert: judge.Judge) -> None:
    judge.keep(expert)
    dataset = digits.open()
    everything = torch.arange(len(dataset))
    real = dataset.prepare(dataset.batch(everything, torch.Generator()))
    threes = real.image[real.label == 3]
    asked = ("modes", "classes", "inception_score", "intra_fid")
    answer = evaluate(Replays(real.image[:3000]), digits, dataset, Question(asked, samples=3000))
    values = {value.name: value for value in answer.values}
    assert values["modes"].value == 10 and values["mode_kl"].value < 0.02 and values["classifier_score"].value > 7
    assert "floor KL 0.0015" in str(values["modes"].protocol) and "judge digits" in str(values["sure"].protocol)
    assert values["sure"].value > 0.8 and 0.05 < values["class_3"].value < 0.15
    collapsed = evaluate(Replays(threes[:500]), digits, dataset, Question(("modes", "classes"), samples=500))
    shares = {value.name: value.value for value in collapsed.values}
    assert shares["class_3"] > 0.9 and shares["mode_kl"] > 1.5


def test_stacked_digits_are_counted_by_the_judge_of_digits(digits: Images, expert: judge.Judge) -> None:
    judge.keep(expert)
    stacked = Stacked("stacked:digits", channels=2).resolved()
    dataset = stacked.open()
    real = dataset.prepare(dataset.batch(torch.arange(2600), torch.Generator()))
    values = {
        v.name: v for v in evaluate(Replays(real.image), stacked, dataset, Question(("modes",), samples=2600)).values
    }
    assert values["modes"].value == 100 and values["mode_kl"].value < 0.05
    assert "100 classes" in str(values["modes"].protocol) and "floor KL 0.019" in str(values["modes"].protocol)


def test_names_of_values_ask_for_their_metric() -> None:
    assert [metric.__name__ for metric in named_metrics(["recall", "coverage", "feature_fid", "sure"])] == [
        "prdc",
        "fid",
        "classes",
    ]
    assert len(named_metrics([])) == len(METRICS)
