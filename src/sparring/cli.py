"""The command line. Commands, flags and help are read off functions, configs and verbs; nothing is listed twice.

Exit status: 0 done, 2 bad usage or input (one line on stderr), 130 interrupted, 1 a bug.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import json
import sys
import typing
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import tyro

from sparring import __version__, catalogue

if TYPE_CHECKING:
    from sparring.api import Result
    from sparring.core.config import Config
    from sparring.core.model import Model, Verb
    from sparring.judging.compare import Comparison, Entry
    from sparring.judging.evaluation import Answer
    from sparring.judging.story import Story

Arguments = list[str]


def main(arguments: Arguments | None = None) -> NoReturn:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Arguments) -> int:
    """Run the command line and give the exit status."""
    _plain_warnings()
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:
        from sparring.core.errors import UserError

        if not isinstance(error, UserError):
            raise
        _complain(str(error))
        return 2


def _dispatch(arguments: Arguments) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"sparring {__version__}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        _complain(f"no command {name!r}; " + (f"did you mean {near[0]!r}?" if near else "see `sparring --help`"))
        return 2
    return COMMANDS[name](rest) or 0


def overview() -> str:
    """The help of `sparring` itself."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {_summary(command)}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: sparring COMMAND ...",
            "",
            "Generative adversarial networks: train them, judge them, use them.",
            "",
            *lines,
            "",
            "`sparring COMMAND --help` tells more. A first run: sparring train dcgan",
        ]
    )


def _summary(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")


def _complain(text: str) -> None:
    print(f"sparring: {' '.join(text.split())}", file=sys.stderr)


def _plain_warnings() -> None:
    def show(message: Warning | str, *_: Any) -> None:
        print(f"sparring: {message}", file=sys.stderr)

    warnings.showwarning = show  # type: ignore[assignment]


def _parse(function: Callable[..., Any], name: str, arguments: Arguments) -> Any:
    """Call a typed function with the flags that tyro reads off it."""
    return tyro.cli(function, prog=f"sparring {name}", args=arguments)


# --- list ---------------------------------------------------------------------------------------------------------------


def list_methods(arguments: Arguments) -> None:
    """Show every method with its paper, task and idea."""

    def show(json: bool = False) -> None:
        """Show every method with its paper, task and idea.

        Args:
            json: as JSON.
        """
        _show_methods(json)

    _parse(show, "list", arguments)


def _show_methods(as_json: bool) -> None:
    found = [dataclasses.asdict(method) for method in catalogue.methods().values()]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("method", "task", "idea", "paper", box=None, pad_edge=False)
    for method in found:
        table.add_row(
            f"[bold]{method['name']}", method["task"], method["idea"], f"{method['paper']} arXiv:{method['arxiv']}"
        )
    Console().print(table)


# --- train, resume ------------------------------------------------------------------------------------------------------


def train(arguments: Arguments) -> int:
    """Train a model: sparring train METHOD [--data SOURCE] [flags]."""
    name, rest = _first(
        arguments, "METHOD", "sparring train METHOD [--data SOURCE] [--steps N] ...; `sparring list` shows the methods"
    )
    from sparring import api
    from sparring.core.config import presets

    method = catalogue.find(name)
    rest, preset = _take(rest, "--preset")
    rest, data = _take(rest, "--data")
    base = api.starting_point(name, preset or "default")
    if data is not None:
        base = api.with_data(base, data)
    kind = _flags(type(base), list(presets(type(base))))
    flags = tyro.cli(
        kind,
        prog=f"sparring train {name}",
        args=rest,
        default=kind(config=base),
        description=f"{method.paper} arXiv:{method.arxiv}\n\n{method.idea}",
        config=(tyro.conf.AvoidSubcommands,),
    )
    return _report(api.start(name, flags.config, flags.run))


def _flags(config: type[Config], names: list[str]) -> type:
    """The flags of `train`: those of a run, and the config's own without a prefix."""

    def explained(kind: Any, text: str, *aliases: str) -> Any:
        return Annotated[kind, tyro.conf.arg(help=text, aliases=aliases)]

    source = (
        "what to learn from: a folder, .zip, .tar, .npy, .npz, idx, .parquet, .csv or .jsonl file, a prepared store, or a "
        "known name (digits, mnist, fashion_mnist, cifar10); the same as --data.source"
    )
    return dataclasses.make_dataclass(
        "Flags",
        [
            ("config", Annotated[config, tyro.conf.arg(name="")]),
            ("run", explained(Path | None, "folder of the run; runs/METHOD-NNN by default", "--out"), None),
            ("data", explained(str | None, source), None),
            ("preset", explained(Literal[tuple(names)], "named starting point of all other flags"), "default"),
        ],
        frozen=True,
    )


def _take(arguments: Arguments, flag: str) -> tuple[Arguments, str | None]:
    """Take `--flag value` or `--flag=value` out of the arguments: it decides what the other flags are."""
    rest, value = [], None
    remaining = iter(arguments)
    for argument in remaining:
        if argument == flag:
            value = next(remaining, None)
            if value is None:
                _usage(f"{flag} needs a value")
        elif argument.startswith(f"{flag}="):
            value = argument.partition("=")[2]
        else:
            rest.append(argument)
    return rest, value


def _first(arguments: Arguments, what: str, usage: str) -> tuple[str, Arguments]:
    """The command's first word and the rest."""
    if not arguments or arguments[0].startswith("-"):
        if arguments and arguments[0] in ("-h", "--help"):
            print(f"usage: {usage}")
            sys.exit(0)
        _usage(f"{what} is missing: {usage}")
    return arguments[0], arguments[1:]


def _usage(text: str) -> NoReturn:
    from sparring.core.errors import UserError

    raise UserError(text)


def resume(arguments: Arguments) -> int:
    """Go on with a run exactly where it stopped."""

    def play(run: tyro.conf.Positional[Path], steps: int | None = None, device: str | None = None) -> Any:
        """Go on with a run exactly where it stopped.

        Args:
            run: the run's folder.
            steps: a new last step.
            device: another device.
        """
        from sparring import api

        return api.go_on(run, steps, device)

    return _report(_parse(play, "resume", arguments))


def _report(result: Result) -> int:
    """Say where everything lies and what to do next."""
    from sparring.core.model import verbs

    if not result.finished:
        _complain(f"stopped at step {result.step}, saved; `sparring resume {result.folder}` goes on")
        return 130
    for name, path in result.made.items():
        print(f"{name:<10} {path}")
    print(f"model      {result.folder / 'model.safetensors'}")
    print("\nTry next:")
    for verb in list(verbs(type(result.model)).values())[:2]:
        print(f"  sparring apply {result.folder} {verb.name} {verb.example}")
    print(f"  sparring evaluate {result.folder}")
    return 0


# --- apply --------------------------------------------------------------------------------------------------------------


def apply(arguments: Arguments) -> int:
    """Use a trained model: sparring apply RUN VERB [flags]; without VERB, show what it can do."""
    path, rest = _first(
        arguments, "RUN", "sparring apply RUN [VERB] [flags]; without VERB, shows what the model can do"
    )
    from sparring import api
    from sparring.core.model import verbs

    model = api.load(path)
    known = verbs(type(model))
    if not rest or rest[0] in ("-h", "--help"):
        print(
            "\n".join(f"{verb.summary}\n  sparring apply {path} {verb.name} {verb.example}" for verb in known.values())
        )
        return 0
    if rest[0] not in known:
        near = difflib.get_close_matches(rest[0], known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        _usage(f"this model has no verb {rest[0]!r}; {hint}it can {', '.join(known)}")
    verb = known[rest[0]]
    return tyro.cli(_callable(verb, model), prog=f"sparring apply {path} {verb.name}", args=rest[1:])


def _callable(verb: Verb, model: Model) -> Callable[..., int]:
    """A function with the verb's own flags, with files in the place of media, that saves what the verb gives."""
    from sparring import batch
    from sparring.core import Precision, device
    from sparring.core.media import medium

    hints = typing.get_type_hints(verb.function, include_extras=True)
    given = list(inspect.signature(verb.function).parameters.values())[1:]
    media = {item.name: kind for item in given if (kind := medium(hints[item.name]))}
    kinds = {item.name: tyro.conf.Positional[Path] if item.name in media else hints[item.name] for item in given}
    own = {"out": Path | None, "device": str, "precision": Precision | None}
    defaults = {"out": None, "device": "auto", "precision": None}

    def call(**values: Any) -> int:
        out, where, precision = (values.pop(name) for name in own)
        model.to(device.pick(where))
        if precision is not None:
            model.config = model.config.replace(precision=device.precision(precision, model.device))

        def deliver(made: Any, path: Path | None, deep: bool) -> None:
            _deliver(made, hints["return"], path, verb.name, model, deep)

        return 2 if batch.on_files(model, verb.function, values, media, out, deliver) else 0

    parameters = [item.replace(annotation=kinds[item.name], kind=inspect.Parameter.KEYWORD_ONLY) for item in given]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=kind)
        for name, kind in own.items()
    ]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {**kinds, **own}
    doc = inspect.getdoc(verb.function) or ""
    many = " A folder of pictures, or a film, in the place of a picture: each is worked on." if media else ""
    call.__doc__ = (
        doc
        + ("" if "Args:" in doc else "\n\nArgs:")
        + f"\n    out: file (or folder) to write; its suffix chooses the format.{many}"
        + "\n    device: auto, cpu, cuda, mps, ..."
        + "\n    precision: of the networks: bfloat16 is half of it and often quick; the run's own by default.\n"
    )
    return call


def _deliver(value: Any, hint: Any, out: Path | None, name: str, model: Model, deep: bool = False) -> None:
    """Save what has a medium, print what has not."""
    from torch import Tensor

    from sparring.core.media import medium

    if (kind := medium(hint)) is not None:
        whole = not isinstance(value, Tensor) or value.dim() == 4 or (out and out.suffix == ".npy")
        drawn = value if whole else model.config.data.picture(value)
        print(kind.save(drawn, out or Path(f"{name}{kind.default}"), deep))
        return
    fields = typing.get_type_hints(type(value), include_extras=True) if hasattr(value, "_fields") else {}
    for field, field_hint in fields.items():
        item = getattr(value, field)
        if medium(field_hint):
            _deliver(item, field_hint, out, name, model, deep)
        else:
            shown = (
                [[round(number, 4) for number in row] for row in item.tolist()] if isinstance(item, Tensor) else item
            )
            print(f"{field}: {json.dumps(shown)}")


# --- evaluate, data, doctor ---------------------------------------------------------------------------------------------


def evaluate(arguments: Arguments) -> None:
    """Judge trained models by metrics that carry their protocol."""

    def ask(
        runs: tyro.conf.Positional[tuple[Path, ...]],
        data: str | None = None,
        metrics: tuple[str, ...] = (),
        extractor: str = "",
        samples: int = 10_000,
        seed: int = 0,
        controls: bool = False,
        device: str = "auto",
        json: bool = False,
    ) -> None:
        """Judge trained models by metrics that carry their protocol.

        Args:
            runs: runs' folders or model files.
            data: what to compare with; the data that each was trained on by default.
            metrics: fid, kid, prdc, modes, ...; all that fit by default.
            extractor: what makes features: pixels, judge (see `sparring judge`), inception, or a .onnx, .pt, .pth or
                .safetensors file; by default the judge that is kept for the data, or else pixels.
            samples: how many samples, and at most as many real examples.
            seed: of the samples and of the choice of real examples.
            controls: also judge other real examples, and the same networks untrained.
            device: auto, cpu, cuda, mps, ...
            json: as JSON.
        """
        from sparring import api

        if not runs:
            _usage("RUN is missing: sparring evaluate RUN [RUN ...]")
        answers = {
            str(run): api.evaluate(
                run, data, metrics=metrics, extractor=extractor, samples=samples, seed=seed, controls=controls,
                device_name=device,
            )
            for run in runs
        }  # fmt: skip
        if json:
            print(_json({run: answer.as_dict() for run, answer in answers.items()}))
        else:
            _show_answers(answers)

    _parse(ask, "evaluate", arguments)


def _control(kind: str, run: str, runs: int) -> str:
    return kind if runs == 1 else f"{kind}, for {run}"


def _show_answers(answers: dict[str, Answer]) -> None:
    """A table with a column for each run and each control; below it the protocols, and what was refused."""
    from rich.console import Console
    from rich.table import Table

    columns = {
        name: {value.name: value for value in values}
        for run, answer in answers.items()
        for name, values in {
            run: answer.values,
            **{_control(kind, run, len(answers)): found for kind, found in answer.controls.items()},
        }.items()
    }
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    lines: dict[str, int] = {}
    table = Table("metric", *columns, box=None, pad_edge=False)
    for name in names:
        row = []
        for column in columns.values():
            value = column.get(name)
            if value is None:
                row.append("")
                continue
            number = lines.setdefault(str(value.protocol), len(lines) + 1)
            spread = "" if value.spread is None else f" ± {value.spread:.2g}"
            row.append(f"{value.value:.5g}{spread} [dim]({number})")
        table.add_row(name, *row)
    console = Console()
    console.print(table)
    print("\nProtocols; numbers with different ones do not belong in one column:")
    for line, number in lines.items():
        print(f"({number}) {line}")
    for run, answer in answers.items():
        for metric, reason in answer.refused.items():
            print(f"{run}: no {metric}: {reason}")


def data(arguments: Arguments) -> int:
    """Look into data, prepare it once, or cut out faces: sparring data inspect | prepare | faces SOURCE [OUT]."""
    actions = {"inspect": _inspect, "prepare": _prepare, "faces": _faces}
    usage = "sparring data inspect SOURCE [--json] | sparring data prepare SOURCE OUT [flags] | sparring data faces SOURCE OUT"
    name, rest = _first(arguments, "what to do", usage)
    if name not in actions:
        _usage(f"no such thing as `sparring data {name}`; {usage}")
    return actions[name](rest) or 0


def _inspect(arguments: Arguments) -> None:
    def look(source: tyro.conf.Positional[str], json: bool = False) -> None:
        """Say what a source holds: sizes, channels, bit depth, labels, bad files by name.

        Args:
            source: a folder, archive, array file, table, prepared store or known name.
            json: as JSON.
        """
        from sparring.data.inspect import inspect as inspect_source

        report = inspect_source(source)
        print(_json(report.as_dict()) if json else report.render())

    _parse(look, "data inspect", arguments)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2)


def _prepare(arguments: Arguments) -> None:
    from sparring.data.images import Images

    def make(
        source: tyro.conf.Positional[str],
        out: tyro.conf.Positional[Path],
        size: int = 0,
        channels: int = 0,
        fit: Literal["crop", "pad", "stretch"] = "crop",
        bad: float = 0.05,
        workers: int = 4,
    ) -> None:
        """Decode and resize a source once, into a store that training reads memory-mapped.

        Args:
            source: a folder, archive, array file, table or known name.
            out: folder of the store.
            size: side in pixels; 0 for the source's own.
            channels: 1 for grey, 3 for colour; 0 for the source's own.
            fit: how an image becomes square: crop the middle, pad with black bars, or stretch.
            bad: largest share of unreadable files that is tolerated.
            workers: threads that decode.
        """
        from sparring.data.inspect import prepare

        images = Images(source, size, channels, fit, bad=bad, workers=workers)
        print(prepare(source, out, images).render())

    _parse(make, "data prepare", arguments)


def _faces(arguments: Arguments) -> None:
    def make(source: tyro.conf.Positional[Path], out: tyro.conf.Positional[Path], size: int = 96) -> None:
        """Cut the largest face out of a photo, or out of every photo of a folder: what face models learn from and work on.

        Args:
            source: a picture, or a folder of them.
            out: a .png file for a picture, a folder for a folder.
            size: side in pixels of what is cut out.
        """
        from sparring.data.faces import cut_all

        if size < 1:
            _usage(f"--size is {size}; it is at least 1")
        count, left_out = cut_all(source, out, size)
        for reason in left_out:
            _complain(reason)
        print(f"{count:,} {'face' if count == 1 else 'faces'}  {out}")

    _parse(make, "data faces", arguments)


def judge(arguments: Arguments) -> int:
    """Train or list the judges that look at pictures for us: sparring judge train [--data SOURCE], sparring judge list."""
    actions = {"train": _train_judge, "list": _list_judges}
    usage = "sparring judge train [--data SOURCE] [flags] | sparring judge list [--json]"
    name, rest = _first(arguments, "what to do", usage)
    if name not in actions:
        _usage(f"no such thing as `sparring judge {name}`; {usage}")
    return actions[name](rest) or 0


def _train_judge(arguments: Arguments) -> None:
    def make(
        data: str = "digits",
        out: Path | None = None,
        epochs: int = 0,
        seed: int = 0,
        size: int = 0,
        channels: int = 0,
        fit: Literal["crop", "pad", "stretch"] = "crop",
        labels: bool = True,
        device: str = "auto",
    ) -> None:
        """Train a small feature extractor on data and keep it: `sparring evaluate RUN --extractor judge` uses it.

        Args:
            data: what to learn from: a folder, archive, array file, table, prepared store or known name.
            out: file to write (.safetensors); the cache by default, where it is found again.
            epochs: passes through the data; 0: as many as it takes.
            seed: of the split, the first weights and the order.
            size: side of the run's pictures; 0 for the source's own.
            channels: of the run's pictures; 0 for the source's own.
            fit: how an image becomes square: crop the middle, pad with black bars, or stretch.
            labels: learn to tell the data's classes apart, if it has any; otherwise how pictures were turned.
            device: auto, cpu, cuda, mps, ...
        """
        from sparring.core import device as devices
        from sparring.data.images import Images
        from sparring.judging import judge

        if out is not None and out.suffix != ".safetensors":
            _usage(f"--out {out}: a judge's file ends in .safetensors")
        if epochs < 0:
            _usage(f"--epochs is {epochs}; it is at least 1, or 0 for as many as it takes")
        trained = judge.train(Images(data, size, channels, fit), epochs, seed, labels, True, devices.pick(device))
        path = trained.save(out) if out else judge.keep(trained)
        card = trained.card
        print(
            f"{card.name}\naccuracy {card.accuracy:.2%} of {card.held_out:,} held out, in {card.seconds:.0f} s\n{path}"
        )

    _parse(make, "judge train", arguments)


def _list_judges(arguments: Arguments) -> None:
    def show(json: bool = False) -> None:
        """Show the judges that are kept.

        Args:
            json: as JSON.
        """
        from sparring.judging import judge

        found = judge.kept()
        if json:
            print(_json([{"file": str(path), **dataclasses.asdict(card)} for path, card in found.items()]))
            return
        for path, card in found.items():
            print(f"{card.name}  {card.channels} x {card.size} x {card.size}  {path}")
        if not found:
            print("no judge is kept; `sparring judge train --data SOURCE` makes one")

    _parse(show, "judge list", arguments)


# --- compare, diagnose --------------------------------------------------------------------------------------------------


def compare(arguments: Arguments) -> None:
    """Set runs side by side: what they are, what they cost, how good they are."""

    def ask(
        runs: tyro.conf.Positional[tuple[Path, ...]],
        data: str | None = None,
        metrics: tuple[str, ...] = (),
        extractor: str = "",
        samples: int = 10_000,
        seed: int = 0,
        out: Path = Path("compare.html"),
        device: str = "auto",
        json: bool = False,
    ) -> None:
        """Set runs side by side: a table here, and a page with samples, curves, health and alarms.

        Args:
            runs: folders of two runs or more.
            data: what to judge all of them by; the data that each was trained on by default.
            metrics: fid, kid, prdc, modes, ...; all that fit by default.
            extractor: what makes features: pixels, judge, inception or a file; by default the judge that is kept for the
                data, or else pixels.
            samples: how many samples of each run, and at most as many real examples.
            seed: of the samples and of the choice of real examples.
            out: the page, an .html file.
            device: auto, cpu, cuda, mps, ...
            json: print JSON instead of the table.
        """
        from sparring import api

        found = api.compare(
            runs, data, metrics=metrics, extractor=extractor, samples=samples, seed=seed, out=out, device_name=device
        )
        if json:
            print(_json(found.as_dict()))
        else:
            _show_comparison(found)

    _parse(ask, "compare", arguments)


def _show_comparison(found: Comparison) -> None:
    """A column for each run; values that are not comparable bear the number of the reason below."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from sparring.judging import compare as comparing

    table = Table("", *(Column(Text(entry.label)) for entry in found.entries), box=None, pad_edge=False)
    facts = [entry.facts | comparing.costs(entry.cost) | _alarm_names(entry) for entry in found.entries]
    for name in dict.fromkeys(name for fact in facts for name in fact):
        table.add_row(name, *(Text(fact.get(name, "")) for fact in facts))
    table.add_row()
    for name, values in found.differences.items():
        table.add_row(Text(name), *(Text("" if value is None else str(value)) for value in values))
    table.add_row()
    marks, reasons = comparing.numbered(comparing.mismatches(found.columns))
    for name in found.metrics:
        cells = []
        for run, column in found.columns.items():
            unlike = f"  [≠ {marks[name, run]}]" if (name, run) in marks else ""
            cells.append(Text(comparing.said(column[name]) + unlike if name in column else ""))
        table.add_row(Text(f"{name} {comparing.arrow(name)}", "bold"), *cells)
    Console().print(table)
    if reasons:
        print("\nNot comparable, though in one row:")
    for reason, number in reasons.items():
        print(f"[≠ {number}] {reason}")
    for entry in found.entries:
        if entry.unjudged:
            print(f"{entry.label}: no metrics: {entry.unjudged}")
        for metric, reason in (entry.answer.refused if entry.answer else {}).items():
            print(f"{entry.label}: no {metric}: {reason}")
    print(f"\npage  {found.page}")


def _alarm_names(entry: Entry) -> dict[str, str]:
    return {"alarms": ", ".join(f"{alarm.text} ({alarm.step:,.0f})" for alarm in entry.alarms) or "none"}


def diagnose(arguments: Arguments) -> None:
    """Tell what became of a game: what was wrong with it, since when, why, and what to do."""

    def ask(
        run: tyro.conf.Positional[Path],
        data: str | None = None,
        gap: bool = True,
        out: Path = Path("diagnosis.html"),
        device: str = "auto",
        json: bool = False,
    ) -> None:
        """Tell what became of a game: a summary here, and a page with curves, pictures and modes.

        Args:
            run: the run's folder.
            data: where the run's data lies now, if it has moved.
            gap: also measure the duality gap: each player plays on alone for a while.
            out: the page, an .html file.
            device: auto, cpu, cuda, mps, ...
            json: print JSON instead of the summary.
        """
        from sparring import api

        story = api.diagnose(run, data, gap=gap, out=out, device_name=device)
        if json:
            print(_json(story.as_dict()))
        else:
            _show_story(story)

    _parse(ask, "diagnose", arguments)


def _show_story(story: Story) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from sparring.judging.page import sentence
    from sparring.judging.story import explained

    console = Console(highlight=False)
    console.print(Text(story.verdict, "bold"))
    for episode in story.episodes:
        finding = episode.finding
        title = f"{finding.name}, from step {episode.began:,}, {episode.until}"
        console.print()
        console.print(Text(title, "red" if finding.kind == "alarm" else "green"))
        for text in (finding.text, finding.cause, finding.advice):
            if text:
                console.print(Padding(Text(sentence(text)), (0, 0, 0, 2)))
    for text in (explained(story.gap) if story.gap else "", *story.missing):
        if text:
            console.print()
            console.print(Text(text))
    print(f"\npage  {story.page}")


# --- convert ------------------------------------------------------------------------------------------------------------


def convert(arguments: Arguments) -> None:
    """Make a model of weights that others have trained: sparring convert FILE --as METHOD --out RUN."""

    def make(
        files: tyro.conf.Positional[tuple[Path, ...]],
        out: Path,
        method: Annotated[str, tyro.conf.arg(name="as")],
    ) -> None:
        """Make a model of weights that others have trained. Files are read as tensors and never run.

        Args:
            files: .pth, .pt or .safetensors: for cyclegan one generator, or both, there and back.
            out: folder of the run to make, or a .safetensors file.
            method: whose networks they are: cyclegan or pix2pix (generators of the PyTorch repository of their authors), or
                srgan (BasicSR's MSRResNet, x2 and x4, and ESRGAN's RRDB, x4).
        """
        from sparring import api
        from sparring.convert import convert as made_of
        from sparring.core.model import verbs

        path = made_of(list(files), method, out)
        print(f"model      {path}\n\nTry next:")
        for verb in list(verbs(type(api.load(path))).values())[:2]:
            print(f"  sparring apply {path} {verb.name} {verb.example}")

    _parse(make, "convert", arguments)


# --- doctor ---------------------------------------------------------------------------------------------------------------


def doctor(arguments: Arguments) -> int:
    """Check this machine: versions, devices, precision, threads, memory, disk; what is wrong and how to mend it."""

    def check(json: bool = False) -> int:
        """Check this machine: versions, devices, precision, threads, memory, disk; what is wrong and how to mend it.

        Args:
            json: as JSON.
        """
        from sparring import doctor

        report = doctor.examine()
        print(_json(report) if json else doctor.render(report))
        return 0

    return _parse(check, "doctor", arguments)


COMMANDS: dict[str, Callable[[Arguments], int | None]] = {
    "list": list_methods,
    "train": train,
    "resume": resume,
    "apply": apply,
    "evaluate": evaluate,
    "compare": compare,
    "diagnose": diagnose,
    "data": data,
    "judge": judge,
    "convert": convert,
    "doctor": doctor,
}
