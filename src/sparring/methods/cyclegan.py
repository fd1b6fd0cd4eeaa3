"""CycleGAN. Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017. arXiv:1703.10593

Two generators turn each of two kinds of pictures into the other; what went there and back must come home as it was.
Differs from the paper in: the default is narrower, for minutes on a processor, and takes batches of several at a higher rate.
The `paper` preset has the paper's widths and rates. `tone` is not the paper's.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring import core, tasks
from sparring.core.schedule import flat_then_linear
from sparring.data.unpaired import DomainBatch, Domains
from sparring.losses import adversarial
from sparring.networks.instance import held
from sparring.networks.patches import Patches
from sparring.networks.pool import Pool
from sparring.networks.tone import Tone
from sparring.networks.translator import MULTIPLE, Translator
from sparring.tasks.compared import Compared


@dataclass(frozen=True)
class Config(core.Config):
    data: Domains = Domains(size=64)
    width: int = 32
    """channels of the generators at the full size; doubled with each of two halvings"""
    blocks: int = 6
    """residual blocks of the generators; 6 for 128 px and 9 for 256 px in the paper"""
    discriminator_width: int = 32
    """channels of the discriminators' first layer"""
    field: int = 34
    """side of the patches that are judged: 1, 16, 34, 70, 142 or 286 px"""
    cycle: float = 10.0
    """lambda: weight of the absolute difference between a picture and itself there and back"""
    identity: float = 0.5
    """weight, as a share of `cycle`, of the absolute difference that a generator makes to a picture of its own target kind: it
    keeps colours"""
    tone: float = 0.0
    """weight of how far a translation strays from being as light or dark, for its kind and place by place, as what it was
    made of: keeps skins and hairs"""
    pool: int = 50
    """forgeries that a discriminator's pool holds"""
    two_way: bool = True
    """whether the model also has the way back; one that was converted from others' weights may not"""
    adam: core.Adam = core.Adam(lr=4e-4, betas=(0.5, 0.999))
    steady: float = 0.5
    """share of the run after which the learning rate falls, to nothing at the end"""
    batch: int = 4
    """examples in a batch (on each process)"""
    steps: int = 6000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.cycle, self.identity, self.tone) < 0:
            raise core.UserError("--cycle, --identity and --tone are at least 0")
        if self.pool < 0:
            raise core.UserError(f"--pool is {self.pool}; it is at least 0")
        if self.data.size % MULTIPLE or self.data.size < 16:
            near = max(16, round(self.data.size / MULTIPLE) * MULTIPLE)
            raise core.UserError(
                f"--data.size is {self.data.size}; it is a multiple of {MULTIPLE} from 16 on: {near}, say"
            )

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's networks and rates at 256 px: batches of one, 200 passes through a set of 1,000."""
        return cls(
            data=Domains(size=256), width=64, blocks=9, discriminator_width=64, field=70,
            adam=core.Adam(lr=2e-4, betas=(0.5, 0.999)), batch=1, steps=200_000, ema=0.0,
        )  # fmt: skip

    @classmethod
    @core.preset
    def faces(cls) -> Config:
        """Faces and cartoons, and other kinds that are far apart: the cycle binds less, a face is judged as a whole, and
        what is light stays light."""
        return cls(cycle=3.0, tone=0.5, field=70, steps=4500)

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(
            data=Domains(size=16, flip=False), width=4, blocks=1, discriminator_width=4, field=16, tone=1.0, pool=6,
            batch=4, steps=4, log_every=1,
        )  # fmt: skip


class Model(tasks.Translate):
    """G: from the first set to the second, and F, back."""

    def __init__(self, config: Config):
        super().__init__(config)
        count = config.data.shape[0]
        self.there = Translator(count, count, config.width, config.blocks)
        self.home = Translator(count, count, config.width, config.blocks) if config.two_way else None
        self.channels, self.multiple, self.reach = (count, count), MULTIPLE, self.there.reach

    def forth(self, image: Tensor) -> Tensor:
        return self.there(image)

    @contextmanager
    def steadied(self, network: tasks.translate.Network, image: Tensor) -> Iterator[None]:
        translator = self.home if network is self.home and self.home is not None else self.there
        with held(translator, image):
            yield

    @core.verb("image.png --out back.png")
    def back(self, image: core.Image, size: int = 0) -> core.Image:
        """Turn a picture of the second kind into one of the first.

        Args:
            image: a picture of any size.
            size: its shorter side while it is worked on; 0: the picture's own.
        """
        if self.home is None:
            raise core.UserError("this model knows one direction only: it was converted from the weights of one")
        return self.through(self.home, image, size, *self.channels)

    def compare(self, dataset: core.Dataset, index: Tensor, chance: torch.Generator) -> list[Compared]:
        first, second = dataset.prepare(dataset.batch(index, chance))
        ways = [("translate", self.there, self.home, first, second)]
        if self.home is not None:
            ways.append(("back", self.home, self.there, second, first))
        found = []
        with self.using():
            for verb, network, inverse, given, real in ways:
                made = network(given.to(self.device))
                cycle = {}
                if inverse is not None:
                    cycle["cycle_l1"] = (inverse(made).cpu() - given).abs().mean((1, 2, 3))
                found.append(Compared(verb, made.cpu(), real, given, paired=False, further=cycle))
        return found

    def shown(self, seed: int) -> list[Tensor]:
        chance = torch.Generator().manual_seed(seed)
        dataset = self.config.data.open()
        index = torch.randperm(len(dataset), generator=chance)[:8]
        first, second = dataset.prepare(dataset.batch(index, chance))
        with self.using():
            rows = [first, self.there(first.to(self.device)).cpu()]
            return rows if self.home is None else [*rows, second, self.home(second.to(self.device)).cpu()]


class Game(core.Game[Model, Config]):
    """Section 3: both generators move at once, then each discriminator, on forgeries from its pool."""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        if model.home is None:
            raise core.UserError("--no-two-way: a cycle needs both ways; models of one way can be used, not trained")
        self.home, shape = model.home, config.data.shape
        made = [Patches(shape[0], config.field, config.discriminator_width, False, shape[1]) for _ in range(2)]
        self.first_discriminator, self.second_discriminator = made
        self.first_pool, self.second_pool = Pool(config.pool, shape), Pool(config.pool, shape)
        self.tone = Tone() if config.tone else None
        self.generator_player = core.Player(model.there, self.home, optimizer=config.adam)
        self.first_player = core.Player(self.first_discriminator, optimizer=config.adam)
        self.second_player = core.Player(self.second_discriminator, optimizer=config.adam)

    def step(self, batches: Iterator[DomainBatch]) -> dict[str, Tensor]:
        config, notes, batch = self.config, core.Notes(), next(batches)
        rate = config.adam.lr * flat_then_linear(1, 0, config.steady, self.progress)
        first, second = self.parts(batch.first), self.parts(batch.second)
        if self.tone is not None:
            self.tone.see(*batch)
        forged: list[tuple[Tensor, Tensor]] = []
        self.generator_player.minimize((self.translate(*pair, forged, notes) for pair in zip(first, second)), lr=rate)

        fake_second, fake_first = (torch.cat(each) for each in zip(*forged))
        for discriminator, player, pool, real, fake in (
            (self.first_discriminator, self.first_player, self.first_pool, first, fake_first),
            (self.second_discriminator, self.second_player, self.second_pool, second, fake_second),
        ):
            old = self.parts(pool.exchange(fake))
            judged = (adversarial.least_squares(*discriminator(torch.cat(pair)).chunk(2)) for pair in zip(real, old))
            notes.note("discriminators", player.minimize(judged, lr=rate))
        return notes.means()

    def translate(
        self, first: Tensor, second: Tensor, forged: list[tuple[Tensor, Tensor]], notes: core.Notes
    ) -> Tensor:
        """Equation 3, and the identity term of section 5.2."""
        forth, back, config = self.model.there, self.home, self.config
        # Each network sees in one pass what it has to do: what it is to translate, and what it is to leave alone.
        keeps = bool(config.identity and config.cycle)
        there, *same_second = forth(torch.cat([first, second]) if keeps else first).split(len(first))
        home, *same_first = back(torch.cat([second, first]) if keeps else second).split(len(second))
        forged.append((there.detach(), home.detach()))
        fooled = adversarial.least_squares_generator(self.second_discriminator(there))
        fooled = fooled + adversarial.least_squares_generator(self.first_discriminator(home))
        cycle = (back(there) - first).abs().mean() + (forth(home) - second).abs().mean()
        notes.note("fooled", fooled / 2)
        notes.note("cycle", cycle / 2)
        loss = fooled + config.cycle * cycle
        if keeps:
            kept = (same_second[0] - second).abs().mean() + (same_first[0] - first).abs().mean()
            notes.note("identity", kept / 2)
            loss = loss + config.identity * config.cycle * kept
        if self.tone is not None:
            strayed = self.tone.strayed(first, there, 0) + self.tone.strayed(second, home, 1)
            notes.note("tone", strayed / 2)
            loss = loss + config.tone * strayed
        return loss
