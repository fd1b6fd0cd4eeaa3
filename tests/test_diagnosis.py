"""The diagnosis: every sign on a history that shows it and on one that does not; real games, sick on purpose and healthy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sparring import api
from sparring.core import Adam, UserError
from sparring.core.data import Part, hold_out
from sparring.core.run import read_description
from sparring.core.stream import Shuffle, Stream
from sparring.data.images import Images
from sparring.data.points import Points
from sparring.judging import diagnosis
from sparring.judging.diagnosis import History, diagnose
from sparring.judging.gap import duality_gap
from sparring.judging.health import Reference, checkup
from sparring.methods import dcgan, gan
from sparring.tasks.sample import Sample

HEALTHY = {"diversity": 0.97, "distance": 0.04, "coverage": 0.8, "precision": 0.9, "distinct": 0.7, "groups": [50] * 8,
           "nearest": 0.95, "score train": 0.4, "score held out": 0.35, "score fake": -0.4}  # fmt: skip
FIELDS = frozenset({"objective", "rounds", "data", "maxout", "pack"})


def history(log: dict[str, Any] | None = None, health: dict[str, Any] | None = None, **changes: Any) -> History:
    """A run at 60 %: the same line of the log and the same checkup over and over, with these differences."""
    line = {"D(x)": 0.7, "D(G(z))": 0.3, "gradient generator": 1.0, **(log or {})}
    checked = {**HEALTHY, **(health or {})}
    given: dict[str, Any] = {
        "steps": 1000,
        "log": [{"step": step, **line} for step in range(10, 610, 10)],
        "health": [{"step": step, **checked} for step in range(0, 625, 25)],
        "names": [str(index) for index in range(8)],
        "expected": [1 / 8] * 8,
        "labelled": True,
        "fields": FIELDS,
    }
    return History(**{**given, **changes})


def names(given: History) -> list[str]:
    return [finding.name for finding in diagnose(given)]


def test_a_healthy_history_raises_nothing() -> None:
    assert names(history()) == []


@pytest.mark.parametrize(
    ("name", "sick"),
    [
        ("discriminator has won", history({"D(x)": 0.999, "D(G(z))": 0.001})),
        ("generator gradient vanishing", history({"D(x)": 0.999, "D(G(z))": 0.001}, objective="minimax")),
        ("discriminator blind", history({"D(x)": 0.501, "D(G(z))": 0.499}, {"distance": 0.6})),
        ("generator collapsed", history(health={"diversity": 0.1})),
        ("generator collapsed", history(health={"distinct": 0.02})),
        ("modes missing", history(health={"groups": [60, 60, 60, 0, 60, 60, 60, 1]})),
        ("memorisation", history(health={"nearest": 0.05})),
        ("discriminator overfits", history(health={"score train": 3.0, "score held out": -2.5, "score fake": -3.0})),
        ("equilibrium", history({"D(x)": 0.52, "D(G(z))": 0.47})),
        ("diverged", history(events=[{"event": "diverged", "step": 3, "text": "the loss is not finite; went back"}])),
    ],
)
def test_each_sign_is_seen(name: str, sick: History) -> None:
    assert name in names(sick)


def test_oscillation_is_seen_in_hopping_groups() -> None:
    hops = [{"step": step, **HEALTHY, "groups": [400 * (step // 25 % 8 == index) for index in range(8)]}
            for step in range(0, 625, 25)]  # fmt: skip
    assert "oscillation" in names(History(**{**vars(history()), "health": hops}))


def test_exploding_gradients_are_seen() -> None:
    base = history()
    log = [{**line, "gradient generator": 1.0 if line["step"] < 560 else 5e4} for line in base.log]
    assert "gradient exploding" in names(History(**{**vars(base), "log": log}))


def test_missing_classes_are_named_and_advice_names_only_flags_that_are_there() -> None:
    lost = history(health={"groups": [60, 60, 60, 0, 60, 60, 60, 0]}, names=list("01234567"))
    (finding,) = diagnose(lost)
    assert "classes 3 and 7 have vanished" in finding.text and "--pack 2" in finding.advice
    (without,) = diagnose(History(**{**vars(lost), "fields": frozenset()}))
    assert "--pack" not in without.advice and without.advice.startswith("Try ")


def test_the_ratio_of_gradients_is_told() -> None:
    (finding,) = diagnose(history({"D(x)": 0.999, "D(G(z))": 0.005}, objective="minimax"))
    assert "the saturating gradient is 0.005 of the non-saturating one" in finding.text
    assert "--objective non_saturating" in finding.advice


def test_a_run_of_a_few_steps_is_not_judged() -> None:
    assert names(history(health={"diversity": 0.0}, steps=diagnosis.SHORTEST - 1)) == []


# --- the checkup --------------------------------------------------------------------------------------------------------


class Copies(Sample):
    """A generator that gives what it is told."""

    def __init__(self, examples: Tensor):
        super().__init__(gan.Config.tiny())
        self.examples, self.latent = torch.nn.Parameter(examples, requires_grad=False), 1
        self.generator = torch.nn.Identity()

    def sample(self, count: int = 16, seed: int = 0) -> Tensor:
        return self.examples[torch.arange(count) % len(self.examples)]


@pytest.fixture(scope="module")
def digits() -> tuple[Reference, Tensor]:
    dataset = Images("digits").resolved().open()
    index = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(1))
    reference = Reference(Part(dataset, index[:4000]))
    batch = dataset.prepare(dataset.batch(index[5000:5512], torch.Generator()))
    return reference, batch.image


def test_other_real_examples_are_in_good_health(digits: tuple[Reference, Tensor]) -> None:
    line = checkup(digits[0], Copies(digits[1]))
    for name in ("diversity", "coverage", "precision", "distinct", "nearest"):
        assert line[name] == pytest.approx(1, abs=0.15), name
    assert line["distance"] < 0.15
    assert sum(line["groups"]) == 512 and min(line["groups"]) > 20


def test_copies_of_one_example_look_collapsed_and_copies_of_training_examples_memorised(
    digits: tuple[Reference, Tensor],
) -> None:
    one = checkup(digits[0], Copies(digits[1][:1]))
    assert one["diversity"] == 0 and one["distinct"] < 0.01
    assert checkup(digits[0], Copies(digits[0].examples[:512]))["nearest"] < 0.01
    assert checkup(digits[0], Copies(torch.full((4, 1, 28, 28), torch.nan))) == {"finite": False}


def test_cells_stand_in_for_classes() -> None:
    reference = Reference(Points("gaussian").resolved().open())
    assert not reference.labelled and len(reference.names) == 32 and abs(sum(reference.expected) - 1) < 1e-6
    with pytest.raises(UserError, match="too few"):
        Reference(Part(Points("ring").open(), torch.arange(5)))


def test_held_out_examples_are_kept_from_training() -> None:
    dataset = Images("digits").resolved().open()
    trained_on, held = hold_out(dataset, 0.1)
    assert held is not None and len(held) == 1000 and len(trained_on) == 9000
    assert isinstance(trained_on, Part) and isinstance(held, Part)
    assert not set(trained_on.index.tolist()) & set(held.index.tolist())
    assert hold_out(dataset, 0.0) == (dataset, None)


# --- real games ---------------------------------------------------------------------------------------------------------

RING = gan.Config.ring().replace(steps=800, batch=128, log_every=10)
SICK = RING.replace(hidden=(3,), objective="minimax", rounds=2, optimizer=Adam(lr=5e-3, betas=(0.9, 0.999)))


def alarms(folder: Path) -> dict[str, int]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {line["alarm"]: line["step"] for line in lines if "alarm" in line}


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("games")
    for name, config in (("healthy", RING), ("sick", SICK)):
        api.start("gan", config, folder / name, show=False)
    return {name: folder / name for name in ("healthy", "sick")}


def test_a_collapsed_game_is_called_so_before_a_fifth_of_its_steps(games: dict[str, Path]) -> None:
    assert alarms(games["sick"])["generator collapsed"] < 0.2 * SICK.steps


def test_a_healthy_game_raises_no_alarm(games: dict[str, Path]) -> None:
    assert set(alarms(games["healthy"])) <= {"equilibrium"}


def test_the_duality_gap_of_a_trained_game_is_smaller_and_leaves_it_alone(games: dict[str, Path]) -> None:
    from sparring.core import checkpoint

    module, config = api.read_config(read_description(games["healthy"]))
    dataset = config.data.open()

    def gap(game: gan.Game) -> float:
        stream = Stream(dataset, Shuffle(len(dataset), config.batch, 1), 0, torch.device("cpu"))
        return duality_gap(game, stream, steps=60, rounds=10).value

    torch.manual_seed(0)
    game = module.Game(module.Model(config), config)
    untrained = gap(game)
    game.load_state_dict(checkpoint.load_game(games["healthy"] / "game.pt")["game"])
    before = [weight.clone() for weight in game.parameters()]
    assert 0 < gap(game) < 0.5 * untrained
    assert all(torch.equal(old, new) for old, new in zip(before, game.parameters()))


def test_a_discriminator_that_never_learns_is_called_blind(tmp_path: Path) -> None:
    blind = RING.replace(steps=400, maxout=(1,), optimizer=Adam(lr=1e-6))
    api.start("gan", blind, tmp_path / "run", show=False)
    assert "discriminator blind" in alarms(tmp_path / "run")


def test_watching_goes_on_where_a_stopped_run_stood(tmp_path: Path, games: dict[str, Path]) -> None:
    from sparring.core.loop import Loop
    from sparring.core.run import Run
    from sparring.judging.watch import Watch

    config, dataset = SICK.replace(precision="float32"), SICK.data.open()
    torch.manual_seed(config.seed)
    with Run.create(tmp_path / "run", {"method": "gan", "config": {}}) as run:
        for until in (90, 300, 420):
            torch.manual_seed(config.seed)
            game = gan.Game(gan.Model(config), config)
            loop = Loop(game, dataset, run, torch.device("cpu"), show=False)
            if until > 90:
                loop.restore()
                run.rewind(game.clock)
            watch = Watch(loop, dataset)
            for moment in loop.play(until):
                watch.see(moment)
    first = (games["sick"] / "health.jsonl").read_text().splitlines()
    assert (tmp_path / "run" / "health.jsonl").read_text().splitlines() == first[:22]
    assert alarms(tmp_path / "run").items() <= alarms(games["sick"]).items()


def test_evaluations_while_training_and_the_best_kept(tmp_path: Path) -> None:
    config = RING.replace(steps=90, evaluate_every=30, keep_best="fid")
    api.start("gan", config, tmp_path / "run", show=False)
    lines = [json.loads(line) for line in (tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [30, 60, 90]
    scores = {line["step"]: next(v["value"] for v in line["values"] if v["name"] == "feature_fid") for line in lines}
    card = api.checkpoint.read_card(tmp_path / "run" / "best.safetensors")
    assert card["step"] == min(scores, key=scores.__getitem__) and card["fid"] == min(scores.values())
    assert api.load(tmp_path / "run" / "best.safetensors").sample(2).shape == (2, 2)
    with pytest.raises(UserError, match="needs --evaluate-every"):
        RING.replace(keep_best="fid")
    with pytest.raises(UserError, match="no metric"):
        api.start("gan", config.replace(keep_best="fidd"), tmp_path / "other", show=False)


def test_a_discriminator_of_few_digits_overfits(tmp_path: Path) -> None:
    dataset = Images("digits", 16, 1).open()
    few = Part(dataset, torch.arange(160))
    from sparring.core.loop import Loop
    from sparring.core.run import Run
    from sparring.judging.watch import Watch

    config = dcgan.Config.tiny().replace(
        data=Images("digits", 16, 1), width=8, discriminator_width=24, batch=32, steps=400, log_every=10, held_out=0.5,
        precision="float32", adam=Adam(lr=2e-3, betas=(0.5, 0.999)),
    )  # fmt: skip
    trained_on, held = hold_out(few, 0.5)
    torch.manual_seed(0)
    with Run.create(tmp_path / "run", {"method": "dcgan", "config": {}}) as run:
        loop = Loop(dcgan.Game(dcgan.Model(config), config), trained_on, run, torch.device("cpu"), show=False)
        watch = Watch(loop, trained_on, held)
        for moment in loop.play():
            watch.see(moment)
    assert "discriminator overfits" in alarms(tmp_path / "run")
