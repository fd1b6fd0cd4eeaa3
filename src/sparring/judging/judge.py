"""Judges: small extractors of our own, trained on the run's data and kept, so that pictures of any kind can be judged.

Where the data has labels a judge learns to tell the classes apart. Where it has none it learns to tell by how many quarter
turns a picture was rotated, for which it must know what is in it. Gidaris et al., "Unsupervised Representation Learning by
Predicting Image Rotations", 2018. arXiv:1803.07728. Its features are the 128 numbers before the last layer.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring.core import device as devices
from sparring.core.checkpoint import write_atomic
from sparring.core.config import from_json, to_json
from sparring.core.errors import UserError
from sparring.core.progress import Progress
from sparring.data.cache import cache_folder
from sparring.data.images import Images, ImageSet
from sparring.judging.extractors import Device, Extractor, Features, channels_last
from sparring.judging.resize import bicubic, eight_bit
from sparring.networks.judged import KEY, LARGEST, WIDTHS, convolutions

FORMAT = 1
FEATURES = 128
SMALLEST = 16
"""side of the smallest pictures that a judge looks at"""
BATCH = 128
PIECE = 500
"""pictures at a time where nothing is learned"""
EXAMPLES = 100_000
"""most that a judge learns from and is tested on"""
HELD_OUT = 10_000
LEAST = 50
"""examples below which there is no point in training"""
SEEN = 220_000
"""about how many pictures a judge sees in all epochs together, unless it is told how many epochs"""
CLASSES = 10_000
FILE_LIMIT = 2**26


@dataclass(frozen=True)
class Card:
    """What a judge's file says of it."""

    source: str
    """the data that it learned from"""
    fingerprint: str
    """of that data"""
    size: int
    """side of the pictures that it takes"""
    channels: int
    task: Literal["classes", "rotations"]
    """what it learned to tell apart"""
    class_names: tuple[str, ...]
    accuracy: float
    """share of the held-out pictures that it got right"""
    held_out: int
    """pictures that it never learned from"""
    examples: int
    """pictures that it learned from"""
    epochs: int
    seconds: float
    """that training took"""
    seed: int
    version: str
    """of sparring"""
    digest: str
    """first 8 digits of the weights' hash"""
    format: int = FORMAT

    @property
    def side(self) -> int:
        """Side of the pictures that the network sees."""
        return min(self.size, LARGEST)

    @property
    def name(self) -> str:
        """What stands in the protocol of every number."""
        task = "" if self.task == "classes" else " (self-supervised: rotations)"
        return f"judge {Path(self.source).name}{task} {self.accuracy:.1%} sha256:{self.digest}".replace("%", " %")


class Network(nn.Module):
    """Pictures, N x C x side x side in [-1, 1], to 128 features and to logits."""

    def __init__(self, channels: int, side: int, outputs: int):
        super().__init__()
        small = math.ceil(side / (8 if side > 32 else 4))
        self.body = nn.Sequential(
            *convolutions(channels, side),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(WIDTHS[-1] * small * small, FEATURES),
            nn.BatchNorm1d(FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, outputs)

    def forward(self, images: Tensor) -> Features:
        features = self.body(images)
        return Features(features, self.head(features))


class Judge(Extractor):
    """A trained judge. Its logits are those of the data's classes; a self-supervised one has none."""

    def __init__(self, network: Network, card: Card, device: Device = "cpu"):
        self.card, self.device, self.name = card, torch.device(device), card.name
        self.network = channels_last(network.to(device)).eval().requires_grad_(False)
        self.classes = len(card.class_names)
        self.resize = f"{card.side} px antialiased bicubic, 8 bit" if card.size != card.side else "none, 8 bit"

    def features(self, examples: Tensor) -> Features:
        wanted = (self.card.channels, self.card.size, self.card.size)
        if examples.shape[1:] != wanted:
            found, right = (" x ".join(map(str, shape)) for shape in (examples.shape[1:], wanted))
            raise UserError(f"{self.name}: judges pictures of {right}; these are {found}")
        seen = self.network(bicubic(eight_bit(examples), self.card.side) / 127.5 - 1)
        return seen if self.classes else Features(seen.features)

    def classify(self, images: Tensor) -> Tensor:
        """How likely each picture (N x C x H x W in [-1, 1]) belongs to each class: N x classes, in host memory.

        Raises:
            UserError: the judge knows no classes, or the pictures are of another shape.
        """
        if not self.classes:
            raise UserError(f"{self.name}: learned from data without labels, so it knows no classes")
        parts = [self(part).logits for part in images.split(PIECE)]
        return torch.cat([part.softmax(1).cpu() for part in parts if part is not None])

    def save(self, path: Path) -> Path:
        """Write the judge as one file, whole or not at all. Raises UserError if that cannot be."""
        card = json.dumps(to_json(self.card))
        weights = {key: value.cpu().contiguous() for key, value in self.network.state_dict().items()}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, safetensors.torch.save(weights, {KEY: card}))
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
        return path


class Shares(NamedTuple):
    """What a judge says of many pictures."""

    sure: float
    """share of which it is sure"""
    classes: list[float]
    """share of each class among those"""


def shares(probabilities: Tensor, sure: float = 0.9) -> Shares:
    """Which classes pictures show. `probabilities`: N x classes; `sure`: the least that counts as being sure."""
    certainty, label = probabilities.max(1)
    counts = torch.bincount(label[certainty >= sure], minlength=probabilities.shape[1]).double()
    return Shares((certainty >= sure).double().mean().item(), (counts / counts.sum().clamp(min=1)).tolist())


# --- training -----------------------------------------------------------------------------------------------------------


class Lesson(NamedTuple):
    """Examples in memory, and what is to be told of them."""

    images: np.ndarray
    """uint8 N x side x side x C"""
    labels: np.ndarray
    """int64 (N,); all 0 where rotations are to be told"""
    outputs: int
    task: Literal["classes", "rotations"]


def train(
    data: Images, epochs: int = 0, seed: int = 0, labels: bool = True, show: bool = False, device: Device = "cpu"
) -> Judge:
    """Train a judge on data; on a processor, the same seed gives the same judge. It is not kept: see `keep`.

    Args:
        data: what to learn from; a tenth of it (at most 10,000 pictures) is held out to measure the accuracy.
        epochs: passes through the data; 0: so many that about 220,000 pictures are seen, from 4 to 40.
        seed: of the split, the first weights and the order.
        labels: learn the data's classes, if it has any; otherwise rotations. Classes that a glance tells apart (colour
            and grey, say) teach little.
        show: progress on standard error.
        device: where to compute.

    Raises:
        UserError: the data cannot be read, or is not fit to learn from.
    """
    began = time.perf_counter()
    data = _plain(data)
    dataset = data.open()
    channels, size, _ = data.shape
    if size < SMALLEST or channels > 4:
        raise UserError(
            f"{data.source}: pictures of {channels} channels and {size} px; a judge takes 1 to 4 channels and "
            f"{SMALLEST} px or more"
        )
    chance = torch.Generator().manual_seed(seed)
    lesson, held_out = _split(dataset, min(size, LARGEST), chance, data.source, labels)
    epochs = epochs or min(max(round(SEEN / len(lesson.images)), 4), 40)
    with torch.random.fork_rng([device] if torch.device(device).type == "cuda" else []):
        torch.manual_seed(seed)
        network = Network(channels, min(size, LARGEST), lesson.outputs)
        channels_last(network.to(device))
        _learn(network, lesson, epochs, chance, show)
    card = Card(
        source=data.source,
        fingerprint=dataset.fingerprint,
        size=size,
        channels=channels,
        task=lesson.task,
        class_names=tuple(dataset.class_names) if lesson.task == "classes" else (),
        accuracy=_accuracy(network, held_out),
        held_out=len(held_out.images),
        examples=len(lesson.images),
        epochs=epochs,
        seconds=round(time.perf_counter() - began, 1),
        seed=seed,
        version=metadata.version("sparring"),
        digest=_digest(network),
    )
    return Judge(network, card, device)


def _plain(data: Images) -> Images:
    """The data as a judge knows it: whether the run mirrors its pictures is the run's business."""
    return data.resolved().replace(flip=False)


def _split(dataset: ImageSet, side: int, chance: torch.Generator, source: str, labelled: bool) -> tuple[Lesson, Lesson]:
    """What is learned from and what is held out."""
    known = np.flatnonzero(dataset.labels >= 0)
    outputs = len(dataset.class_names)
    told = labelled and len(np.unique(dataset.labels[known])) > 1 and len(known) >= LEAST and outputs <= CLASSES
    rows = known if told else np.arange(len(dataset))
    if len(rows) < LEAST:
        raise UserError(f"{source}: {len(rows)} pictures; a judge needs at least {LEAST}")
    rows = rows[torch.randperm(len(rows), generator=chance).numpy()][:EXAMPLES]
    images = _small(dataset, rows, side)
    labels = dataset.labels[rows] if told else np.zeros(len(rows), np.int64)
    count = min(len(rows) // 10, HELD_OUT)

    def part(chosen: slice) -> Lesson:
        return Lesson(images[chosen], labels[chosen], outputs if told else 4, "classes" if told else "rotations")

    return part(slice(count, None)), part(slice(count))


def _small(dataset: ImageSet, rows: np.ndarray, side: int) -> np.ndarray:
    """These pictures, of at most `side` pixels, as bytes."""
    if dataset.images.shape[1] == side:
        return dataset.images[rows]
    small = np.empty((len(rows), side, side, dataset.images.shape[3]), np.uint8)
    for start in range(0, len(rows), PIECE):
        pictures = torch.from_numpy(dataset.images[rows[start : start + PIECE]]).permute(0, 3, 1, 2).float()
        shrunk = bicubic(pictures, side).round().clamp(0, 255).to(torch.uint8)
        small[start : start + PIECE] = shrunk.permute(0, 2, 3, 1).numpy()
    return small


def _learn(network: Network, lesson: Lesson, epochs: int, chance: torch.Generator, show: bool) -> None:
    """Cross-entropy, Adam, one cycle of the learning rate; each picture is shifted a little."""
    device = next(network.parameters()).device
    count = len(lesson.images)
    batch = min(BATCH, count)
    rounds = count // batch
    optimizer = torch.optim.Adam(network.parameters(), fused=device.type in ("cpu", "cuda"))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * rounds + 1)
    progress = Progress(epochs * rounds, 0, batch, show)
    network.train()
    for step in range(epochs * rounds):
        if step % rounds == 0:
            order = torch.randperm(count, generator=chance).numpy()
        rows = order[step % rounds * batch :][:batch]
        images, labels = _shifted(lesson.images, rows, chance), torch.from_numpy(lesson.labels[rows])
        if lesson.task == "rotations":
            labels = torch.randint(4, (len(rows),), generator=chance)
            images = _rotated(images, labels)
        with devices.autocast("auto", device):
            logits = network(_prepared(images, device)).logits
        loss = functional.cross_entropy(logits.float(), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            progress.values({"loss": loss.item()})
        progress.update(step + 1)
    progress.close(epochs * rounds)
    network.eval()


def _prepared(images: Tensor, device: torch.device) -> Tensor:
    """Bytes, N x H x W x C, as the network takes them."""
    return images.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def _shifted(images: np.ndarray, rows: np.ndarray, chance: torch.Generator) -> Tensor:
    """Pictures moved by up to a fourteenth of their side each way; what comes in at the edge repeats it."""
    side = images.shape[1]
    reach = max(side // 14, 1)
    shift = torch.randint(-reach, reach + 1, (2, len(rows), 1), generator=chance).numpy()
    down, right = (np.arange(side) + shift).clip(0, side - 1)
    return torch.from_numpy(images[rows[:, None, None], down[:, :, None], right[:, None, :]])


def _rotated(images: Tensor, turns: Tensor) -> Tensor:
    """N x H x W x C, each by so many quarter turns."""
    turned = images.clone()
    for number in (1, 2, 3):
        turned[turns == number] = images[turns == number].rot90(number, (1, 2))
    return turned


@torch.no_grad()
def _accuracy(network: Network, lesson: Lesson) -> float:
    """Share of the answers that are right; of rotations, all four of each picture are asked for."""
    device = next(network.parameters()).device
    right = 0
    turns = range(4) if lesson.task == "rotations" else range(1)
    for start in range(0, len(lesson.images), PIECE):
        images = torch.from_numpy(lesson.images[start : start + PIECE])
        labels = torch.from_numpy(lesson.labels[start : start + PIECE]).to(device)
        for turn in turns:
            answer = network(_prepared(images.rot90(turn, (1, 2)), device)).logits.argmax(1)
            right += int((answer == labels + turn).sum())
    return right / (len(lesson.images) * len(turns))


# --- files --------------------------------------------------------------------------------------------------------------


def _digest(network: nn.Module) -> str:
    """The first 8 digits of a hash of all weights."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def keep(judge: Judge) -> Path:
    """Keep a judge in the cache, where `find` and `kept` look. Raises UserError if it cannot be written."""
    return judge.save(_place(judge.card.fingerprint))


def _place(fingerprint: str) -> Path:
    return cache_folder("judges") / f"judge-{fingerprint[:16]}.safetensors"


def find(data: Images, device: Device = "cpu") -> Judge | None:
    """The judge that is kept for this data, its size and its channels, if there is one.

    Raises:
        UserError: the data cannot be read, or the judge's file is damaged.
    """
    fingerprint = _plain(data).open().fingerprint
    path = _place(fingerprint)
    if not path.is_file():
        return None
    judge = load(path, device)
    return judge if judge.card.fingerprint == fingerprint else None


def kept() -> dict[Path, Card]:
    """The judges in the cache, by their files. Damaged ones are left out, with a warning."""
    found = {}
    for path in sorted(cache_folder("judges").glob("judge-*.safetensors")):
        try:
            found[path] = read_card(path)
        except UserError as error:
            warnings.warn(str(error), stacklevel=2)
    return found


def read_card(path: Path) -> Card:
    """What a judge's file says of it.

    Raises:
        UserError: the file is missing, damaged, too large, or not a judge.
    """
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise UserError(f"{path}: larger than any judge ({FILE_LIMIT:,} bytes)")
        with safetensors.safe_open(path, framework="pt") as file:
            given: Any = json.loads((file.metadata() or {})[KEY])
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, KeyError, ValueError, RecursionError, safetensors.SafetensorError) as error:
        raise UserError(f"{path}: not a judge, or damaged ({type(error).__name__}: {error})") from None
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise UserError(f"{path}: a judge of another version of sparring; train it again")
    card: Card = from_json(Card, given, str(path))
    fits = card.size >= SMALLEST and 1 <= card.channels <= 4 and len(card.class_names) <= CLASSES
    if not fits or (card.task == "classes") != bool(card.class_names) or not 0 <= card.accuracy <= 1:
        raise UserError(f"{path}: not a judge, or damaged: its card makes no sense")
    return card


def load(path: Path, device: Device = "cpu") -> Judge:
    """Read a judge. Nothing in the file is executed; shapes are compared before any memory is taken.

    Raises:
        UserError: the file is missing, damaged, not a judge, or its weights are not those of its card.
    """
    card = read_card(path)
    outputs = len(card.class_names) or 4
    with torch.device("meta"):
        network = Network(card.channels, card.side, outputs)
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    with safetensors.safe_open(path, framework="pt") as file:
        held = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    if held != wanted:
        names = sorted(name for name in held.keys() | wanted.keys() if held.get(name) != wanted.get(name))
        raise UserError(f"{path}: its weights do not fit its card ({', '.join(names[:3])}, ...); train it again")
    network.load_state_dict(safetensors.torch.load_file(path), assign=True)
    if _digest(network) != card.digest:
        raise UserError(f"{path}: damaged: its weights are not the ones of its card; delete it and train it again")
    return Judge(network, dataclasses.replace(card), device)
