"""SRGAN and EnhanceNet, their networks and losses, and the task of enlarging: what can be computed beforehand."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from sparring import api, cli
from sparring.core import Config, UserError
from sparring.core.config import to_json
from sparring.core.loop import Loop
from sparring.core.media import in_channels, save_image
from sparring.core.run import Run
from sparring.core.stream import Shuffle, Stream
from sparring.data.photos import Photos
from sparring.losses import perceptual
from sparring.methods import enhancenet, srgan
from sparring.metrics.psnr import psnr
from sparring.networks import upscaler, vgg
from sparring.tasks import upscale
from sparring.tasks.upscale import lowered, raised

METHODS = [srgan, enhancenet]
GENERATORS = [upscaler.SRResNet, upscaler.Msr, upscaler.EnhanceNet]


def small(module: Any, **changes: Any) -> Any:
    config = module.Config.tiny().replace(precision="float32", device="cpu", **changes)
    return config.replace(data=config.data.resolved())


def built(module: Any, **changes: Any) -> Any:
    config = small(module, **changes)
    torch.manual_seed(0)
    return module.Game(module.Model(config), config)


def model(module: Any, channels: int = 3, **changes: Any) -> Any:
    """A model whose generator does much, so that differences show."""
    torch.manual_seed(0)
    made = module.Model(small(module, data=Photos(size=32, channels=channels), **changes)).eval()
    lively(made.generator)
    return made


def lively(network: nn.Module) -> None:
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=1 / math.sqrt(module.weight[0].numel()))
            elif isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]


def stream(config: Config) -> Stream:
    data = config.data.open()
    return Stream(data, Shuffle(len(data), config.batch, 0), 0, torch.device("cpu"))


def picture(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


# --- networks -----------------------------------------------------------------------------------------------------------


def conv(state: dict[str, Tensor], name: str, value: Tensor, **settings: Any) -> Tensor:
    weight = state[f"{name}.weight"]
    return functional.conv2d(value, weight, state.get(f"{name}.bias"), padding=weight.shape[2] // 2, **settings)


@pytest.mark.parametrize("scale", [2, 4])
def test_msr_is_the_network_of_the_library(scale: int) -> None:
    """The published forward pass, on pictures in [0, 1], written out by the names of its weights."""
    network = upscaler.Msr(3, scale, blocks=3, width=8).eval()
    lively(network)
    state, seen = network.state_dict(), torch.rand(2, 3, 9, 7)

    feature = functional.leaky_relu(conv(state, "conv_first", seen), 0.1)
    out = feature
    for block in range(3):
        inner = functional.relu(conv(state, f"body.{block}.conv1", out))
        out = out + conv(state, f"body.{block}.conv2", inner)
    out = functional.leaky_relu(functional.pixel_shuffle(conv(state, "upconv1", out), 2), 0.1)
    if scale == 4:
        out = functional.leaky_relu(functional.pixel_shuffle(conv(state, "upconv2", out), 2), 0.1)
    out = conv(state, "conv_last", functional.leaky_relu(conv(state, "conv_hr", out), 0.1))
    expected = out + functional.interpolate(seen, scale_factor=scale, mode="bilinear", align_corners=False)

    with torch.no_grad():
        found = (network(seen * 2 - 1) + 1) / 2
    assert (found - expected).abs().max() < 1e-5


def test_srresnet_is_the_papers() -> None:
    network = upscaler.SRResNet(3, 4, blocks=2, width=8).eval()
    lively(network)
    state, image = network.state_dict(), picture(2, 3, 8, 6)

    def norm(name: str, value: Tensor) -> Tensor:
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return functional.batch_norm(value, mean, variance, state[f"{name}.weight"], state[f"{name}.bias"])

    def bent(name: str, value: Tensor) -> Tensor:
        return torch.where(value > 0, value, state[f"{name}.weight"] * value)

    first = out = bent("first.1", conv(state, "first.0", image))
    for block in range(2):
        name = f"blocks.{block}.body"
        inner = bent(f"{name}.2", norm(f"{name}.1", conv(state, f"{name}.0", out)))
        out = out + norm(f"{name}.4", conv(state, f"{name}.3", inner))
    out = first + norm("joint.1", conv(state, "joint.0", out))
    for number in range(2):
        shuffled = functional.pixel_shuffle(conv(state, f"doublings.{number}.conv", out), 2)
        out = bent(f"doublings.{number}.bend", shuffled)
    with torch.no_grad():
        assert (network(image) - conv(state, "last", out)).abs().max() < 1e-4


def test_networks_have_the_papers_sizes() -> None:
    def millions(network: nn.Module) -> float:
        return sum(weight.numel() for weight in network.parameters()) / 1e6

    assert millions(upscaler.SRResNet(3)) == pytest.approx(1.55, abs=0.01)
    assert millions(upscaler.NormalisedDiscriminator(3, 96)) == pytest.approx(23.6, abs=0.05)
    assert millions(upscaler.EnhanceNet(3)) == pytest.approx(0.85, abs=0.01)
    assert millions(upscaler.PlainDiscriminator(3, 128)) == pytest.approx(13.1, abs=0.05)
    assert millions(upscaler.Msr(3)) == pytest.approx(1.52, abs=0.01)


@pytest.mark.parametrize("scale", [2, 4])
def test_enhancenet_without_its_last_layer_is_bicubic(scale: int) -> None:
    network = upscaler.EnhanceNet(3, scale, 1, 4)
    nn.init.zeros_(network.last.weight)
    image = picture(2, 3, 7, 5)
    with torch.no_grad():
        assert torch.equal(network(image), raised(image, scale))


def test_bicubic_is_pillows() -> None:
    image = picture(1, 1, 9, 13)
    expected = PIL.Image.fromarray(image[0, 0].numpy()).resize((52, 36), PIL.Image.Resampling.BICUBIC)
    assert (raised(image, 4)[0, 0] - torch.from_numpy(np.asarray(expected).copy())).abs().max() < 1e-5


def test_lowered_pictures_are_pillows_to_a_level() -> None:
    image = ((picture(1, 1, 24, 32) + 1) * 127.5).round()
    pixels = PIL.Image.fromarray(image[0, 0].byte().numpy())
    expected = np.asarray(pixels.resize((8, 6), PIL.Image.Resampling.BICUBIC)).astype(np.float32)
    found = (lowered(image / 127.5 - 1, 4) + 1) * 127.5
    assert (found - found.round()).abs().max() < 1e-3
    assert (found[0, 0] - torch.from_numpy(expected)).abs().max() <= 1.01


def test_shuffle_puts_four_channels_into_a_square() -> None:
    layer = upscaler.Shuffle(2)
    lively(layer)
    with torch.no_grad():
        layer.bend.weight.fill_(1)
        value = picture(1, 2, 3, 4)
        made, given = layer(value), layer.conv(value)
    for channel in range(2):
        for y in range(6):
            for x in range(8):
                source = 4 * channel + 2 * (y % 2) + x % 2
                assert made[0, channel, y, x] == given[0, source, y // 2, x // 2]


def test_squares_start_plain() -> None:
    """Nothing of the squares shows before training: a doubling starts as nearest neighbour."""
    made = upscaler.Shuffle(3)(picture(1, 3, 5, 5))
    assert torch.equal(made, functional.interpolate(made[:, :, ::2, ::2], scale_factor=2))


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("kind", GENERATORS)
def test_a_network_looks_as_far_as_it_says(kind: Any, scale: int) -> None:
    """Nowhere does a pixel depend on one beyond the reach, and somewhere it depends on one at the reach."""
    network = kind(1, scale, blocks=2, width=4).eval()
    lively(network)
    reach, side = network.reach, 2 * network.reach + 5
    middle, far = side // 2, 0
    image = picture(1, 1, side, side).requires_grad_()
    made = network(image)
    for offset in range(scale):
        pixel = made[0, 0, scale * middle + offset, scale * middle + offset]
        slope = torch.autograd.grad(pixel, image, retain_graph=True)[0][0, 0]
        seen = slope.nonzero()
        far = max(far, int((seen - middle).abs().max()))
    assert far == reach


@pytest.mark.parametrize("size", [16, 28, 33, 64, 96])
@pytest.mark.parametrize("kind", [upscaler.NormalisedDiscriminator, upscaler.PlainDiscriminator])
def test_discriminators_take_squares_of_any_size(kind: Any, size: int) -> None:
    assert kind(3, size, 2)(picture(2, 3, size, size)).shape == (2,)


@pytest.mark.parametrize("kind", [upscaler.NormalisedDiscriminator, upscaler.PlainDiscriminator])
def test_discriminators_refuse_what_is_too_small(kind: Any) -> None:
    with pytest.raises(UserError, match="--data.size 15 is too small"):
        kind(3, 15, 2)


# --- VGG19 --------------------------------------------------------------------------------------------------------------

PLACES = {"1_2": (2, 4), "pool2": (9, 10), "3_1": (10, 12), "5_4": (34, 36), "pool5": (36, 37)}
"""of each layer: torchvision's index of its convolution (or of the pooling), and of the module after its last"""
SPANS = [64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0]


def published() -> nn.Sequential:
    """torchvision's `vgg19().features`: 64, 64, M, 128, 128, M, ... with a ReLU after each convolution."""
    layers: list[nn.Module] = []
    given = 3
    for channels in SPANS:
        if channels:
            layers += [nn.Conv2d(given, channels, 3, padding=1), nn.ReLU()]
            given = channels
        else:
            layers.append(nn.MaxPool2d(2, 2))
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.1)
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Sequential, dict[str, Path]]:
    torch.manual_seed(0)
    network = published()
    state = {f"features.{name}": value for name, value in network.state_dict().items()}
    state["classifier.6.bias"] = torch.zeros(1000)
    folder = tmp_path_factory.mktemp("vgg")
    torch.save(state, folder / "vgg19.pth")
    safetensors.torch.save_file(state, folder / "vgg19.safetensors")
    return network, {suffix: folder / f"vgg19.{suffix}" for suffix in ("pth", "safetensors")}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_vgg_is_torchvisions(weights: tuple[nn.Sequential, dict[str, Path]], suffix: str) -> None:
    network, files = weights
    loaded = vgg.features(str(files[suffix]), list(PLACES))
    seen = torch.rand(2, 3, 64, 48)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normal = (seen - mean[:, None, None]) / deviation[:, None, None]
    with torch.no_grad():
        for found, (_, end) in zip(loaded(seen * 2 - 1), PLACES.values()):
            expected = network[:end](normal)
            assert found.shape == expected.shape
            assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_vgg_is_held_and_not_saved(weights: tuple[nn.Sequential, dict[str, Path]]) -> None:
    """Moved with the game, in evaluation mode, no weight of it trained or saved; slopes reach the picture."""
    network = vgg.features(str(weights[1]["pth"]), ["2_2"])
    assert not list(network.parameters()) and not network.state_dict()
    assert not network.train().training and not network.features.training
    image = picture(1, 3, 16, 16).requires_grad_()
    network(image)[0].sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    game = built(srgan)
    assert not [name for name in game.state_dict() if name.startswith("features")]
    assert all(value.is_meta for value in copy.deepcopy(game).to("meta").features.buffers())


def test_random_features_are_the_same_each_time() -> None:
    first = vgg.features("random", ["1_2", "5_4"])
    torch.manual_seed(1)
    second = vgg.features("random", ["1_2", "5_4"])
    image = picture(2, 1, 32, 32)
    for one, other, colour in zip(first(image), second(image), second(in_channels(image, 3))):
        assert torch.equal(one, other) and torch.equal(one, colour)
        assert 0.01 < one.square().mean() < 100


@pytest.mark.parametrize("module", METHODS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; name torchvision's VGG19 weights"),
        (b"not weights", "cannot be read as weights"),
        ({"features.0.weight": torch.zeros(1)}, "not the weights of VGG19"),
        ([1], "holds no weights of VGG19"),
    ],
)
def test_bad_feature_files_are_named(module: Any, content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=message) as raised_error:
        built(module, features=str(path))
    assert f"--features {path}" in str(raised_error.value)


def test_unknown_layers_are_named() -> None:
    with pytest.raises(UserError, match="has no layer 6_1"):
        built(srgan, layer="6_1")


# --- losses -------------------------------------------------------------------------------------------------------------


def test_textures_against_a_loop() -> None:
    fake, real = picture(2, 3, 37, 32), picture(3, 2, 37, 32).transpose(0, 1)
    total, count = 0.0, 0
    for example in range(2):
        for top in (0, 16):
            for left in (0, 16):
                for one in range(3):
                    for other in range(3):
                        values = []
                        for maps in (fake, real):
                            patch = maps[example, :, top : top + 16, left : left + 16].double()
                            values.append(float((patch[one] * patch[other]).sum()))
                        total += (values[0] - values[1]) ** 2
                        count += 1
    assert perceptual.texture(fake, real).item() == pytest.approx(total / count, rel=1e-5)


def test_textures_know_their_place_and_nothing_within_it() -> None:
    maps = picture(1, 4, 32, 32)
    shuffled = maps.clone()
    shuffled[:, :, :16, :16] = maps[:, :, :16, :16].flip(2, 3)
    assert perceptual.texture(shuffled, maps) < 1e-8
    assert perceptual.texture(maps.roll(16, 3), maps) > 1e-2


def test_a_small_map_is_one_patch() -> None:
    fake, real = picture(1, 2, 7, 7), picture(2, 2, 7, 7)[1:]
    gap = perceptual.gram(fake) - perceptual.gram(real)
    assert perceptual.texture(fake, real).item() == pytest.approx(gap.square().mean().item(), rel=1e-6)


def test_levelled_maps_have_a_mean_of_one() -> None:
    maps = torch.rand(3, 4, 5, 5)
    levelled = perceptual.level(maps)
    assert (levelled.mean((1, 2, 3)) - 1).abs().max() < 1e-6
    assert (perceptual.level(maps * 7) - levelled).abs().max() < 1e-5
    assert torch.equal(perceptual.level(torch.zeros(1, 2, 3, 3)), torch.zeros(1, 2, 3, 3))


def test_losses_are_in_float32_under_autocast() -> None:
    fake, real = picture(1, 8, 32, 32), picture(2, 8, 32, 32)[1:]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(perceptual.texture(fake, real), perceptual.texture(fake, real).float())
        low = perceptual.texture(fake, real)
    assert low == perceptual.texture(fake, real)


# --- games --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", METHODS)
def test_warm_up_moves_the_generator_alone(module: Any) -> None:
    game = built(module, pretraining=0.5)
    batches = stream(game.config)
    for clock, spars in [(0, False), (1, False), (2, True)]:
        game.clock = clock
        before = {name: [weight.clone() for weight in player.weights] for name, player in game.players.items()}
        game.step(batches)
        moved = {
            name: any(not torch.equal(*pair) for pair in zip(before[name], player.weights))
            for name, player in game.players.items()
        }
        assert moved == {"discriminator_player": spars, "generator_player": True}


@pytest.mark.parametrize("module", METHODS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resuming_across_the_end_of_the_warm_up(module: Any, precision: str, tmp_path: Path) -> None:
    config = small(module, pretraining=0.5, steps=8).replace(precision=precision)
    states = []
    for stops in [[8], [2, 5, 8]]:
        with Run.create(tmp_path / str(len(stops)), {"method": "", "config": to_json(config)}) as run:
            for stop in stops:
                torch.manual_seed(0)
                game = module.Game(module.Model(config), config)
                loop = Loop(game, config.data.open(), run, torch.device("cpu"), show=False)
                if run.game.exists():
                    loop.restore()
                loop.run(stop)
        states.append({**game.state_dict(), **loop.average.state_dict()})
    tensors = [name for name, value in states[0].items() if isinstance(value, Tensor)]
    assert tensors and all(torch.equal(states[0][name], states[1][name]) for name in tensors)


@pytest.mark.parametrize("module", METHODS)
def test_halves_of_a_batch_have_the_gradient_of_the_whole(module: Any) -> None:
    """Where there is no batch norm."""
    changes = {"network": "msr"} if module is srgan else {}
    whole, split = (built(module, pretraining=1.0, **changes) for _ in range(2))
    split.split = 2
    for game in (whole, split):
        game.step(stream(game.config))
    for one, other in zip(whole.model.parameters(), split.model.parameters()):
        assert one.grad is not None and other.grad is not None
        assert (one.grad - other.grad).abs().max() < 1e-5


@pytest.mark.parametrize(("preset", "spars"), [("e", False), ("p", False), ("pa", True), ("pat", True)])
def test_enhancenets_ablations(preset: str, spars: bool) -> None:
    chosen = api.starting_point("enhancenet", preset)
    assert isinstance(chosen, enhancenet.Config)
    weights = {name: getattr(chosen, name) for name in ("pixels", "perceptual", "texture", "adversarial")}
    game = built(enhancenet, **weights)
    before = [weight.clone() for weight in game.discriminator.parameters()]
    values = game.step(stream(game.config))
    moved = any(not torch.equal(*pair) for pair in zip(before, game.discriminator.parameters()))
    assert moved is spars
    assert ("fooled" in values) is spars
    assert ("perceptual" in values) is (preset != "e")
    assert (values.get("texture", torch.zeros(())) > 0).item() is (preset == "pat")
    if preset == "e":
        assert values["generator"] == values["pixels"]


def test_a_confident_discriminator_waits() -> None:
    game = built(enhancenet)
    batches = stream(game.config)
    game.right.fill_(1)
    before = [weight.clone() for weight in game.discriminator.parameters()]
    values = game.step(batches)
    assert all(torch.equal(*pair) for pair in zip(before, game.discriminator.parameters()))
    assert torch.equal(game.right, torch.stack([values["right, real"], values["right, forged"]]))
    assert game.right.min() < game.config.confident
    game.step(batches)
    assert not all(torch.equal(*pair) for pair in zip(before, game.discriminator.parameters()))


def test_content_loss_is_of_the_layer() -> None:
    game = built(srgan, layer="1_2", adversarial=0.0)
    batch = next(stream(game.config)).image
    game.model.eval()
    values = game.step(iter([type("Batch", (), {"image": batch})()]))
    assert values["generator"] == values["content"]


@pytest.mark.parametrize("module", METHODS)
def test_bad_settings_are_named(module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    name = module.__name__.rpartition(".")[2]
    for flags, message in [
        (["--data.size", "30"], "--data.size 30 is not divisible by --scale 4; 32 is"),
        (["--data.size", "12"], "--data.size 12 is too small for the discriminator"),
        (["--pretraining", "2"], "--pretraining is a share of the run"),
        (["--features", "none.pth"], "--features none.pth: no such file"),
    ]:
        assert cli.run(["train", name, "--preset", "tiny", *flags]) == 2
        assert message in " ".join(capsys.readouterr().err.split())


# --- the task -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize(
    ("module", "changes"), [(srgan, {"network": "srresnet"}), (srgan, {"network": "msr"}), (enhancenet, {})]
)
def test_tiles_make_the_whole(
    module: Any, changes: dict[str, Any], scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    upscaler_model = model(module, scale=scale, **changes)
    image = picture(1, 3, 75, 91)
    with torch.no_grad():
        whole = upscaler_model.generator(image).clamp(-1, 1)
    monkeypatch.setattr(upscale, "TILE", 32)
    found = upscaler_model.upscale(image)
    assert found.shape == (1, 3, 75 * scale, 91 * scale)
    assert (found - whole).abs().max() < 1e-5


def test_dense_blocks_trained_and_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """They look farther than tiles overlap, to no effect that shows: under 1/255."""
    game = built(srgan, network="rrdb", blocks=2)
    assert game.step(stream(game.config))["generator"].isfinite()
    network = srgan.Model(small(srgan, data=Photos(size=32, channels=3), network="rrdb", blocks=8, width=8)).eval()
    with torch.no_grad():
        for conv in network.generator.body.modules():
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight)
        image = picture(1, 3, 160, 170)
        whole = network.generator(image).clamp(-1, 1)
    assert whole.std() > 0.01
    monkeypatch.setattr(upscale, "TILE", 64)
    assert (network.upscale(image) - whole).abs().max() < 2 / 255
    with pytest.raises(UserError, match="rrdb enlarges by 4, not 2"):
        srgan.Model(small(srgan, network="rrdb", scale=2))


@pytest.mark.parametrize("module", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (33, 20)])
@pytest.mark.parametrize("given", [1, 3, 4])
@pytest.mark.parametrize("known", [1, 3])
def test_any_picture_comes_back_as_it_was_and_larger(
    module: Any, shape: tuple[int, int], given: int, known: int
) -> None:
    found = model(module, known).upscale(picture(1, given, *shape))
    assert found.shape == (1, given, 4 * shape[0], 4 * shape[1])
    assert found.dtype == torch.float32 and found.abs().max() <= 1


@pytest.mark.parametrize("module", METHODS)
def test_opacity_is_kept(module: Any) -> None:
    made, image = model(module), picture(1, 4, 12, 9)
    found = made.upscale(image)
    assert torch.equal(found[:, 3:], raised(image[:, 3:], 4).clamp(-1, 1))
    assert (found[:, :3] - made.upscale(image[:, :3])).abs().max() < 1e-6


@pytest.mark.parametrize("module", METHODS)
def test_grey_networks_take_colours_one_by_one(module: Any) -> None:
    made, image = model(module, 1), picture(1, 3, 12, 9)
    found = made.upscale(image)
    for channel in range(3):
        alone = made.upscale(image[:, channel : channel + 1])
        assert (found[:, channel : channel + 1] - alone).abs().max() < 1e-6


@pytest.mark.parametrize("module", METHODS)
def test_previews_show_bicubic_ours_and_the_original(module: Any) -> None:
    made = module.Model(small(module)).eval()
    sheet = made.preview(0)
    assert sheet.shape == (1, 1, 4 * 28 + 3 * 2, 3 * 28 + 2 * 2)
    original = sheet[:, :, :28, 60:88]
    low = lowered(original, 4)
    assert (sheet[:, :, :28, :28] - raised(low, 4).clamp(-1, 1)).abs().max() < 1e-5
    assert (sheet[:, :, :28, 30:58] - made.upscale(low)).abs().max() < 1e-4


def test_enlarging_wants_no_data(tmp_path: Path) -> None:
    made = srgan.Model(small(srgan, data=Photos(str(tmp_path / "gone"), size=32, channels=3)))
    path = made.save(tmp_path / "model.safetensors")
    save_image(picture(3, 10, 12), tmp_path / "photo.jpg")
    out = tmp_path / "big.png"
    assert cli.run(["apply", str(path), "upscale", str(tmp_path / "photo.jpg"), "--out", str(out)]) == 0
    with PIL.Image.open(out) as image:
        assert image.size == (48, 40) and image.mode == "RGB"


PHOTO = """
import resource, sys, torch
torch.set_num_threads(1)
from sparring.data.photos import Photos
from sparring.methods import {name}
config = {name}.Config.tiny().replace(data=Photos(size=32, channels=3), precision="float32")
model = {name}.Model(config).eval().requires_grad_(False)
made = model.upscale(torch.rand(1, 3, 3000, 4000) * 2 - 1)
assert made.shape == (1, 3, 12000, 16000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["srgan", "enhancenet"])
def test_a_photo_of_twelve_megapixels_fits_into_four_gibibytes(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", PHOTO.format(name=name)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4 * 2**30


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("method", "changes"),
    [("srgan", {"pretraining": 1.0, "network": "msr"}), ("enhancenet", {"pretraining": 1.0})],
)
def test_squared_error_beats_bicubic_on_digits(method: str, changes: dict[str, Any], tmp_path: Path) -> None:
    config = api.starting_point(method, "tiny").replace(
        width=16, blocks=2, batch=32, steps=400, log_every=100, device="cpu", **changes
    )
    made = api.start(method, config, tmp_path / "run", show=False).model
    data = made.config.data.open()
    real = data.prepare(data.batch(torch.arange(200), torch.Generator().manual_seed(1))).image
    low = lowered(real, 4)
    assert isinstance(made, upscale.Upscale)
    gain = psnr(real, made.upscale(low)).mean() - psnr(real, raised(low, 4).clamp(-1, 1)).mean()
    assert gain > 1


def test_one_of_our_own_judges_as_features(tmp_path: Path) -> None:
    """Its maps are what the judge itself has inside, and nothing of it is trained or saved with the game."""
    from sparring.data.images import Images
    from sparring.judging import judge

    trained = judge.train(Images("digits", size=28), epochs=1)
    path = trained.save(tmp_path / "judge.safetensors")
    network = vgg.features(str(path), ["1_1", "3_1", "5_4"])
    images = torch.rand(2, 1, 28, 28) * 2 - 1
    inside, wanted = images, []
    for index, module in enumerate(trained.network.body[:15]):
        inside = module(inside)
        if index % 3 == 2:
            wanted.append(inside)
    for found, right in zip(network(images), (wanted[0], wanted[2], wanted[4])):
        assert torch.allclose(found, right, atol=1e-5)
    assert not list(network.parameters()) and not network.state_dict() and not network.train().training
