"""Weights in the layouts that people have: what comes out is what the original networks, written anew here, make of them."""

from __future__ import annotations

import functools
import pickle
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import sparring
from sparring import cli
from sparring.convert import convert
from sparring.core.errors import UserError
from sparring.core.media import save_image

TOLERANCE = 1e-5


def randomised(network: nn.Module) -> nn.Module:
    """Weights large enough to matter, of a fixed seed; with running statistics that would show if they were used."""
    torch.manual_seed(0)
    for name, value in network.state_dict().items():
        if value.dim() == 4:
            nn.init.xavier_normal_(value)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif name.endswith("weight"):
            value.uniform_(0.5, 1.5)
        elif value.is_floating_point():
            value.uniform_(-0.3, 0.3)
    return network


class Residual(nn.Module):
    def __init__(self, width: int, dropout: bool, norm: type[nn.Module] | functools.partial[nn.Module]):
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm(width), nn.ReLU()]
        layers += [nn.Dropout(0.5)] if dropout else []
        self.conv_block = nn.Sequential(*layers, nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm(width))

    def forward(self, value: Tensor) -> Tensor:
        return value + self.conv_block(value)


class Generator(nn.Module):
    """Residual generator, as its state dict says that it was laid out."""

    def __init__(self, width: int, blocks: int, dropout: bool = False, statistics: bool = False):
        super().__init__()
        norm = functools.partial(nn.InstanceNorm2d, affine=False, track_running_stats=statistics)
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), norm(width), nn.ReLU()]
        for count in (width, 2 * width):
            layers += [nn.Conv2d(count, 2 * count, 3, 2, 1), norm(2 * count), nn.ReLU()]
        layers += [Residual(4 * width, dropout, norm) for _ in range(blocks)]
        for count in (4 * width, 2 * width):
            layers += [nn.ConvTranspose2d(count, count // 2, 3, 2, 1, 1), norm(count // 2), nn.ReLU()]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())

    def forward(self, image: Tensor) -> Tensor:
        return self.model(image)


class Level(nn.Module):
    """A level of a nested U-Net with a skip around it, but for the outermost."""

    def __init__(self, outer: int, inner: int, given: int | None, within: nn.Module | None, kind: str, norm: str):
        super().__init__()
        self.outermost = kind == "outermost"
        bias = norm == "instance"

        def normalised(count: int) -> nn.Module:
            return nn.InstanceNorm2d(count) if norm == "instance" else nn.BatchNorm2d(count)

        down = nn.Conv2d(given or outer, inner, 4, 2, 1, bias=bias)
        up = nn.ConvTranspose2d(inner * (1 if kind == "innermost" else 2), outer, 4, 2, 1, bias=bias or self.outermost)
        if kind == "outermost":
            layers = [down, within, nn.ReLU(), up, nn.Tanh()]
        elif kind == "innermost":
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, normalised(outer)]
        else:
            layers = [nn.LeakyReLU(0.2), down, normalised(inner), within, nn.ReLU(), up, normalised(outer)]
        self.model = nn.Sequential(*layers)  # type: ignore[arg-type]

    def forward(self, value: Tensor) -> Tensor:
        return self.model(value) if self.outermost else torch.cat([value, self.model(value)], 1)


class Nested(nn.Module):
    def __init__(self, given: int, made: int, levels: int, width: int, norm: str):
        super().__init__()
        level = Level(8 * width, 8 * width, None, None, "innermost", norm)
        for _ in range(levels - 5):
            level = Level(8 * width, 8 * width, None, level, "", norm)
        for count in (4, 2, 1):
            level = Level(count * width, 2 * count * width, None, level, "", norm)
        self.model = Level(made, width, given, level, "outermost", norm)

    def forward(self, image: Tensor) -> Tensor:
        return self.model(image)


class Upscaler(nn.Module):
    def __init__(self, width: int, blocks: int, scale: int):
        super().__init__()
        self.conv_first = nn.Conv2d(3, width, 3, 1, 1)
        self.body = nn.Sequential(*(Pair(width) for _ in range(blocks)))
        self.upconv1 = nn.Conv2d(width, 4 * width, 3, 1, 1)
        if scale == 4:
            self.upconv2 = nn.Conv2d(width, 4 * width, 3, 1, 1)
        self.conv_hr, self.conv_last = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, 3, 3, 1, 1)
        self.scale = scale

    def forward(self, image: Tensor) -> Tensor:
        """Pictures in [0, 1]."""
        leaky = functools.partial(functional.leaky_relu, negative_slope=0.1)
        value = self.body(leaky(self.conv_first(image)))
        for conv in (self.upconv1, self.upconv2) if self.scale == 4 else (self.upconv1,):
            value = leaky(functional.pixel_shuffle(conv(value), 2))
        larger = functional.interpolate(image, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return self.conv_last(leaky(self.conv_hr(value))) + larger


class Pair(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, value: Tensor) -> Tensor:
        return value + self.conv2(functional.relu(self.conv1(value)))


class Dense(nn.Module):
    """A dense block, then a fifth of it added."""

    def __init__(self, width: int):
        super().__init__()
        half = width // 2
        self.conv1, self.conv2 = nn.Conv2d(width, half, 3, 1, 1), nn.Conv2d(width + half, half, 3, 1, 1)
        self.conv3, self.conv4 = nn.Conv2d(2 * width, half, 3, 1, 1), nn.Conv2d(2 * width + half, half, 3, 1, 1)
        self.conv5 = nn.Conv2d(3 * width, width, 3, 1, 1)

    def forward(self, value: Tensor) -> Tensor:
        leaky = functools.partial(functional.leaky_relu, negative_slope=0.2)
        one = leaky(self.conv1(value))
        two = leaky(self.conv2(torch.cat((value, one), 1)))
        three = leaky(self.conv3(torch.cat((value, one, two), 1)))
        four = leaky(self.conv4(torch.cat((value, one, two, three), 1)))
        return self.conv5(torch.cat((value, one, two, three, four), 1)) * 0.2 + value


class Triple(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.RDB1, self.RDB2, self.RDB3 = Dense(width), Dense(width), Dense(width)

    def forward(self, value: Tensor) -> Tensor:
        return self.RDB3(self.RDB2(self.RDB1(value))) * 0.2 + value


class Esrgan(nn.Module):
    """With the names of its authors' repository."""

    def __init__(self, width: int, blocks: int):
        super().__init__()
        self.conv_first = nn.Conv2d(3, width, 3, 1, 1)
        self.RRDB_trunk = nn.Sequential(*(Triple(width) for _ in range(blocks)))
        self.trunk_conv, self.HRconv = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)
        self.upconv1, self.upconv2 = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)
        self.conv_last = nn.Conv2d(width, 3, 3, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Pictures in [0, 1]."""
        leaky = functools.partial(functional.leaky_relu, negative_slope=0.2)
        value = self.conv_first(image)
        value = value + self.trunk_conv(self.RRDB_trunk(value))
        for conv in (self.upconv1, self.upconv2):
            value = leaky(conv(functional.interpolate(value, scale_factor=2, mode="nearest")))
        return self.conv_last(leaky(self.HRconv(value)))


LAYOUTS_OF_ESRGAN = {
    "authors": {},
    "library": {
        r"RRDB_trunk\.(\d+)\.RDB": r"body.\1.rdb", r"trunk_conv": "conv_body", r"upconv": "conv_up", r"HRconv": "conv_hr",
    },
    "oldest": {
        r"RRDB_trunk\.(\d+)\.(RDB\d\.conv\d)": r"model.1.sub.\1.\2.0", r"conv_first": "model.0",
        r"trunk_conv": "model.1.sub.2", r"upconv1": "model.3", r"upconv2": "model.6", r"HRconv": "model.8",
        r"conv_last": "model.10",
    },
}  # fmt: skip


def stored(network: nn.Module, path: Path, prefix: str = "") -> Path:
    torch.save({f"{prefix}{name}": value for name, value in network.state_dict().items()}, path)
    return path


def image(side: int = 64) -> Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(("blocks", "dropout", "statistics"), [(6, False, False), (9, True, False), (6, False, True)])
def test_residual_generators(tmp_path: Path, prefix: str, blocks: int, dropout: bool, statistics: bool) -> None:
    network = randomised(Generator(8, blocks, dropout, statistics))
    path = convert([stored(network, tmp_path / "latest_net_G.pth", prefix)], "cyclegan", tmp_path / "run")
    model = sparring.load(path.parent)
    # In training mode these use each picture's own statistics, as the original does without tracking; dropout is off.
    for module in network.modules():
        module.train(not isinstance(module, nn.Dropout))
    with torch.no_grad():
        expected = network(image())
    assert expected.std() > 0.1
    assert (model.there(image()) - expected).abs().max() < TOLERANCE
    with pytest.raises(UserError, match="one direction only"):
        model.back(image())
    assert (model.translate(image()) - expected).abs().max() < 0.1


def test_both_directions(tmp_path: Path) -> None:
    networks = [randomised(Generator(4, 6)), randomised(Generator(4, 6))]
    with torch.no_grad():
        next(networks[1].parameters()).mul_(-1)
    files = [stored(network, tmp_path / f"latest_net_G_{name}.pth") for name, network in zip("AB", networks)]
    model = sparring.load(convert(files, "cyclegan", tmp_path / "run"))
    with torch.no_grad():
        for ours, theirs in zip((model.there, model.home), networks):
            assert (ours(image()) - theirs(image())).abs().max() < TOLERANCE


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("levels", [7, 8])
def test_unets(tmp_path: Path, norm: str, levels: int) -> None:
    network = randomised(Nested(3, 1, levels, 8, norm)).train()
    path = convert([stored(network, tmp_path / "net.pth", "module.")], "pix2pix", tmp_path / "run")
    model = sparring.load(path)
    with torch.no_grad():
        expected = network(image(2**levels))
    assert (model.config.data.size, model.config.data.target_channels) == (2**levels, 1)
    assert (model.generator(image(2**levels)) - expected).abs().max() < TOLERANCE


@pytest.mark.parametrize("scale", [2, 4])
def test_upscalers(tmp_path: Path, scale: int) -> None:
    network = randomised(Upscaler(8, 3, scale))
    torch.save({"params": network.state_dict()}, tmp_path / f"MSRResNet_x{scale}.pth")
    path = convert([tmp_path / f"MSRResNet_x{scale}.pth"], "srgan", tmp_path / "run.safetensors")
    with torch.no_grad():
        expected = network((image() + 1) / 2) * 2 - 1
    assert (sparring.load(path).generator(image()) - expected).abs().max() < TOLERANCE


@pytest.mark.parametrize("layout", LAYOUTS_OF_ESRGAN)
def test_dense_upscalers(tmp_path: Path, layout: str) -> None:
    network, state = randomised(Esrgan(8, 2)), {}
    for name, value in network.state_dict().items():
        for older, newer in LAYOUTS_OF_ESRGAN[layout].items():
            name = re.sub(f"^{older}", newer, name)
        state[name] = value
    torch.save({"params_ema": state} if layout == "library" else state, tmp_path / "RRDB_x4.pth")
    path = convert([tmp_path / "RRDB_x4.pth"], "srgan", tmp_path / "run.safetensors")
    with torch.no_grad():
        expected = network((image(24) + 1) / 2) * 2 - 1
    model = sparring.load(path)
    assert (model.config.network, model.config.blocks, model.scale) == ("rrdb", 2, 4)
    assert (model.generator(image(24)) - expected).abs().max() < TOLERANCE * max(1, expected.abs().max().item())


def test_a_folded_picture_is_refused(tmp_path: Path) -> None:
    state = randomised(Esrgan(8, 2)).state_dict()
    torch.save({**state, "conv_first.weight": torch.zeros(8, 12, 3, 3)}, tmp_path / "RealESRGAN_x2plus.pth")
    with pytest.raises(
        UserError, match=r"x2plus\.pth: expected conv_first\.weight of 1 or 3 channels, found 8 x 12 x 3 x 3"
    ):
        convert([tmp_path / "RealESRGAN_x2plus.pth"], "srgan", tmp_path / "run")


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = stored(randomised(Generator(4, 6)), tmp_path / "latest_net_G.pth")
    assert cli.run(["convert", str(source), "--as", "cyclegan", "--out", str(tmp_path / "run")]) == 0
    assert "translate" in capsys.readouterr().out
    photo = save_image(image(40)[0], tmp_path / "photo.png")
    made = tmp_path / "made.png"
    assert cli.run(["apply", str(tmp_path / "run"), "translate", str(photo), "--out", str(made)]) == 0
    assert made.exists()
    assert cli.run(["convert", str(source), "--as", "cyclegan", "--out", str(tmp_path / "run")]) == 2
    assert "is there already" in capsys.readouterr().err


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("this must never run",))


def test_what_is_no_weights_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = randomised(Generator(4, 6))
    state = network.state_dict()
    files = {
        "trap.pth": (
            lambda path: path.write_bytes(pickle.dumps(Trap())),
            "holds more than tensors|not a readable file",
        ),
        "code.pth": (lambda path: torch.save({"net": Trap()}, path), "holds more than tensors"),
        "cut.pth": (lambda path: path.write_bytes(stored(network, path).read_bytes()[:5000]), "not a readable file"),
        "list.pth": (
            lambda path: torch.save([torch.zeros(3)], path),
            "expected model.1.weight.*found no tensors by name",
        ),
        "other.pth": (lambda path: torch.save({"layer.weight": torch.zeros(3)}, path), "found layer.weight"),
        "less.pth": (
            lambda path: torch.save({name: value for name, value in state.items() if "19" not in name}, path),
            r"expected model\.19\.weight of shape",
        ),
        "more.pth": (
            lambda path: torch.save({**state, "model.99.weight": torch.zeros(2, 2)}, path),
            r"no model\.99\.weight",
        ),
        "wrong.pth": (
            lambda path: torch.save({**state, "model.4.weight": torch.zeros(8, 4, 5, 5)}, path),
            "expected model.4.weight of shape 8 x 4 x 3 x 3, found 8 x 4 x 5 x 5",
        ),
        "nan.pth": (
            lambda path: torch.save({**state, "model.4.bias": torch.full((8,), float("nan"))}, path),
            "not finite",
        ),
    }
    for name, (make, says) in files.items():
        make(tmp_path / name)
        with pytest.raises(UserError, match=says) as raised:
            convert([tmp_path / name], "cyclegan", tmp_path / "run")
        assert name in str(raised.value)
    assert "must never run" not in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="--as gan: weights of cyclegan, pix2pix, srgan"):
        convert([tmp_path / "nan.pth"], "gan", tmp_path / "run")
    with pytest.raises(UserError, match="none.pth: cannot be read"):
        convert([tmp_path / "none.pth"], "cyclegan", tmp_path / "run")
