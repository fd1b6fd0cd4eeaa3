"""The Python interface: train, resume, load, evaluate, compare, diagnose. The command line goes through the same functions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sparring import catalogue
from sparring.core import checkpoint, config, device, distributed
from sparring.core.config import Config, data_kinds, from_json, presets, to_json
from sparring.core.data import Data, Dataset, hold_out
from sparring.core.errors import UserError
from sparring.core.game import Game
from sparring.core.loop import Loop
from sparring.core.model import Model
from sparring.core.run import Run, next_folder, read_description
from sparring.core.stream import Shuffle, Stream, mix
from sparring.judging import compare as comparing
from sparring.judging import evaluation as judging
from sparring.judging import story as stories
from sparring.judging.compare import Comparison
from sparring.judging.evaluation import SAMPLES, Answer, Question
from sparring.judging.gap import Gap, duality_gap
from sparring.judging.health import Reference, checkup
from sparring.judging.page import page_path
from sparring.judging.samples import named_metrics
from sparring.judging.story import Story
from sparring.judging.training import Examiner
from sparring.judging.watch import Watch
from sparring.tasks.sample import Sample


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    model: Model
    folder: Path
    finished: bool
    """False when it was told to stop before its last step"""
    step: int
    made: dict[str, Path]
    """pictures, animation, curves, report"""


def train(
    method: str,
    data: str | Path | Data | None = None,
    *,
    steps: int | None = None,
    batch: int | None = None,
    seed: int | None = None,
    run: str | Path | None = None,
    preset: str = "default",
    config: Config | None = None,
    show: bool = True,
) -> Model:
    """Train a model and keep the run in a folder.

    Args:
        method: a name that `sparring list` shows, "dcgan" say.
        data: a source (folder, archive, array file, known name, ...) or a data config; the method's own by default.
        steps, batch, seed: override the config's.
        run: folder of the run; `runs/METHOD-NNN` by default.
        preset: named starting point of the config.
        config: a whole config, instead of a preset.
        show: whether to show progress.

    Returns:
        the model as it ships: evaluation mode, averaged weights.

    Raises:
        UserError: unknown method, bad data, a folder that holds a run, ...
        KeyboardInterrupt: the run was interrupted; `sparring.resume` goes on with it.
    """
    chosen = config or starting_point(method, preset)
    given = {"steps": steps, "batch": batch, "seed": seed}
    chosen = chosen.replace(**{name: value for name, value in given.items() if value is not None})
    if data is not None:
        chosen = with_data(chosen, data)
    return _finished(start(method, chosen, Path(run) if run else None, show))


def resume(run: str | Path, *, steps: int | None = None, device: str | None = None, show: bool = True) -> Model:
    """Go on with a run exactly where its last checkpoint stands.

    Args:
        run: the run's folder.
        steps: a new last step.
        device: another device.
        show: whether to show progress.
    """
    return _finished(go_on(Path(run), steps, device, show))


def _finished(result: Result) -> Model:
    if not result.finished:
        raise KeyboardInterrupt(f"stopped at step {result.step}; sparring.resume({str(result.folder)!r}) goes on")
    return result.model


def starting_point(method: str, preset: str = "default") -> Config:
    """The config of a preset. Raises UserError when the method or the preset is unknown."""
    known = presets(catalogue.find(method).load().Config)
    if preset not in known:
        raise UserError(f"{method} has no preset {preset!r}; there are {', '.join(known)}")
    return known[preset]()


def with_data(config: Config, data: str | Path | Data) -> Config:
    """The config with other data: of the kind that claims the source, where a method takes several."""
    if isinstance(data, Data):
        return config.replace(data=data)
    source, kinds = str(data), list(data_kinds(type(config)))
    kind = next((kind for kind in kinds if kind.claims(source)), kinds[0])
    known = config.data if type(config.data) is kind else kind()
    return config.replace(data=known.at(source))


def start(method: str, config: Config, folder: Path | None = None, show: bool = True) -> Result:
    """Begin a run and play it."""
    found = catalogue.find(method)
    distributed.start()
    where = device.pick(config.device)
    config = config.replace(data=config.data.resolved(), precision=device.precision(config.precision, where))
    dataset = config.data.open()
    module = found.load()
    torch.manual_seed(config.seed)
    game = module.Game(module.Model(config), config)
    folder = folder or next_folder(method)
    description = {
        **asdict(found),
        "method": method,
        "seed": config.seed,
        "data": {"source": config.data.source, "fingerprint": dataset.fingerprint, "count": len(dataset)},
        "device": device.describe(where),
        "config": to_json(config),
        "defaults": to_json(presets(module.Config)["default"]()),
    }
    with Run.create(folder, description) if distributed.process() == 0 else Run(folder) as run:
        trained_on, held = hold_out(dataset, config.held_out)
        return _play(Loop(game, trained_on, run, where, show), held)


def go_on(folder: Path, steps: int | None = None, device_name: str | None = None, show: bool = True) -> Result:
    """Open a run and play on."""
    with Run.reopen(folder) as run:
        description = run.description
        module, config = read_config(description)
        config = config.replace(device=device_name or config.device, steps=steps or config.steps)
        description["config"] = to_json(config)
        where = device.pick(config.device)
        dataset = config.data.open()
        if dataset.fingerprint != description["data"]["fingerprint"]:
            warnings.warn(
                f"{config.data.source} has changed since the run began: it goes on, not exactly", stacklevel=2
            )
        game = module.Game(module.Model(config), config)
        trained_on, held = hold_out(dataset, config.held_out)
        loop = Loop(game, trained_on, run, where, show)
        if run.game.exists() or checkpoint.previous(run.game).exists():
            loop.restore()
        run.rewind(game.clock)
        run.describe(description)
        return _play(loop, held)


def _play(loop: Loop, held: Dataset | None) -> Result:
    """Play to the end, watched; then draw what the run came to."""
    watch = Watch(loop, loop.dataset, held) if loop.lead and loop.config.watch else None
    examiner = Examiner(loop, held) if loop.lead and loop.config.evaluate_every else None
    for moment in loop.play():
        if watch is not None:
            watch.see(moment)
        if examiner is not None:
            examiner.see(moment)
    run = loop.run_folder
    made = run.summarize() if loop.lead else {}
    distributed.stop()
    return Result(loop.shipped.eval().requires_grad_(False), run.folder, loop.finished, loop.game.clock, made)


def read_config(description: dict[str, Any]) -> tuple[catalogue.Module, Config]:
    """Method and config of a `config.json` or of a model file's card."""
    module = catalogue.find(description["method"]).load()
    return module, from_json(module.Config, description["config"])


def load(path: str | Path, device_name: str = "cpu") -> Model:
    """A trained model, ready for use. Nothing in the file is executed; no training code or data is needed.

    Args:
        path: a run's folder or a `model.safetensors`.
        device_name: where to put it; "auto" picks the best device.

    Raises:
        UserError: there is no such file, it is damaged, or it is not one of ours.
    """
    file = Path(path)
    if file.is_dir():
        if not (file / "model.safetensors").exists():
            read_description(file)
        file = file / "model.safetensors"
    device.keep_freed_memory()
    card = checkpoint.read_card(file)
    module, config = read_config(card)
    return checkpoint.load_weights(file, module.Model, config).to(device.pick(device_name))


def evaluate(
    path: str | Path,
    data: str | Path | None = None,
    *,
    metrics: Sequence[str] = (),
    extractor: str = "",
    samples: int = SAMPLES,
    seed: int = 0,
    controls: bool = False,
    batch: int = 100,
    device_name: str = "cpu",
) -> Answer:
    """Judge a model: numbers that carry their protocol.

    Args:
        path: a run's folder or a model file.
        data: what to compare with; the data that it was trained on by default.
        metrics: names of metrics; all that fit by default.
        extractor: of features: pixels, judge, inception or a file; by default the kept judge of the data, or else pixels.
        samples: how many samples, and at most as many real examples.
        seed: of the samples and of the choice of real examples.
        controls: also judge other real examples, and the same networks untrained.
        batch: examples that go through the extractor at a time.
        device_name: where to compute.

    Raises:
        UserError: no such run, metric or extractor, or data that does not fit.
    """
    model = load(path, device_name)
    chosen = model.config.data if data is None else model.config.data.at(str(data))
    dataset, held = chosen.plain().open(), None
    if data is None:
        dataset, held = hold_out(dataset, model.config.held_out)
    question = Question(tuple(metrics), extractor, samples, batch, seed, controls)
    return judging.evaluate(model, chosen, dataset, question, held)


def compare(
    runs: Sequence[str | Path],
    data: str | Path | None = None,
    *,
    metrics: Sequence[str] = (),
    extractor: str = "",
    samples: int = SAMPLES,
    seed: int = 0,
    out: str | Path | None = None,
    device_name: str = "cpu",
) -> Comparison:
    """Set runs side by side: what they are, what they cost, how good they are; on a page if asked.

    Args:
        runs: folders of two runs or more.
        data: what to judge all of them by; the data that each was trained on by default.
        metrics: names of metrics; all that fit by default.
        extractor: of features, as `evaluate` takes it.
        samples: how many samples of each, and at most as many real examples.
        seed: of the samples and of the choice of real examples.
        out: an .html file to write.
        device_name: where to compute.

    Raises:
        UserError: no such run, metric or extractor. Data that cannot be opened is no error: it is said, and the rest is done.
    """
    folders = [Path(run) for run in runs]
    comparing.check(folders)
    named_metrics(metrics)
    path = page_path(out) if out is not None else None
    question, entries = Question(tuple(metrics), extractor, samples, seed=seed), []
    for label, folder in zip(comparing.labels(folders), folders):
        model = load(folder, device_name)
        entry = comparing.entry(label, folder, read_description(folder), model, seed)
        entries.append(replace(entry, **_judged(model, data, question)))
    comparison = Comparison(entries, seed, path)
    if path is not None:
        comparing.write(comparison, path)
    return comparison


def _judged(model: Model, data: str | Path | None, question: Question) -> dict[str, Any]:
    """The answer for a run of a comparison, or why there is none."""
    try:
        chosen, dataset, held = _opened(model.config, data)
    except (UserError, OSError) as error:
        return {"unjudged": f"its data cannot be opened ({error})"}
    try:
        return {"answer": judging.evaluate(model, chosen, dataset, question, held)}
    except UserError as error:
        # An extractor that was asked for and is not there is the question's fault, not the run's.
        if question.extractor and isinstance(model, Sample):
            raise
        return {"unjudged": str(error)}


def _opened(config: Config, data: str | Path | None = None) -> tuple[Data, Dataset, Dataset | None]:
    """A run's data (or other data of its kind), and what of it was trained on and what was held out."""
    chosen = config.data if data is None else config.data.at(str(data))
    dataset = chosen.open()
    return chosen, *(hold_out(dataset, config.held_out) if data is None else (dataset, None))


def diagnose(
    run: str | Path,
    data: str | Path | None = None,
    *,
    gap: bool = True,
    out: str | Path | None = None,
    device_name: str = "cpu",
) -> Story:
    """Tell what became of a game: every sign of sickness with its time, cause and advice; on a page if asked.

    Args:
        run: the run's folder.
        data: where the run's data lies now, if it has moved.
        gap: also play on, each player alone against a resting opponent, to measure the duality gap.
        out: an .html file to write.
        device_name: where to compute.

    Raises:
        UserError: no such run. What cannot be had (the data, a checkpoint) is said in the story's `missing`.
    """
    folder, path = Path(run), page_path(out) if out is not None else None
    description = read_description(folder)
    module, config = read_config(description)
    missing: list[str] = []
    dataset, held = _data_of_story(config, description, data, missing)
    reference = _reference(dataset, held, missing)
    history = stories.read_history(folder, config, reference)
    if reference is not None and not history.expected:
        missing.append("The groups of the checkups are not those of this data: which modes are missing cannot be told.")
    model, game = _players_of_story(folder, module, config, device.pick(device_name), missing)
    now = None
    if not history.health and history.log:
        why = "was not watched" if model is None or isinstance(model, Sample) else "is of a kind that is not watched"
        missing.append(f"The run {why} (it has no health.jsonl): collapse and oscillation on the way cannot be seen.")
        now = checkup(reference, model, game) if reference is not None and isinstance(model, Sample) else None
    episodes = stories.replay(history, now)
    episodes += stories.told(folder, episodes)
    found = _gap(game, dataset, missing) if gap else None
    story = Story(folder, description, history, episodes, now, found, tuple(missing), path)
    if path is not None:
        stories.write(story, path)
    return story


def _data_of_story(
    config: Config, description: dict[str, Any], data: str | Path | None, missing: list[str]
) -> tuple[Dataset | None, Dataset | None]:
    """What was trained on and what was held out; neither where the data cannot be opened any more."""
    try:
        chosen = config.data if data is None else config.data.at(str(data))
        dataset = chosen.open()
    except (UserError, OSError) as error:
        missing.append(f"The data cannot be opened ({error}): no names of the modes, no checkup, no duality gap.")
        return None, None
    if dataset.fingerprint != (description.get("data") or {}).get("fingerprint", dataset.fingerprint):
        missing.append(f"{chosen.source} is not what it was when the run began: what is measured now differs.")
    return hold_out(dataset, config.held_out)


def _reference(dataset: Dataset | None, held: Dataset | None, missing: list[str]) -> Reference | None:
    try:
        return Reference(dataset, held) if dataset is not None else None
    except UserError as error:
        missing.append(f"No names of the modes, no checkup: {error}.")
        return None


def _players_of_story(
    folder: Path, module: catalogue.Module, config: Config, where: torch.device, missing: list[str]
) -> tuple[Model | None, Game[Any, Any] | None]:
    """The model that the run ships and the game as its last checkpoint left it, where they can be had."""
    model, game = None, None
    try:
        model = load(folder).to(where)
    except UserError as error:
        missing.append(f"The model cannot be loaded: {error}.")
    try:
        torch.manual_seed(config.seed)
        game = module.Game(module.Model(config), config)
        game.load_state_dict(checkpoint.load_game(folder / "game.pt")["game"])
        game.to(where)
    except (UserError, RuntimeError, KeyError) as error:
        game = None
        missing.append(f"The game cannot be restored ({str(error).splitlines()[0]}): no duality gap.")
    return model, game


def _gap(game: Game[Any, Any] | None, dataset: Dataset | None, missing: list[str]) -> Gap | None:
    """The duality gap, or a sentence that says why there is none."""
    if game is None or dataset is None:
        return None
    shuffle = Shuffle(len(dataset), game.config.batch, mix(game.config.seed, game.detours))
    stream = Stream(dataset, shuffle, game.position, game.model.device)
    try:
        found = duality_gap(game, stream)
    except (UserError, RuntimeError) as error:
        missing.append(f"No duality gap: {str(error).splitlines()[0]}.")
        return None
    if not math.isfinite(found.value):
        missing.append("No duality gap: playing on, a loss was not finite.")
        return None
    return found


__all__ = ["Result", "compare", "config", "diagnose", "evaluate", "load", "resume", "train"]
