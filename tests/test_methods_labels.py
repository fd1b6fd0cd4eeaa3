"""Methods that learn from labels, or find them: cgan, infogan, sgan."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from sparring import api, cli
from sparring.core import Adam, UserError
from sparring.core.data import hold_out
from sparring.core.media import fit
from sparring.core.stream import Shuffle, Stream
from sparring.data.images import ImageBatch, Images
from sparring.data.labels import few_labelled, require_labels
from sparring.losses import adversarial
from sparring.losses.information import categorical_information, categorical_surprise, gaussian_surprise
from sparring.losses.semi_supervised import feature_matching, realness
from sparring.methods import cgan, infogan, sgan
from sparring.networks import conditional
from sparring.networks.weight_normalised import Classifier, Dense

DIGITS = Images("digits", size=16).resolved()


def stream(config: Any, seed: int = 0) -> Stream:
    data = config.data.open()
    return Stream(data, Shuffle(len(data), config.batch, seed), 0, torch.device("cpu"))


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Three classes at a glance: the left, the right or the upper half is bright, more or less."""
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 3, 900)
    images = chance.integers(0, 60, (900, 16, 16))
    for image, label in zip(images, labels):
        image[[np.s_[:, :8], np.s_[:, 8:], np.s_[:8]][label]] += chance.integers(150, 180)
    path = tmp_path_factory.mktemp("halves") / "halves.npz"
    np.savez(path, images=images.astype(np.uint8), labels=labels)
    return Images(str(path)).resolved()


def half(images: Tensor) -> Tensor:
    """The class of each, read off its quarters."""
    left, right, top = (part.mean((1, 2, 3)) for part in (images[..., 8:, :8], images[..., 8:, 8:], images[..., :8, :]))
    return torch.stack([left, right, top], 1).argmax(1)


# Labels of the data


def test_classes_are_known_once_the_data_is_resolved(halves: Images, tmp_path: Path) -> None:
    assert Images().classes == 0
    assert Images().resolved().class_names == tuple("0123456789")
    assert halves.classes == 3
    np.save(tmp_path / "plain.npy", np.zeros((4, 16, 16), np.uint8))
    assert Images(str(tmp_path / "plain.npy")).resolved().classes == 0


def folder(path: Path, *names: str) -> Images:
    for number, name in enumerate(names):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("L", (16, 16), 20 * number).save(path / name)
    return Images(str(path)).resolved()


@pytest.mark.parametrize("method", ["cgan", "sgan"])
def test_missing_labels_are_told_before_training(method: str, tmp_path: Path, quiet: Path) -> None:
    np.save(tmp_path / "plain.npy", np.zeros((40, 16, 16), np.uint8))
    config = api.starting_point(method, "tiny")
    with pytest.raises(UserError, match=r"--data .*plain\.npy.* label"):
        api.start(method, api.with_data(config, tmp_path / "plain.npy"), quiet / "run", show=False)
    assert not (quiet / "run").exists()


def test_one_missing_label_is_one_too_many(tmp_path: Path) -> None:
    require_labels(folder(tmp_path / "whole", "cat/1.png", "dog/1.png"))
    with pytest.raises(UserError, match=r"--data .*: 1 of its 3 images have no label"):
        require_labels(folder(tmp_path / "torn", "cat/1.png", "dog/1.png", "lost.png"))


def test_labels_beyond_the_named_classes_are_told(halves: Images) -> None:
    with pytest.raises(UserError, match="--data.class-names names 2 classes.* label 2"):
        require_labels(halves.replace(class_names=("left", "right")))


def test_few_labelled_are_as_many_of_each_class_and_chosen_by_the_seed() -> None:
    data = DIGITS.open()
    everything = torch.arange(len(data))
    known = few_labelled(DIGITS, data, everything, 100, 0)
    assert np.bincount(known.labels).tolist() == [10] * 10
    assert np.bincount(few_labelled(DIGITS, data, everything, 25, 0).labels).tolist() == [3] * 5 + [2] * 5
    assert len(few_labelled(DIGITS, data, everything, 0, 0)) == len(data)
    again, other = (few_labelled(DIGITS, data, everything, 100, seed) for seed in (0, 1))
    assert np.array_equal(known.images, again.images)
    assert not np.array_equal(known.images, other.images)


@pytest.mark.parametrize(("count", "message"), [(9, "--labelled is 9"), (100_000, "--labelled 100000 takes 10000")])
def test_impossible_numbers_of_labels_are_told(count: int, message: str) -> None:
    data = DIGITS.open()
    with pytest.raises(UserError, match=message):
        few_labelled(DIGITS, data, torch.arange(len(data)), count, 0)


def test_labelled_images_are_never_held_out() -> None:
    config = sgan.Config.tiny().replace(data=DIGITS, held_out=0.5, labelled=0)
    game = sgan.Game(sgan.Model(config), config)
    kept, held = hold_out(DIGITS.open(), 0.5)
    assert held is not None
    assert len(game.known) == len(kept) == 5000


def test_pictures_of_any_size_are_brought_to_a_network() -> None:
    picture = torch.rand(2, 3, 20, 40) * 2 - 1
    assert torch.equal(fit(picture, (3, 20, 20)), picture[..., 10:30])
    red, green, blue = picture[..., 10:30].unbind(1)
    grey = (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]
    assert torch.allclose(fit(picture, (1, 20, 20)), grey, atol=1e-6)
    small = fit(picture, (1, 5, 5))
    assert small.shape == (2, 1, 5, 5)
    assert small.abs().max() <= 1
    assert torch.allclose(fit(torch.full((1, 1, 9, 9), 0.25), (3, 28, 28)), torch.full((1, 3, 28, 28), 0.25))


# cGAN


def build_cgan(**changes: Any) -> cgan.Game:
    torch.manual_seed(0)
    config = cgan.Config.tiny().replace(data=DIGITS, precision="float32", **changes)
    return cgan.Game(cgan.Model(config), config)


@pytest.mark.parametrize("networks", ["convolutional", "perceptron"])
def test_the_label_chooses_among_the_logits(networks: str) -> None:
    game = build_cgan(networks=networks, hidden=(8, 8, 8), maxout=(8, 8, 8)).eval()
    images = torch.rand(5, 1, 16, 16) * 2 - 1
    labels = torch.tensor([3, 1, 4, 1, 5])
    logits = game.discriminator.logits(images)
    told = game.discriminator(images, torch.nn.functional.one_hot(labels, 10).float())
    assert torch.allclose(logits.gather(1, labels[:, None])[:, 0], told, atol=1e-5)
    assert logits.std(1).min() > 0
    assert torch.equal(game.score(images), logits.amax(1))


def test_label_changes_the_sample_and_not_its_noise() -> None:
    model = build_cgan().model
    turns = model.sample(12, seed=3)
    for label in range(10):
        of_label = model.sample(12, seed=3, label=label)
        assert torch.allclose(turns[label], of_label[label], atol=1e-6)
    assert not torch.allclose(model.sample(1, 3, 0), model.sample(1, 3, 1))
    assert model.preview(0).shape == (1, 1, 10 * 18 - 2, 10 * 18 - 2)


@pytest.mark.parametrize("label", [-2, 10])
def test_a_label_out_of_range_is_told(label: int) -> None:
    with pytest.raises(UserError, match=f"--label is {label}; there are 10 classes, 0 to 9"):
        build_cgan().model.sample(label=label)


def test_both_players_are_told_the_labels_of_the_data() -> None:
    """The forgeries carry the labels of the batch, part by part."""
    game, seen = build_cgan(), []
    game.discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[1].argmax(1)))
    game.model.generator.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, -10:].argmax(1)))
    batch = next(stream(game.config))
    game.step(iter([batch]))
    assert len(seen) == 4  # the generator; the discriminator on real, on fake, and for the generator
    assert all(torch.equal(label, batch.label) for label in seen)


def test_paper_networks_have_the_papers_sizes() -> None:
    config = cgan.Config.paper()
    generator = conditional.PerceptronGenerator(100, 10, config.hidden, (1, 28, 28), 0.5)
    opponent = conditional.PerceptronDiscriminator((1, 28, 28), 10, config.maxout, config.pieces, 0.5)
    counts = [sum(weight.numel() for weight in network.parameters()) for network in (generator, opponent)]
    assert counts[0] == 101 * 200 + 11 * 1000 + 1201 * 1200 + 1201 * 784
    assert counts[1] == 785 * 240 * 5 + 11 * 50 * 5 + 291 * 240 * 4 + 241


def test_cgan_learns_to_obey_the_label(halves: Images, tmp_path: Path) -> None:
    config = cgan.Config.tiny().replace(
        data=halves, width=8, discriminator_width=8, batch=32, steps=200, ema=0.9, log_every=50,
        optimizer=Adam(lr=4e-3, betas=(0.5, 0.999)), preview_every=200, watch=False,
    )  # fmt: skip
    model = api.start("cgan", config, tmp_path / "run", show=False).model
    assert isinstance(model, cgan.Model)
    obeyed = [(half(model.sample(100, 0, label)) == label).float().mean().item() for label in range(3)]
    assert min(obeyed) >= 0.95


# InfoGAN


def build_infogan(**changes: Any) -> infogan.Game:
    torch.manual_seed(0)
    config = infogan.Config.tiny().replace(**{"data": DIGITS, "precision": "float32", "noise_input": 0.0, **changes})
    return infogan.Game(infogan.Model(config), config)


def test_information_is_that_of_the_code() -> None:
    code = torch.eye(10).repeat(3, 1)
    assert torch.allclose(categorical_surprise(torch.zeros(30, 10), code), torch.tensor(math.log(10)))
    assert categorical_information(categorical_surprise(torch.zeros(30, 10), code), 10).abs() < 1e-6
    assert torch.allclose(
        categorical_information(categorical_surprise(code * 100, code), 10), torch.tensor(math.log(10))
    )
    logits = torch.randn(30, 10)
    assert torch.allclose(categorical_surprise(logits, code), torch.nn.functional.cross_entropy(logits, code))
    mean, drawn = torch.randn(2, 30, 4)
    expected = -torch.distributions.Normal(mean, 1.0).log_prob(drawn).sum(1).mean()
    assert torch.allclose(gaussian_surprise(mean, drawn), expected)


def test_noise_holds_noise_and_codes() -> None:
    model = build_infogan(categorical=(4, 3), continuous=2, latent=5).model
    noise = model.seeded_noise(400, 0)
    assert noise.shape == (400, model.latent) == (400, 5 + 4 + 3 + 2)
    (first, second), continuous = model.split(noise[:, 5:])
    for code in (first, second):
        assert torch.equal(code.sum(1), torch.ones(400))
        assert torch.equal(code, (code == 1).float())
        assert (code.mean(0) - 1 / code.shape[1]).abs().max() < 0.1
    assert continuous.abs().max() <= 1
    assert continuous.std().item() == pytest.approx(1 / math.sqrt(3), abs=0.03)
    changed = model.with_code(noise, 1, 2)
    assert (changed[:, 9:12].argmax(1) == 2).all()
    assert torch.equal(changed[:, :9], noise[:, :9])
    assert torch.equal(changed[:, 12:], noise[:, 12:])
    moved = model.with_code(noise, 3, 1.5)
    assert (moved[:, 13] == 1.5).all()
    assert torch.equal(moved[:, :13], noise[:, :13])


def test_any_mix_of_codes_plays() -> None:
    for categorical, continuous in (((), 1), ((5,), 0), ((2, 3, 4), 3)):
        game = build_infogan(categorical=categorical, continuous=continuous)
        assert all(torch.isfinite(value) for value in game.step(stream(game.config)).values())
        rows, columns = 2 * (len(categorical) + continuous), 10 if continuous else 5
        assert game.model.traverse(rows=2).shape == (1, 1, rows * 18 - 2, columns * 18 - 2)
        code = game.model.encode(torch.zeros(2, 3, 30, 20))
        assert code.categorical.shape == (2, sum(categorical))
        assert code.continuous.shape == (2, continuous)
        assert code.picture.shape == (1, 1, 2 * 18 - 2, 8 * 18 - 2)


def test_bad_codes_are_told() -> None:
    model = build_infogan(categorical=(4,), continuous=2).model
    with pytest.raises(UserError, match="--code has 2 numbers; this model has 3 codes"):
        model.sample(code=(1, 0))
    with pytest.raises(UserError, match="--code: a category is a whole number from 0 to 3, not 4"):
        model.sample(code=(4, 0, 0))
    with pytest.raises(UserError, match="--code: a category"):
        model.sample(code=(0.5, 0, 0))
    with pytest.raises(UserError, match="--categorical"):
        infogan.Config(categorical=(1,))
    with pytest.raises(UserError, match="--continuous"):
        infogan.Config(categorical=(), continuous=0)
    with pytest.raises(UserError, match=r"--data\.size"):
        build_infogan(data=Images(size=18).resolved())


def test_the_opponent_sees_through_noise_in_training_only() -> None:
    game, images = build_infogan(noise_input=0.5), torch.zeros(64, 1, 16, 16)
    seen: list[torch.Tensor] = []
    game.model.trunk.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    game.look(images)
    game.model.recognise(images)
    game.score(images)
    assert seen[0].std().item() == pytest.approx(0.5, rel=0.05)
    assert torch.equal(seen[1], images)
    assert torch.equal(seen[2], images)
    with pytest.raises(UserError, match="--noise-input must be at least 0"):
        infogan.Config(noise_input=-1.0)


def test_information_is_in_both_losses_and_weighed() -> None:
    """Loss at weights (1, 0.1) = loss at (0, 0) + surprise + 0.1 of the Gaussian one, for either player."""
    games = [build_infogan(categorical_weight=one, continuous_weight=two) for one, two in ((1, 0.1), (0, 0), (1, 0))]
    real, noise = torch.rand(8, 1, 16, 16), games[0].model.noise(8)
    fake = games[0].model.generator(noise).detach()
    for loss in (lambda game: game.fool(fake, noise), lambda game: game.judge(real, fake, noise, infogan.core.Notes())):
        both, none, categorical = (loss(game) for game in games)
        (first, second), means = games[0].model.split(games[0].model.recognise(fake))
        (code, other), numbers = games[0].model.split(noise[:, 4:])
        expected = categorical_surprise(first, code) + categorical_surprise(second, other)
        assert torch.allclose(categorical - none, expected, atol=1e-5)
        assert torch.allclose(both - categorical, 0.1 * gaussian_surprise(means, numbers), atol=1e-5)


def test_generator_learns_faster_than_the_discriminator_and_trunk_is_shared() -> None:
    game, config = build_infogan(), infogan.Config()
    assert config.generator_adam.lr > config.adam.lr
    weights = {id(weight) for weight in game.discriminator_player.weights}
    for network in (game.model.trunk, game.model.recogniser, game.head):
        assert {id(weight) for weight in network.parameters()} <= weights


def test_infogan_finds_the_classes(halves: Images, tmp_path: Path) -> None:
    config = infogan.Config.tiny().replace(
        data=halves, categorical=(3,), continuous=0, width=16, dense=64, batch=64, steps=300, ema=0.9, log_every=100,
        preview_every=300, adam=Adam(lr=5e-4), generator_adam=Adam(lr=2.5e-3), watch=False,
    )  # fmt: skip
    model = api.start("infogan", config, tmp_path / "run", show=False).model
    assert isinstance(model, infogan.Model)
    data = halves.open()
    batch = data.prepare(data.batch(torch.arange(len(data)), torch.Generator()))
    with torch.inference_mode():
        found = model.recognise(batch.image).argmax(1)
    matched = max(
        (torch.tensor(order)[found] == batch.label).float().mean().item() for order in itertools.permutations(range(3))
    )
    assert matched >= 0.9
    made = torch.stack([half(model.sample(50, 0, (float(code),))).bincount(minlength=3) for code in range(3)])
    assert sorted(made.argmax(1).tolist()) == [0, 1, 2]


# SGAN


def test_a_fake_logit_of_zero_is_a_softmax_of_one_more_class() -> None:
    logits = torch.randn(6, 10) * 3
    with_fake = torch.cat([logits, torch.zeros(6, 1)], 1).softmax(1)
    assert torch.allclose(realness(logits).sigmoid(), 1 - with_fake[:, 10], atol=1e-6)
    real, fake = torch.randn(2, 8, 10)
    by_hand = -realness(real).mean() + torch.nn.functional.softplus(realness(real)).mean()
    by_hand = (by_hand + torch.nn.functional.softplus(realness(fake)).mean()) / 2
    assert torch.allclose(adversarial.discriminator_loss(realness(real), realness(fake)) / 2, by_hand, atol=1e-6)


def test_feature_matching_compares_means() -> None:
    real = torch.randn(20, 5)
    assert feature_matching(real, real[torch.randperm(20)]) < 1e-12
    assert feature_matching(real, real + 2).item() == pytest.approx(4, rel=1e-5)


def test_weight_normalisation() -> None:
    layer = Dense(7, 4, True)
    value = torch.randn(300, 7) * 3 + 1
    with torch.no_grad():
        before = layer(value)
        layer.direction.mul_(5)
        assert torch.allclose(layer(value), before, atol=1e-4)
        made = layer.calibrate(value)
    assert torch.allclose(made.mean(0), torch.zeros(4), atol=1e-4)
    assert torch.allclose(made.std(0), torch.ones(4), atol=1e-4)
    # The gradient has no part along the direction: the row's length cannot change the output.
    layer(value).square().sum().backward()
    assert layer.direction.grad is not None
    assert (layer.direction.grad * layer.direction).sum(1).abs().max() < 1e-2 * layer.direction.grad.norm()


def test_classifier_has_the_papers_size_and_noise_in_training_only() -> None:
    config = sgan.Config()
    network = Classifier((1, 28, 28), config.classifier, 10, config.noise_input, config.noise)
    dense = 784 * 1000 + 1000 * 500 + 500 * 250 + 250 * 250 * 2 + 250 * 10
    assert sum(weight.numel() for weight in network.parameters()) == dense + sum(config.classifier) + 10 + 10
    image = torch.rand(3, 1, 28, 28)
    assert not torch.equal(network(image), network(image))
    network.eval()
    assert torch.equal(network(image), network(image))


def test_labels_of_the_other_images_are_never_looked_at() -> None:
    def hidden(batches: Iterator[ImageBatch]) -> Iterator[ImageBatch]:
        for batch in batches:
            yield batch._replace(label=torch.full_like(batch.label, -1))

    states = []
    for hide in (False, True):
        torch.manual_seed(0)
        config = sgan.Config.tiny().replace(data=DIGITS)
        game = sgan.Game(sgan.Model(config), config)
        batches: Iterator[ImageBatch] = hidden(stream(config)) if hide else stream(config)
        for _ in range(3):
            game.step(batches)
        states.append(torch.cat([weight.flatten() for weight in game.parameters()]))
    assert torch.equal(*states)


def test_sgan_learns_from_two_labels_of_each_class(halves: Images, tmp_path: Path) -> None:
    config = sgan.Config.tiny().replace(
        data=halves, labelled=6, hidden=(64,), classifier=(64, 32), batch=32, steps=150, ema=0.9, log_every=50,
        preview_every=150, noise=0.3,
    )  # fmt: skip
    model = api.start("sgan", config, tmp_path / "run", show=False).model
    assert isinstance(model, sgan.Model)
    assert model.mistakes().error < 0.02


@pytest.mark.slow
def test_sgan_beats_the_same_network_on_the_labels_alone(tmp_path: Path) -> None:
    errors = []
    for weight in (1.0, 0.0):
        config = sgan.Config(
            data=Images("digits"), classifier=(400, 200, 200), hidden=(300, 300), noise_input=0.5,
            unlabelled_weight=weight, steps=1200, ema=0.99, preview_every=1200, precision="float32",
        )  # fmt: skip
        model = api.start("sgan", config, tmp_path / f"run-{weight}", show=False).model
        assert isinstance(model, sgan.Model)
        errors.append(model.mistakes(count=2000).error)
    assert errors[0] < 0.85 * errors[1], errors


def test_classify_says_class_and_probability(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    config = sgan.Config.tiny().replace(data=DIGITS.replace(class_names=tuple("abcdefghij")))
    model = sgan.Model(config)
    found = model.classify(torch.rand(3, 3, 40, 30) * 2 - 1)
    assert found.picture.shape == (3, 1, 16, 16)
    assert torch.allclose(found.probability.sum(1), torch.ones(3))
    assert found.label == ["abcdefghij"[index] for index in found.probability.argmax(1)]
    assert torch.allclose(found.probability, model.logits(found.picture).softmax(1))
    assert model.preview(0).shape == (1, 1, 10 * 18 - 2, 12 * 18 - 2)
    path = model.save(tmp_path / "model.safetensors")
    PIL.Image.new("RGB", (50, 20)).save(tmp_path / "image.png")
    assert cli.run(["apply", str(path), "classify", str(tmp_path / "image.png"), "--out", str(tmp_path / "o.png")]) == 0
    assert 'label: ["' in capsys.readouterr().out


def test_mistakes_are_counted(tmp_path: Path) -> None:
    config = sgan.Config.tiny().replace(data=DIGITS)
    model = sgan.Model(config)
    data = DIGITS.open()
    batch = data.prepare(data.batch(torch.arange(len(data)), torch.Generator()))
    expected = (model.logits(batch.image).argmax(1) != batch.label).double().mean().item()
    found = model.mistakes()
    assert found.examined == 10_000
    assert found.error == pytest.approx(expected)
    np.save(tmp_path / "plain.npy", np.zeros((4, 16, 16), np.uint8))
    with pytest.raises(UserError, match=r"--data .*no labels"):
        model.mistakes(str(tmp_path / "plain.npy"))
