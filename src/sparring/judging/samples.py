"""How a generator of examples is judged: every metric that compares samples with data, ready to be asked for by name.

Each function below turns a `Trial` (samples, real examples, their features, made when first asked for) into values with
their protocol, or says why the question does not fit. The mathematics is in `metrics/`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import cached_property

import torch
from torch import Tensor

from sparring.core import Data, Dataset, UserError
from sparring.data.images import Images
from sparring.data.points import Points
from sparring.data.stacked import Stacked
from sparring.judging.cache import Remembered, real_features
from sparring.judging.extractors import Extractor, Features, Pixels, extract, named
from sparring.metrics import memorisation as copying
from sparring.metrics import modes as mode_counts
from sparring.metrics import ms_ssim as structure
from sparring.metrics import parzen as likelihood
from sparring.metrics import path_length as paths
from sparring.metrics import prdc as neighbourhoods
from sparring.metrics.frechet import frechet_of_moments
from sparring.metrics.inception_score import inception_score_of_logits
from sparring.metrics.intra_class import intra_class
from sparring.metrics.kid import kid as kernel_distance
from sparring.metrics.mmd import mmd as mean_discrepancy
from sparring.metrics.nearest import diversity as mean_distance
from sparring.metrics.sliced_wasserstein import sliced_wasserstein as sliced
from sparring.metrics.transport import transport as optimal_transport
from sparring.metrics.value import Protocol, Value
from sparring.tasks.sample import Sample

ENOUGH_FOR_FID, TRANSPORT_LIMIT, PAIRS, PARZEN_REAL = 2048, 2000, 2000, 1000


class Refused(UserError):
    """The metric does not fit this model or data; the text says why."""


class Trial:
    """Samples of a model beside real examples.

    Args:
        model: the generator.
        data: the config of the real side; `dataset`: it, opened.
        extractor: what makes features.
        count: samples; at most as many real examples.
        batch: examples that go through the extractor at a time.
        seed: of the samples and of the choice of real examples.
        held_out: real examples that were kept from training, for the memorisation test.
    """

    def __init__(
        self,
        model: Sample,
        data: Data,
        dataset: Dataset,
        extractor: Extractor,
        count: int,
        batch: int,
        seed: int,
        held_out: Dataset | None = None,
    ):
        if len(dataset) < 4:
            raise UserError("evaluation needs at least 4 examples of data")
        self.model, self.data, self.dataset, self.extractor = model, data, dataset, extractor
        self.count, self.batch, self.seed, self.held = count, batch, seed, held_out

    @cached_property
    def _real(self) -> tuple[Tensor, Tensor | None]:
        return read(self.dataset, self.count, self.seed)

    @property
    def real(self) -> Tensor:
        return self._real[0]

    @property
    def real_labels(self) -> Tensor | None:
        return self._real[1]

    @cached_property
    def fake(self) -> Tensor:
        return self.model.sample(self.count, self.seed).cpu()

    @cached_property
    def real_features(self) -> Remembered:
        return real_features(self.extractor, self.real, self.dataset.fingerprint, self.batch, self.seed)

    @cached_property
    def fake_features(self) -> Features:
        return extract(self.extractor, self.fake, self.batch)

    @property
    def feature(self) -> tuple[Tensor, Tensor]:
        """Real and generated features, n x d."""
        return self.real_features.features, self.fake_features.features

    def pair(self, limit: int = 0) -> tuple[Tensor, Tensor]:
        """As many real examples as samples (at most `limit`), as pixels."""
        count = min(len(self.real), len(self.fake), limit or len(self.fake))
        return self.real[:count], self.fake[:count]

    @property
    def prefix(self) -> str:
        """Only features of Inception give the numbers of the literature their names."""
        return "" if self.extractor.name.startswith("inception") else "feature_"

    def value(
        self,
        name: str,
        value: float,
        spread: float | None = None,
        settings: str = "",
        *,
        pixels: bool = False,
        real: int | None = None,
        fake: int | None = None,
        warnings: tuple[str, ...] = (),
        dtype: str = "float64",
    ) -> Value:
        extractor = Pixels() if pixels else self.extractor
        protocol = Protocol(
            metric=name,
            settings=settings,
            extractor=extractor.name,
            resize=extractor.resize,
            data=f"{self.data.source} {hashlib.sha256(self.dataset.fingerprint.encode()).hexdigest()[:8]}",
            real=len(self.real) if real is None else real,
            fake=len(self.fake) if fake is None else fake,
            batch=self.batch,
            dtype=dtype,
            seed=self.seed,
            warnings=warnings,
        )
        return Value(name, float(value), protocol, spread)


def read(dataset: Dataset, limit: int, seed: int) -> tuple[Tensor, Tensor | None]:
    """Up to `limit` different examples, chosen by the seed, and their labels where all have one."""
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))[:limit]
    batches = [dataset.prepare(dataset.batch(part, torch.Generator().manual_seed(seed))) for part in order.split(1024)]
    examples = torch.cat([batch[0] for batch in batches])
    labelled = len(batches[0]) > 1 and batches[0][1].dtype == torch.int64 and batches[0][1].dim() == 1
    labels = torch.cat([batch[1] for batch in batches]) if labelled else None
    return examples, labels if labels is not None and int(labels.min()) >= 0 else None


# --- distances between features ---------------------------------------------------------------------------------------


def fid(trial: Trial) -> list[Value]:
    """Fréchet distance between Gaussians fitted to the features. Called FID only with the features of Inception."""
    moments, found = trial.real_features.moments, trial.fake_features.features
    count, width = min(moments.count, len(found)), found.shape[1]
    warnings = []
    if count < ENOUGH_FOR_FID:
        warnings.append(f"biased upwards: {count} examples, {ENOUGH_FOR_FID:,} are the least for a comparison")
    if count <= width:
        warnings.append(f"fewer examples ({count}) than features ({width}): the covariance is singular")
    value = frechet_of_moments(moments, Remembered.moments_of(found))
    return [trial.value(f"{trial.prefix}fid", value, warnings=tuple(warnings))]


def kid(trial: Trial) -> list[Value]:
    """Kernel distance, with its standard error over the subsets."""
    real, fake = trial.feature
    size = min(1000, min(len(real), len(fake)) // 2)
    found = kernel_distance(real, fake, size=size, seed=trial.seed)
    return [trial.value(f"{trial.prefix}kid", found.value, found.spread, f"100 subsets of {size}")]


def prdc(trial: Trial) -> list[Value]:
    """Precision, recall, density and coverage."""
    real, fake = trial.feature
    if min(len(real), len(fake)) < 6:
        raise Refused("it needs at least 6 examples on either side")
    found = neighbourhoods.prdc(real, fake, 5)
    return [trial.value(name, value, None, "k 5") for name, value in found._asdict().items()]


def mmd(trial: Trial) -> list[Value]:
    """Maximum mean discrepancy with a Gaussian kernel."""
    real, fake = trial.feature
    found = mean_discrepancy(real, fake)
    return [trial.value("mmd", found.value, found.spread, "Gaussian kernel, median width, unbiased")]


def inception_score(trial: Trial) -> list[Value]:
    """Exponential of the mutual information between a sample and the class that the extractor sees in it."""
    logits = trial.fake_features.logits
    if logits is None:
        raise Refused(f"the extractor ({trial.extractor.name}) is no classifier: --extractor judge or inception")
    splits = 10 if len(logits) >= 1000 else 1
    found = inception_score_of_logits(logits, splits)
    name = "inception_score" if not trial.prefix else "classifier_score"
    spread = found.spread if splits > 1 else None
    return [trial.value(name, found.value, spread, f"{splits} split{'s' if splits > 1 else ''}", real=0)]


def intra_fid(trial: Trial) -> list[Value]:
    """Mean over the classes of the Fréchet distance within a class; the extractor says which class a sample is of."""
    logits = trial.fake_features.logits
    if trial.real_labels is None:
        raise Refused("the data has no labels")
    if logits is None:
        raise Refused(f"the extractor ({trial.extractor.name}) is no classifier: train one with `sparring judge train`")
    real, fake = trial.feature
    found = intra_class(real, fake, trial.real_labels, logits.argmax(1))
    few = int(torch.bincount(trial.real_labels).min())
    warnings = (f"biased upwards: classes of {few} examples",) if few < ENOUGH_FOR_FID else ()
    return [trial.value("intra_class_fid", found, None, "classes as the extractor sees them", warnings=warnings)]


# --- distances without features ---------------------------------------------------------------------------------------


def sliced_wasserstein(trial: Trial) -> list[Value]:
    """Sliced Wasserstein distance of pixels (or points)."""
    real, fake = trial.pair()
    found = sliced(fake, real, seed=trial.seed)
    return [
        trial.value(
            "sliced_wasserstein", found, None, "512 directions", pixels=True, real=len(real), fake=len(fake), dtype="float32"
        )
    ]  # fmt: skip


def transport(trial: Trial) -> list[Value]:
    """Exact optimal transport between points in the plane."""
    if trial.real[0].numel() > 2:
        raise Refused("exact optimal transport is for points in one or two dimensions; see sliced_wasserstein")
    real, fake = trial.pair(TRANSPORT_LIMIT)
    found = optimal_transport(real, fake)
    return [trial.value("transport", found, None, "power 1", pixels=True, real=len(real), fake=len(fake))]


def diversity(trial: Trial) -> list[Value]:
    """Mean distance of two samples, and of two real examples."""
    return [
        trial.value(name, mean_distance(examples[:2000]), None, "2,000 at most", pixels=True, dtype="float32")
        for name, examples in (("diversity", trial.fake), ("diversity_of_real", trial.real))
    ]


def ms_ssim(trial: Trial) -> list[Value]:
    """Mean structural similarity of two samples, and of two real examples: 1 when all are alike."""
    side = min(trial.fake.shape[2:]) if trial.fake.dim() == 4 else 0
    scales = structure.most_scales(side) if side else 0
    if not scales:
        raise Refused("it is for pictures of at least 11 px")
    sets = (("ms_ssim", trial.fake), ("ms_ssim_of_real", trial.real))
    found = [(name, structure.pairwise_ms_ssim(images, PAIRS, scales, trial.seed)) for name, images in sets]
    settings = f"{PAIRS} pairs, {scales} scales"
    return [trial.value(name, value.value, value.spread, settings, pixels=True) for name, value in found]


def memorisation(trial: Trial) -> list[Value]:
    """Are samples nearer to training examples than fresh real ones are?"""
    if trial.real[0].numel() < 16:
        raise Refused("in so few dimensions data is dense: everything is near a training example")
    held = extract(trial.extractor, read(trial.held, trial.count, trial.seed)[0], trial.batch) if trial.held else None
    real, fake = trial.feature
    found = copying.memorisation(fake, real, held.features if held else None)
    against = f"{len(held.features)} held out" if held else "each against the others"
    settings = f"quantile 0.05, real {against}"
    return [
        trial.value("nearer_than_real", found.share, None, settings),
        trial.value("copying_z", found.z, None, settings),
    ]


def path_length(trial: Trial) -> list[Value]:
    """Perceptual path length in noise space, over the features."""
    if trial.fake.dim() != 4:
        raise Refused("it is for pictures")
    starts, ends = trial.model.seeded_noise(2 * PAIRS, trial.seed).chunk(2)
    with torch.inference_mode():
        found = paths.path_length(
            trial.model.generator.eval(), lambda made: trial.extractor(made.float()).features, starts, ends
        )
    settings = f"z, full, epsilon 1e-4, {PAIRS} pairs"
    return [trial.value("path_length", found.value, found.spread, settings, real=0, fake=2 * PAIRS)]


def parzen(trial: Trial) -> list[Value]:
    """Parzen-window log-likelihood of real examples, samples as centres."""
    if trial.real[0].numel() > 1024:
        raise Refused("it is meaningless above a thousand dimensions")
    real = (trial.real.flatten(1) + 1) / 2 if trial.data.bounded else trial.real.flatten(1)
    centres = (trial.fake.flatten(1) + 1) / 2 if trial.data.bounded else trial.fake.flatten(1)
    cut = min(PARZEN_REAL, len(real) // 2)
    found = likelihood.parzen(centres, real[:cut], real[cut : 3 * cut])
    settings = f"best sigma of 10 in 0.1 to 1 by {cut} others" + (", on [0, 1]" * trial.data.bounded)
    counted = len(real[cut : 3 * cut])
    return [
        trial.value("parzen", found.value, found.standard_error, settings, pixels=True, real=counted),
        trial.value("parzen_sigma", found.sigma, None, settings, pixels=True, real=counted),
    ]


# --- modes ------------------------------------------------------------------------------------------------------------


def modes(trial: Trial) -> list[Value]:
    """How many modes the samples reach: of a mixture in the plane, of stacked images, or classes as the extractor sees them."""
    if isinstance(trial.data, Points):
        return _modes_of_points(trial, trial.data)
    if isinstance(trial.data, Stacked):
        judge = named("judge", trial.data.images())
        digits = [extract(judge, trial.fake[:, index : index + 1], trial.batch) for index in range(trial.fake.shape[1])]
        labels = torch.stack([_logits(found).argmax(1) for found in digits], 1)
        return _modes_of_classes(trial, mode_counts.stacked_labels(labels), 10 ** labels.shape[1], judge.name)
    logits = trial.fake_features.logits
    if logits is None:
        raise Refused(f"the extractor ({trial.extractor.name}) is no classifier: train one with `sparring judge train`")
    return _modes_of_classes(trial, logits.argmax(1), logits.shape[1], trial.extractor.name)


def _logits(found: Features) -> Tensor:
    if found.logits is None:
        raise Refused("the judge of the stacked images is no classifier: they have no labels")
    return found.logits


def _modes_of_points(trial: Trial, data: Points) -> list[Value]:
    found = mode_counts.modes(trial.fake, data.centres(), data.spread)
    settings = f"{found.total} modes, 3 sigma {3 * data.spread:.3g}"
    return [
        trial.value(name, value, None, settings, pixels=True)
        for name, value in (
            ("modes", found.captured), ("high_quality", found.high_quality), ("reverse_kl", found.reverse_kl)
        )
    ]  # fmt: skip


def _modes_of_classes(trial: Trial, labels: Tensor, classes: int, judge: str) -> list[Value]:
    found = mode_counts.class_modes(labels, classes)
    settings = f"{classes} classes by {judge}, floor KL {found.floor.kl:.4f}, {found.floor.captured:.1f} modes"
    return [trial.value("modes", found.captured, None, settings), trial.value("mode_kl", found.kl, None, settings)]


def classes(trial: Trial) -> list[Value]:
    """Share of the samples that the extractor is sure of (0.9), and the share of each class among those."""
    logits = trial.fake_features.logits
    if logits is None or not isinstance(trial.data, Images):
        raise Refused(f"the extractor ({trial.extractor.name}) is no classifier: train one with `sparring judge train`")
    certainty, label = logits.softmax(1).max(1)
    counts = torch.bincount(label[certainty >= 0.9], minlength=logits.shape[1])
    names = list(trial.dataset.class_names)
    names = names if len(names) == len(counts) else list(map(str, range(len(counts))))
    share = (counts / counts.sum().clamp(min=1)).tolist()
    sure = trial.value("sure", (certainty >= 0.9).double().mean().item(), None, "confidence 0.9", real=0)
    return [
        sure,
        *(trial.value(f"class_{name}", part, None, "among the sure", real=0) for name, part in zip(names, share)),
    ]


Metric = Callable[[Trial], list[Value]]
METRICS: tuple[Metric, ...] = (
    fid, kid, prdc, mmd, inception_score, intra_fid, sliced_wasserstein, transport, diversity, ms_ssim, memorisation,
    path_length, parzen, modes, classes,
)  # fmt: skip


PARTS = {
    "precision": "prdc", "recall": "prdc", "density": "prdc", "coverage": "prdc", "high_quality": "modes",
    "reverse_kl": "modes", "mode_kl": "modes", "sure": "classes", "intra_class_fid": "intra_fid",
    "classifier_score": "inception_score", "copying_z": "memorisation", "parzen_sigma": "parzen",
    "nearer_than_real": "memorisation",
}  # fmt: skip
"""metrics that give values of other names"""
HIGHER_IS_BETTER = frozenset(
    ("precision", "recall", "density", "coverage", "inception_score", "classifier_score", "modes", "high_quality", "parzen",
     "sure", "diversity", "copying_z")
)  # fmt: skip


def named_metrics(names: Iterable[str]) -> list[Metric]:
    """Metrics by their name or by that of one of their values; all for none.

    Raises:
        UserError: an unknown name.
    """
    known = {metric.__name__: metric for metric in METRICS}
    plain = (name.removeprefix("feature_") for name in names)
    wanted = list(dict.fromkeys(PARTS.get(name, name) for name in plain))
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(f"no metric {', '.join(map(repr, unknown))}; there are {', '.join([*known, *PARTS])}")
    return [known[name] for name in wanted] or list(METRICS)
