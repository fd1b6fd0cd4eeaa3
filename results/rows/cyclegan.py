"""CycleGAN: does it keep what a picture shows, and does it reach the kind that it aims at?"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from results.judge import digit_judge, judge_of_kinds, judge_of_pictures
from results.real import home, place
from results.training import cell, trained
from sparring import api
from sparring.core.config import Config, to_json
from sparring.core.model import Model
from sparring.data.images import Images
from sparring.data.unpaired import Domains, coloured, colours
from sparring.judging import likeness
from sparring.judging.extractors import extract
from sparring.judging.samples import read
from sparring.metrics.frechet import frechet
from sparring.metrics.pairs import luma

ORDER = 71
TITLE = "CycleGAN: another look, the same content"
CLAIM = (
    "`sparring train cyclegan`. **Digits**: MNIST in grey and others of them dark on a colour, 28 px. *Kept*: a test "
    "digit is coloured, taken back to grey by its strokes alone (dark is light), and the judge of MNIST still sees "
    "its label; *cycle*: mean absolute difference between a test digit and itself there and back, on a scale of 2. "
    "Control: no cycle and no identity term. **Pictures**, 64 px, portraits and drawn faces with `--preset faces`: "
    "Fréchet distance to the kind that is aimed at, for what the model made and for the untouched input, of paintings"
    " and photos of the test set, and of the faces that it learned from; in the features of a judge that tells eleven"
    " kinds of pictures (portraits, two kinds of drawn faces, two of emoji, photos, paintings of five styles), and "
    "*by turns*: of one that has learned on the aimed-at kind alone how pictures were turned. The latter is given for"
    " completeness: what it makes of the same drawings, mirrored, stands below. *Kept*, of all pairs of faces: the "
    "same one has the darker skin (nose and cheeks), or hair (above the forehead), before and after, 50 % by chance; "
    "and of portraits that clearly look to a side (by landmarks), those whose cartoon looks to it, too."
)
PAINTINGS = "unpaired/impressionism2photo-128.zip"
PORTRAITS, CARTOONS = "faces/portraits-96.zip/colour", "faces/cartoon-faces-96.zip/lorelei"
FACE = (20, 13, 70)
"""left, top and side of the square of a cartoon in which its face lies as a portrait's does"""
HAIRS = (
    "#0e0e0e", "#3a1d06", "#562306", "#6a4e35", "#796a45", "#ac6511", "#ab2a18", "#cb6820", "#b9a05f", "#e5d7a3", "#afafaf",
)  # fmt: skip
"""hair colours that people have"""
SKINS = {
    "#ffe0c4": 200, "#f2d3b1": 200, "#ecad80": 200, "#d78774": 200, "#c68642": 60, "#9e5622": 25, "#763900": 25,
}  # fmt: skip
"""skin colours, and how many drawings of each are taken at most"""
LANDMARKS = "faces/portraits-landmarks.json.gz"
PLACES = {"skin": (slice(31, 43), slice(25, 39)), "hair": (slice(3, 12), slice(24, 40))}
"""rows and columns, of 64, of nose and cheeks, and of the hair above the forehead"""
SEEDS = (0,)


def config(name: str, seed: int = 0, root: str = "") -> Config:
    """`root`: below which the sets lie; the key of a cell does not depend on it."""
    start = api.starting_point("cyclegan").replace(seed=seed, watch=False, preview_every=10**9)
    if name.startswith("digits"):
        data = Domains("coloured:mnist", size=28, jitter=0, flip=False, channels=3)
        changes = {"cycle": 0.0, "identity": 0.0} if name.endswith("without") else {}
        return start.replace(
            data=data, width=16, blocks=3, batch=16, discriminator_width=24, field=16, steps=3000, **changes
        )
    if name == "paintings":
        return start.replace(data=Domains(f"{root}{PAINTINGS}", size=64, channels=3), steps=4000)
    cartoons = str(aligned()) if root else f"{CARTOONS} {FACE} {HAIRS} {SKINS}"
    data = Domains(f"{root}{PORTRAITS}", cartoons, size=64, channels=3)
    return api.starting_point("cyclegan", "faces").replace(data=data, seed=seed, watch=False, preview_every=10**9)


def aligned() -> Path:
    """Cartoons, cut out so that their faces lie as those of the portraits do, on white, and of about their colours.

    Skin and hair of the drawings are drawn at random: a method that matches whole sets would give half of all people dark skin,
    and a third blue or green hair.
    """
    path = Path("build/results/cyclegan/cartoons-matched.npy")
    if not path.exists():
        left, top, side = FACE
        with zipfile.ZipFile(place(CARTOONS).removesuffix("/lorelei")) as archive:
            with archive.open("attributes.csv") as file:
                table = list(csv.DictReader(io.TextIOWrapper(file)))
            found, counts = [], dict.fromkeys(SKINS, 0)
            for row in table:
                if (
                    row["style"] == "lorelei"
                    and row["hair_color"] in HAIRS
                    and counts[row["skin_color"]] < SKINS[row["skin_color"]]
                ):
                    counts[row["skin_color"]] += 1
                    with archive.open(row["file"]) as stream, Image.open(stream) as image:
                        whole = image.convert("RGB")
                    for corner in ((0, 0), (whole.width - 1, 0)):
                        ImageDraw.floodfill(whole, corner, (255, 255, 255), thresh=3)
                    found.append(np.asarray(whole.crop((left, top, left + side, top + side))))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.stack(found))
    return path


NAMES = ("faces", "digits", "digits without", "paintings")


def inputs() -> Any:
    return [to_json(config(name)) for name in NAMES]


def compute(work: Path) -> Any:
    found = {
        name: cell("cyclegan", to_json(config(name)), lambda name=name: measure(name, work / name.replace(" ", "-")))
        for name in NAMES
    }
    return {**found, "mirrored": cell("cyclegan", "mirrored", lambda: mirrored(work / "faces"))}


def mirrored(work: Path) -> dict[str, float]:
    """Fréchet distance of the drawings to themselves, mirrored: by the judge of kinds, and by turns."""
    drawings = config("faces", root=home()).data.plain().open().sets[1].images
    judges = {"kinds": judge_of_kinds(), "turns": judge_of_pictures(drawings, work / "judge")}
    found = {}
    for name, expert in judges.items():
        given, turned = (extract(expert, floats(each)).features for each in (drawings, drawings[:, :, ::-1]))
        found[name] = round(frechet(given, turned), 1)
    return found


def measure(name: str, work: Path) -> dict[str, Any]:
    if name.startswith("digits"):
        return digits(config(name), work)
    chosen = config(name, root=home())
    model, seconds = trained("cyclegan", chosen, work)
    data = chosen.data.plain()
    if name == "paintings":
        data = data.replace(source=f"{chosen.data.source}/testA", other=f"{chosen.data.source}/testB")
    learned, dataset = chosen.data.plain().open(), data.open()
    found: dict[str, Any] = {"seconds": round(seconds)}
    turned = [judge_of_pictures(kind.images, work / "judge") for kind in reversed(learned.sets)]
    for verb, expert in zip(("translate", "back"), turned):
        for judge, judged in ((judge_of_kinds(), ""), (expert, " turned")):
            both = likeness.judge(model, data, dataset, judge, 500, 0)
            for kind, values in zip(("ours", "untouched"), both):
                known = {value.name: value.value for value in values}
                found[f"{verb} {kind}{judged}"] = round(known[f"{verb}_feature_fid"], 2)
                found[f"{verb} cycle"] = found.get(f"{verb} cycle") or round(known.get(f"{verb}_cycle_l1", 0.0), 3)
    return {**found, **traits(model)} if name == "faces" else found


def traits(model: Model) -> dict[str, float]:
    """How often what should be kept of a face is: which of two is darker of skin, or of hair, and where it looks."""
    portraits, cartoons = (floats(each.images) for each in model.config.data.plain().open().sets)
    with model.using():
        there = torch.cat([model.there(part) for part in portraits.split(100)])
        home = torch.cat([model.home(part) for part in cartoons.split(100)])
    found = {}
    for verb, given, made in (("translate", portraits, there), ("back", cartoons, home)):
        for name, (rows, columns) in PLACES.items():
            before, after = (luma(each[:, :, rows, columns]).mean((1, 2, 3)) for each in (given, made))
            found[f"{verb} {name}"] = round(concordance(before, after), 3)
    direction, accuracy = facing(cartoons)
    points = json.loads(gzip.decompress(Path(place(LANDMARKS)).read_bytes()))["points"]
    face = torch.tensor([points[name] for name in sorted(points) if name.startswith("colour/")])[:, :, 0]
    turned = face[:, 30] - (face[:, 0] + face[:, 16]) / 2
    clear = turned.abs() > 0.1 * (face[:, 16] - face[:, 0])
    same = (direction(there) > 0) == (turned > 0)
    share = (turned[clear] > 0).float().mean().item()
    return {
        **found,
        "pose": round(same[clear].float().mean().item(), 3),
        "pose chance": round(max(share, 1 - share), 3),
        "pose judge": round(accuracy, 3),
        "pose count": int(clear.sum()),
    }


def floats(pictures: np.ndarray) -> Tensor:
    """uint8 N x H x W x C to N x C x H x W in [-1, 1]."""
    return torch.from_numpy(pictures.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1


def concordance(before: Tensor, after: Tensor) -> float:
    """Share of all pairs of which the same one is the darker; 0.5 by chance."""
    signs = (before[:, None] - before).sign() * (after[:, None] - after).sign()
    return ((signs > 0).sum() / (signs != 0).sum()).item()


def facing(cartoons: Tensor) -> tuple[Callable[[Tensor], Tensor], float]:
    """What tells cartoons that look to the right, as all of the set do, from mirrored ones: positive for the former.

    Returns:
        it, by ridge regression on their greys at 16 x 16, and its accuracy on a fifth that it has not seen.
    """

    def seen(pictures: Tensor) -> Tensor:
        grey = functional.interpolate(luma(pictures), (16, 16), mode="area").flatten(1)
        return torch.cat([grey - grey.mean(1, keepdim=True), torch.ones(len(grey), 1)], 1).double()

    new = torch.arange(len(cartoons)) % 5 == 0
    both = torch.cat([seen(cartoons[~new]), seen(cartoons[~new].flip(3))])
    wanted = torch.cat([torch.ones(len(both) // 2), -torch.ones(len(both) // 2)]).double()
    weights = torch.linalg.solve(both.T @ both + len(both) * torch.eye(both.shape[1]).double(), both.T @ wanted)
    right = ((seen(cartoons[new]) @ weights > 0).sum() + (seen(cartoons[new].flip(3)) @ weights < 0).sum()).item()
    return lambda pictures: seen(pictures) @ weights, right / (2 * int(new.sum()))


def digits(chosen: Config, work: Path) -> dict[str, Any]:
    model, seconds = trained("cyclegan", chosen, work)
    expert, _ = digit_judge()
    images, labels = read(Images("digits").resolved().open(), 10_000, 0)
    assert labels is not None
    given = images.expand(-1, 3, -1, -1)
    with model.using():
        there = torch.cat([model.there(part) for part in given.split(500)])
        home = torch.cat([model.home(part) for part in there.split(500)])
        ground = coloured(((images + 1) * 127.5).byte().permute(0, 2, 3, 1), colours(len(images), seed=1))
        found = ground.permute(0, 3, 1, 2).float() / 127.5 - 1
        back = torch.cat([model.home(part) for part in found.split(500)])
    return {
        "kept": round(agreement(expert, strokes(there), labels), 4),
        "kept_back": round(agreement(expert, back.mean(1, keepdim=True), labels), 4),
        "cycle": round((home - given).abs().mean().item(), 4),
        "colour": round(there.flatten(2).median(2).values.std(0).mean().item(), 3),
        "seconds": round(seconds),
    }


def strokes(pictures: Tensor) -> Tensor:
    """Pictures of dark strokes on a colour to light strokes on black: how much darker than the ground each pixel is."""
    brightest = pictures.amax(1, keepdim=True)
    ground = brightest.flatten(1).median(1).values.view(-1, 1, 1, 1)
    return (2 * (ground - brightest) / (ground + 1).clamp(min=0.1) - 1).clamp(-1, 1)


def agreement(expert: Any, pictures: Tensor, labels: Tensor) -> float:
    return (expert.classify(pictures).argmax(1) == labels).float().mean().item()


def render(value: Any) -> str:
    lines = [
        "| digits | label kept, grey to colour | label kept, colour to grey | cycle | spread of colours | training, s |",
        "|---|---|---|---|---|---|",
    ]
    for name, title in (("digits", "CycleGAN"), ("digits without", "control: no cycle, no identity")):
        if run := value.get(name):
            lines.append(
                f"| {title} | {run['kept']:.1%} | {run['kept_back']:.1%} | {run['cycle']:.3f} | {run['colour']:.2f} | "
                f"{run['seconds']} |"
            )
    parts = ["\n".join(lines)]
    lines = [
        "| pictures | Fréchet, ours | untouched | by turns, ours | untouched | cycle | training, s |",
        "|---|---|---|---|---|---|---|",
    ]
    titles = {
        "faces": ("portrait to cartoon", "cartoon to portrait"),
        "paintings": ("painting to photo", "photo to painting"),
    }
    for name, both in titles.items():
        if run := value.get(name):
            for verb, title in zip(("translate", "back"), both):
                keys = (f"{verb} {kind}{judge}" for judge in ("", " turned") for kind in ("ours", "untouched"))
                numbers = " | ".join(f"{run[key]:.1f}" for key in keys)
                lines.append(f"| {title} | {numbers} | {run[f'{verb} cycle']:.3f} | {run['seconds']} |")
    parts.append("\n".join(lines))
    if run := value.get("mirrored"):
        parts.append(f"The drawings, to themselves mirrored: {run['kinds']:.1f}, by turns {run['turns']:.1f}.")
    if run := value.get("faces"):
        lines = ["| of a face is kept | skin | hair | side that it looks to |", "|---|---|---|---|"]
        pose = f"{run['pose']:.1%} of {run['pose count']} (one side for all: {run['pose chance']:.1%})"
        for verb, title, last in (("translate", "portrait to cartoon", pose), ("back", "cartoon to portrait", "-")):
            lines.append(f"| {title} | {run[f'{verb} skin']:.1%} | {run[f'{verb} hair']:.1%} | {last} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
