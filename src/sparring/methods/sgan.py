"""SGAN. Salimans et al., "Improved Techniques for Training GANs", 2016. arXiv:1606.03498

A classifier that must also tell real pictures from forged ones learns from pictures without labels, so that a few
labels do.
Differs from the paper in: a seventh of the steps, with a learning rate that falls in the second half; the running
average of the classifier follows faster and starts at the first weights and not at zero; the generator's batch norm has
gains. The `paper` preset has the paper's schedule. Of its several techniques, this is feature matching for
semi-supervised learning (sections 3.1 and 5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sparring import core, tasks
from sparring.core.data import Part, hold_out
from sparring.core.schedule import flat_then_linear
from sparring.data.images import ImageBatch, Images
from sparring.data.labels import few_labelled
from sparring.losses import adversarial
from sparring.losses.semi_supervised import feature_matching, realness
from sparring.networks import weight_normalised


@dataclass(frozen=True)
class Config(core.Config):
    data: Images = Images()
    labelled: int = 100
    """images whose label may be known, equally many of each class; 0: all that have one"""
    label_seed: int = 0
    """of the choice of these images"""
    unlabelled_weight: float = 1.0
    """weight of the loss on images without a label, beside that on labelled ones"""
    latent: int = 100
    """length of the noise vector z, uniform in [0, 1]"""
    hidden: tuple[int, ...] = (500, 500)
    """softplus units in each of the generator's hidden layers"""
    classifier: tuple[int, ...] = (1000, 500, 250, 250, 250)
    """ReLU units in each of the classifier's hidden layers"""
    noise_input: float = 0.3
    """standard deviation of the noise on the classifier's input, where black is 0 and white 1"""
    noise: float = 0.5
    """standard deviation of the noise before every later layer"""
    adam: core.Adam = core.Adam(lr=3e-3, betas=(0.5, 0.999))
    final_rate: float = 0.02
    """share of the learning rate that is left at the end; it falls in the second half"""
    batch: int = 100
    """labelled, unlabelled and generated images in a batch, so many of each (on each process)"""
    steps: int = 25_000
    """generator updates in the whole run"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labelled < 0:
            raise core.UserError(f"--labelled must be at least 0, not {self.labelled}")

    @classmethod
    @core.preset
    def paper(cls) -> Config:
        """The paper's MNIST run: 300 epochs, a steady learning rate, an average that moves by 1e-4 a step."""
        return cls(data=Images("mnist"), steps=180_000, final_rate=1.0, ema=0.9999)

    @classmethod
    @core.preset
    def tiny(cls) -> Config:
        """Small enough for a test."""
        return cls(
            data=Images(size=16), labelled=20, latent=8, hidden=(16,), classifier=(32, 16), batch=8, steps=4,
            log_every=1,
        )  # fmt: skip


class Model(tasks.Classify):
    classifier: weight_normalised.Classifier

    def __init__(self, config: Config):
        super().__init__(config)
        self.class_names = config.data.class_names
        self.classifier = weight_normalised.Classifier(
            config.data.shape, config.classifier, config.data.classes, config.noise_input, config.noise
        )


class Game(core.Game[Model, Config]):
    """Section 5: the classifier learns from labelled, unlabelled and generated images; its features are matched."""

    def __init__(self, model: Model, config: Config):
        super().__init__(model, config)
        whole = config.data.open()
        dataset, _ = hold_out(whole, config.held_out)
        index = dataset.index if isinstance(dataset, Part) else torch.arange(len(whole))
        self.known = few_labelled(config.data, whole, index, config.labelled, config.label_seed)
        some = dataset.batch(torch.randperm(len(dataset))[:500], torch.Generator().manual_seed(0))
        model.classifier.calibrate(dataset.prepare(some).image)
        self.generator = weight_normalised.Generator(config.latent, config.hidden, config.data.shape)
        self.classifier_player = core.Player(model.classifier, optimizer=config.adam)
        self.generator_player = core.Player(self.generator, optimizer=config.adam)

    def step(self, batches: Iterator[ImageBatch]) -> dict[str, Tensor]:
        classifier, notes = self.model.classifier, core.Notes()
        rate = self.config.adam.lr * flat_then_linear(1, self.config.final_rate, 0.5, self.progress)
        told, batch = self.draw(), next(batches)
        image, label, real = self.parts(told.image), self.parts(told.label), self.parts(batch.image)
        noise = [torch.rand(len(part), self.config.latent, device=part.device) for part in real]
        fake = core.Replay(self.generator, noise)

        parts = zip(image, label, real, fake)
        judged = (self.judge(named, name, other, forged.detach(), notes) for named, name, other, forged in parts)
        self.classifier_player.minimize(judged, lr=rate)

        # Other images than those that the classifier has just been moved by, as in the paper's code.
        others = self.parts(next(batches).image)
        with torch.no_grad():
            wanted = [classifier.features(part) for part in others]
        matched = (feature_matching(part, classifier.features(forged)) for part, forged in zip(wanted, fake))
        return {**notes.means(), "generator": self.generator_player.minimize(matched, lr=rate)}

    def judge(self, image: Tensor, label: Tensor, real: Tensor, fake: Tensor, notes: core.Notes) -> Tensor:
        """Cross-entropy of the labelled, and half the discriminator's loss of the others."""
        logits = self.model.classifier(torch.cat([image, real, fake]))
        named, unnamed, forged = logits.split([len(image), len(real), len(fake)])
        supervised = functional.cross_entropy(named, label)
        unsupervised = adversarial.discriminator_loss(realness(unnamed), realness(forged)) / 2
        notes.note("labelled", supervised)
        notes.note("unlabelled", unsupervised)
        notes.note("D(x)", realness(unnamed).sigmoid().mean())
        notes.note("D(G(z))", realness(forged).sigmoid().mean())
        return supervised + self.config.unlabelled_weight * unsupervised

    def draw(self) -> ImageBatch:
        """A batch of the labelled images: all of them in turn, as often as it takes."""
        count, wanted, where = len(self.known), self.config.batch, self.model.device
        order = torch.cat([torch.randperm(count) for _ in range(-(-wanted // count))])[:wanted]
        drawn = self.known.batch(order, torch.Generator().manual_seed(self.clock))
        return self.known.prepare(ImageBatch(drawn.image.to(where), drawn.label.to(where)))

    def score(self, examples: Tensor) -> Tensor:
        return realness(self.model.classifier(examples))
