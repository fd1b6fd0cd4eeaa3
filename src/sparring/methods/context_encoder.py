"""Context encoders. Pathak et al., "Context Encoders: Feature Learning by Inpainting", 2016. arXiv:1604.07379

An encoder-decoder learns what belongs into a hole from what is around it: near the truth on average, and such that a
discriminator does not see where it was filled.
Differs from the paper in: a hole is shown with a soap film drawn over it (each pixel the mean of its neighbours, from rim
to rim), and the network makes what that film lacks; without `film` it is shown in the mean colour of what is left of its
own picture, not of all pictures. In the default preset, half the width, a bottleneck of fewer units, a fifth of the weight
of the adversarial loss, and no more weight on the overlap than on the hole, since seams are taken off where pictures are
filled (`paper` has the 4,000 units of the released code, and the weights); rates fall towards the end, and a running
average of the weights is shipped. For holes of other shapes than the middle square, the network is told where they are and
makes the whole picture, and the discriminator sees the picture with its holes filled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sparring import core, tasks
from sparring.core.schedule import linear
from sparring.data import masks
from sparring.data.images import ImageBatch, Images
from sparring.data.photos import Photos
from sparring.losses import adversarial
from sparring.networks import context
from sparring.tasks.inpaint import membrane, widened


@dataclass(frozen=True)
class Config(core.Config):
    data: Photos | Images = Photos(size=128)
    holes: Literal["centre", "blocks", "free"] = "centre"
    """what is left out: the middle, of half the side; rectangles; or bent strokes, both up to a quarter of the picture"""
    film: bool = True
    """show holes covered by a soap film from rim to rim, and make what it lacks; otherwise in the mean colour of the rest, and
    make all"""
    overlap: int = 7
    """pixels around a hole that are seen and made nevertheless, so that the filling joins on; the centre's hole is smaller
    by them"""
    overlap_weight: float = 1.0
    """weight of these pixels in the reconstruction; 10 in the paper"""
    reconstruction_weight: float = 0.999
    """weight of the squared error"""
    adversarial_weight: float = 0.0002
    """weight of the adversarial loss, 0.001 in the paper; 0: no discriminator"""
    width: int = 32
    """channels at half the full size; up to eight times as many at the coarsest"""
    bottleneck: int = 512
    """units between encoder and decoder"""
    discriminator_width: int = 16
    """the discriminator's channels at half of what it sees"""
    adam: core.Adam = core.Adam(lr=2e-3, betas=(0.5, 0.999))
    discriminator_adam: core.Adam = core.Adam(lr=2e-4, betas=(0.5, 0.999))
    final_rate: float = 0.1
    """share of both learning rates that is left at the end"""
    batch: int = 32
    """examples in a batch (on each process)"""
    steps: int = 7000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.overlap < 0:
            raise core.UserError(f"--overlap must be at least 0, not {self.overlap}")
        if not min(self.overlap_weight, self.reconstruction_weight, self.adversarial_weight) >= 0:
            raise core.UserError(
                "--overlap-weight, --reconstruction-weight and --adversarial-weight must be at least 0, not "
                f"{self.overlap_weight}, {self.reconstruction_weight} and {self.adversarial_weight}"
            )

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The released code's networks at 128 px: 64 to 512 channels, a bottleneck of 4,000, constant rates."""
        return cls(
            film=False, overlap_weight=10.0, adversarial_weight=0.001, width=64, bottleneck=4000, discriminator_width=64,
            batch=64, steps=100_000, ema=0.0, final_rate=1.0,
        )  # fmt: skip

    @classmethod
    @core.preset
    def reconstruction(cls) -> Config:
        """The control: no adversarial term, and so the mean of what may be."""
        return cls(adversarial_weight=0.0)

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(
            data=Images("digits", size=32), overlap=1, width=4, bottleneck=16, discriminator_width=4, batch=8,
            steps=4, log_every=1,
        )  # fmt: skip


class Model(tasks.Inpaint):
    def __init__(self, config: Config):
        super().__init__(config)
        channels, size, _ = config.data.shape
        self.kind, self.whole, self.overlap = config.holes, config.holes != "centre", config.overlap
        self.mirror, self.film = config.data.flip, config.film
        self.core = size // 2 if self.whole else size // 2 - 2 * config.overlap
        if self.core < 1:
            raise core.UserError(f"--overlap {config.overlap} leaves no hole in pictures of {size} px")
        self.generator = context.Filler(
            channels + self.whole, config.data.shape, config.width, config.bottleneck, self.whole
        )

    def holes(self, count: int, device: torch.device) -> Tensor:
        if not self.whole:
            return masks.centre(count, self.window, device, self.overlap)
        return (masks.blocks if self.kind == "blocks" else masks.free)(count, self.window, device)

    def seen(self, image: Tensor, hole: Tensor) -> Tensor:
        """What the network is given: holes covered; and where they are, if that changes."""
        known = 1 - hole
        if self.film:
            with torch.no_grad():
                film = membrane(self.made(image).contiguous(), self.made(known).contiguous())
                image = image.clone()
                self.made(image).copy_(film)
        else:
            colour = (image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp(min=1)
            image = torch.lerp(image, colour, hole)
        return torch.cat([image, hole], 1) if self.whole else image

    def drawn(self, seen: Tensor) -> Tensor:
        """What belongs in pictures whose holes are covered, as far as the network makes them."""
        found = self.generator(seen)
        return found + self.made(seen[:, : found.shape[1]]) if self.film else found

    def made(self, images: Tensor) -> Tensor:
        """The part of pictures that the network makes: all, or the middle."""
        if self.whole:
            return images
        quarter, half = self.window // 4, self.window // 2
        return images[:, :, quarter : quarter + half, quarter : quarter + half]

    def complete(self, images: Tensor, hole: Tensor) -> Tensor:
        filled = images.clone()
        self.made(filled).copy_(self.drawn(self.seen(images, hole)))
        return filled


class Game(core.Game[Model, Config]):
    """Equation 3: the joint loss."""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        self.generator_player = core.Player(model.generator, optimizer=config.adam)
        if config.adversarial_weight:
            side = config.data.shape[1] // (1 if model.whole else 2)
            self.discriminator = context.Discriminator((config.data.shape[0], side, side), config.discriminator_width)
            self.discriminator_player = core.Player(self.discriminator, optimizer=config.discriminator_adam)

    def step(self, batches: Iterator[ImageBatch]) -> dict[str, Tensor]:
        model, config, notes = self.model, self.config, core.Notes()
        fall = linear(1, config.final_rate, self.progress)
        image = next(batches).image
        real, holes = self.parts(image), self.parts(model.holes(len(image), image.device))
        fake = core.Replay(model.drawn, [model.seen(part, hole) for part, hole in zip(real, holes)])

        if config.adversarial_weight:
            judged = (self.judge(*each, notes) for each in zip(real, holes, fake))
            self.discriminator_player.minimize(judged, lr=config.discriminator_adam.lr * fall)
        losses = (self.joint(*each, notes) for each in zip(real, holes, fake))
        loss = self.generator_player.minimize(losses, lr=config.adam.lr * fall)
        return {"generator": loss, **notes.means()}

    def judge(self, real: Tensor, hole: Tensor, fake: Tensor, notes: core.Notes) -> Tensor:
        """Equation 2, the discriminator's side."""
        real_score = self.discriminator(self.model.made(real))
        fake_score = self.discriminator(self.shown(real, hole, fake.detach()))
        loss = adversarial.discriminator_loss(real_score, fake_score)
        notes.note("discriminator", loss)
        notes.note("D(x)", real_score.float().sigmoid().mean())
        notes.note("D(F(x))", fake_score.float().sigmoid().mean())
        return loss

    def joint(self, real: Tensor, hole: Tensor, fake: Tensor, notes: core.Notes) -> Tensor:
        """Equations 1 to 3."""
        made = self.model.made
        error = (made(real) - fake).square().mean(1, keepdim=True)
        weight = made(self.weights(hole))
        reconstruction = (weight * error).sum() / weight.sum()
        notes.note("error in holes", (made(hole) * error).sum() / hole.sum())
        loss = self.config.reconstruction_weight * reconstruction
        if self.config.adversarial_weight:
            score = self.discriminator(self.shown(real, hole, fake))
            loss = loss + self.config.adversarial_weight * adversarial.non_saturating(score)
        return loss

    def weights(self, hole: Tensor) -> Tensor:
        """Of each pixel in the reconstruction: 1 in a hole, more around it, 0 elsewhere. Section 3.2."""
        return hole + self.config.overlap_weight * (widened(hole, self.config.overlap) - hole)

    def shown(self, real: Tensor, hole: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator sees of a forgery: the middle as it was made, or the picture with its holes filled."""
        return torch.lerp(real, fake, hole) if self.model.whole else fake
