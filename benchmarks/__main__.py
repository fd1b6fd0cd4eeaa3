"""Prints a table of ratios measured in one run: ours and the plain loop in turn, medians (with OMP_NUM_THREADS=1 of the
processor's own time, so that what else runs does not count).

python -m benchmarks [--only dcgan gan] [--json FILE] [--rounds N] [--brief]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.plain import Plain, convolutional, dense, pyramid, residual, translation, upscaling
from benchmarks.plain import unrolled as plain_unrolled
from benchmarks.plain.common import images
from sparring.core import Dataset, Game, device
from sparring.core.config import Config
from sparring.core.loop import Loop
from sparring.core.run import Run
from sparring.data.images import Images, ImageSet
from sparring.data.paired import Pairs, PairSet
from sparring.data.photos import Photos, PhotoSet
from sparring.data.points import Points
from sparring.data.unpaired import Domains, DomainSet
from sparring.methods import (
    began,
    cgan,
    cyclegan,
    dcgan,
    gan,
    infogan,
    lapgan,
    nce,
    pix2pix,
    r3gan,
    sgan,
    srgan,
    unrolled,
    wgan,
    wgan_gp,
)
from sparring.networks.upsampling import Doubling

Step = Callable[[], object]

WARM = 1000
"""clock that our steps start from: past what only the first steps of a run do (an average that moves at every step)"""


class Pair(NamedTuple):
    """Two ways to do the same."""

    ours: Step
    plain: Step
    examples: int
    """in each step"""
    weights: tuple[int, int]
    """how many are trained, on either side"""


def ours(method: Any, config: Config, dataset: Dataset | None = None) -> tuple[Step, Game[Any, Any]]:
    """One step as the training loop takes it: seeding, data, both players, running average, log."""
    torch.manual_seed(0)
    where = device.pick("auto")
    config = config.replace(precision=device.precision(config.precision, where), data=config.data.resolved())
    game = method.Game(method.Model(config), config)
    loop = Loop(game, dataset or config.data.open(), Run(Path(tempfile.mkdtemp())), where, show=False)
    game.clock = WARM
    loop.open_stream()

    def step() -> None:
        loop.advance()
        device.synchronize(where)

    return step, game


def beside(method: Any, config: Config, theirs: Plain, dataset: Dataset | None = None) -> Pair:
    mine, game = ours(method, config, dataset)
    weights = [weight for player in game.players.values() for weight in player.weights]
    trained = [*theirs.generator.parameters(), *theirs.opponent.parameters()]
    counts = (_count(weights), _count([weight for weight in trained if weight.requires_grad]))
    return Pair(mine, theirs.step, config.batch, counts)


def _count(weights: list[torch.Tensor]) -> int:
    return sum(weight.numel() for weight in weights)


def digits() -> tuple[np.ndarray, np.ndarray]:
    data = Images("digits").resolved().open()
    return data.images, data.labels


def unlabelled(pixels: np.ndarray) -> ImageSet:
    return ImageSet(pixels, np.full(len(pixels), -1), [], "benchmark")


def dcgan_pair() -> Pair:
    pixels, config = images(64, 3), dcgan.Config.photos()
    return beside(dcgan, config, convolutional.dcgan(pixels, config.batch), unlabelled(pixels))


def began_pair() -> Pair:
    pixels, config = images(32, 1), began.Config()
    return beside(began, config, pyramid.began(pixels, config.batch), unlabelled(pixels))


def wgan_pair() -> Pair:
    config = wgan.Config(warm_steps=0, warm_every=0)
    return beside(wgan, config, convolutional.wgan(digits()[0], config.batch))


def unrolled_pair() -> Pair:
    config = unrolled.Config.stacked().replace(lookahead=5)
    return beside(unrolled, config, plain_unrolled.unrolled(digits()[0], config.batch, config.lookahead))


def pix2pix_pair(batch: int) -> Pair:
    pixels = images(128, 3, 512)
    data = Pairs(size=128, channels=3, target_channels=3, jitter=0, flip=False)
    config = pix2pix.Config.paper().replace(data=data, batch=batch)
    pairs = PairSet(np.concatenate([pixels, pixels], axis=3), "benchmark", data)
    return beside(pix2pix, config, translation.pix2pix(pixels, batch), pairs)


def cyclegan_pair() -> Pair:
    pixels = images(128, 3, 512)
    data = Domains(size=128, channels=3, jitter=0, flip=False)
    config = cyclegan.Config.paper().replace(data=data)
    sets = DomainSet(unlabelled(pixels), unlabelled(pixels), data)
    return beside(cyclegan, config, translation.cyclegan(pixels, config.batch), sets)


def srresnet_pair() -> Pair:
    pixels = images(96, 3, 512)
    data = Photos(size=96, channels=3, flip=False)
    config = srgan.Config.paper().replace(data=data, features="random", layer="2_2", pretraining=1.0)
    mine, game = ours(srgan, config, PhotoSet(pixels, "benchmark", data))
    theirs = upscaling.srresnet(pixels, config.batch)
    counts = (_count(game.generator_player.weights), _count(list(theirs.generator.parameters())))
    return Pair(mine, theirs.step, config.batch, counts)


def srresnet_picture() -> Pair:
    """A picture of 128 px, four times as large."""
    config = srgan.Config.paper().replace(
        data=Photos(size=96, channels=3), precision=device.precision("auto", device.pick("auto"))
    )
    model, network, image = srgan.Model(config).eval(), upscaling.SRResNet().eval(), torch.rand(1, 3, 128, 128) * 2 - 1

    def upscale_plainly() -> object:
        with torch.no_grad():
            return network(image)

    return Pair(lambda: model.upscale(image), upscale_plainly, 1, (0, 0))


def translating(model: Any, network: torch.nn.Module, side: int) -> Pair:
    """One picture of a side, through the verb and through the plain network."""
    model, network, image = model.eval(), network.eval(), torch.rand(1, 3, side, side) * 2 - 1

    def translate_plainly() -> object:
        with torch.no_grad():
            return network(image)

    return Pair(lambda: model.translate(image), translate_plainly, 1, (0, 0))


def cyclegan_picture() -> Pair:
    data, precision = Domains(size=256, channels=3), device.precision("auto", device.pick("auto"))
    config = cyclegan.Config.paper().replace(data=data, precision=precision)
    return translating(cyclegan.Model(config), translation.translator(9), 256)


def pix2pix_picture() -> Pair:
    data = Pairs(size=256, channels=3, target_channels=3)
    config = pix2pix.Config.paper().replace(data=data, precision=device.precision("auto", device.pick("auto")))
    return translating(pix2pix.Model(config), translation.unet(8), 256)


def sampling_pair() -> Pair:
    config = dcgan.Config.photos().replace(precision=device.precision("auto", device.pick("auto")))
    model = dcgan.Model(config).eval()
    theirs = convolutional.dcgan(images(64, 3, 64), 64).generator.eval()

    def sample_plainly() -> object:
        with torch.no_grad():
            return theirs(torch.randn(256, 100, 1, 1))

    counts = (_count(list(model.generator.parameters())), _count(list(theirs.parameters())))
    return Pair(lambda: model.sample(256, seed=0), sample_plainly, 256, counts)


def upsampling_pair() -> Pair:
    """Nearest-neighbour doubling and a 3 x 3 convolution, 64 channels from 16 to 32 px, there and back; both of ours."""
    where = device.pick("auto")
    layer = Doubling(64, 64).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.randn(32, 64, 16, 16).to(memory_format=torch.channels_last).requires_grad_()

    def there_and_back(double: Callable[[torch.Tensor], torch.Tensor]) -> Step:
        def step() -> object:
            with device.autocast("auto", where):
                made = double(image)
            return torch.autograd.grad(made.float().square().mean(), [image, *layer.parameters()])

        return step

    def plain(image: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(functional.interpolate(image, scale_factor=2), layer.weight, layer.bias, padding=1)

    count = _count(list(layer.parameters()))
    return Pair(there_and_back(layer), there_and_back(plain), 32, (count, count))


CASES: dict[str, Callable[[], Pair]] = {
    "dcgan": dcgan_pair,
    "gan": lambda: beside(gan, gan.Config(), dense.gan(digits()[0], 64)),
    "cgan": lambda: beside(cgan, cgan.Config(), convolutional.cgan(*digits(), 64)),
    "lapgan": lambda: beside(lapgan, lapgan.Config(), pyramid.lapgan(digits()[0], 64)),
    "infogan": lambda: beside(infogan, infogan.Config(), convolutional.infogan(digits()[0], 128)),
    "wgan": wgan_pair,
    "wgan_gp": lambda: beside(wgan_gp, wgan_gp.Config(), convolutional.wgan_gp(digits()[0], 64)),
    "began": began_pair,
    "sgan": lambda: beside(sgan, sgan.Config(), dense.sgan(*digits(), 100)),
    "r3gan": lambda: beside(r3gan, r3gan.Config(), residual.r3gan(digits()[0], 64)),
    "r3gan_modern": lambda: beside(r3gan, r3gan.Config.modern(), residual.r3gan_modern(digits()[0], 64)),
    "unrolled": unrolled_pair,
    "nce": lambda: beside(nce, nce.Config(), dense.nce(256)),
    "gan_ring": lambda: beside(gan, gan.Config.grid().replace(data=Points("ring")), dense.gan_ring(256)),
    "wgan_gp_ring": lambda: beside(wgan_gp, wgan_gp.Config.ring(), dense.wgan_gp_ring(256)),
    "r3gan_ring": lambda: beside(r3gan, r3gan.Config.ring(), dense.r3gan_ring(256)),
    "pix2pix": lambda: pix2pix_pair(1),
    "pix2pix_8": lambda: pix2pix_pair(8),
    "cyclegan": cyclegan_pair,
    "pix2pix_picture": pix2pix_picture,
    "cyclegan_picture": cyclegan_picture,
    "srresnet": srresnet_pair,
    "srresnet_picture": srresnet_picture,
    "dcgan_sampling": sampling_pair,
    "upsampling": upsampling_pair,
}


class _Count(TorchDispatchMode):
    """Floating-point operations of matrix products and convolutions. torch's own counter fails at `autograd.grad`."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=made)
        return made


def _flops(step: Step) -> int:
    step()
    with _Count() as counter:
        step()
    return counter.total


def peak() -> float:
    """Best of many bfloat16 products of two square matrices, GFLOP/s."""
    best = 0.0
    for side in (1024, 2048, 4096):
        left, right = torch.randn(2, side, side, dtype=torch.bfloat16).unbind()
        for _ in range(12):
            began = _clock()
            left @ right
            best = max(best, 2 * side**3 / (_clock() - began) / 1e9)
    return best


def measure(name: str, rounds: int, brief: bool) -> dict[str, Any]:
    mine, theirs, examples, _ = CASES[name]()
    flops = _flops(mine)
    for _ in range(3):
        mine(), theirs()
    repeat = max(1, int(0.1 / _timed(mine, 1)))
    tops, times = [0.0 if brief else peak()], ([], [])
    for number in range(rounds):
        times[0].append(_timed(mine, repeat))
        times[1].append(_timed(theirs, repeat))
        if number % 5 == 4 and not brief:
            tops.append(peak())
    ours_s, plain_s = statistics.median(times[0]), statistics.median(times[1])
    gflops = flops / ours_s / 1e9
    return {
        "name": name,
        "ours_ms": round(ours_s * 1e3, 2),
        "plain_ms": round(plain_s * 1e3, 2),
        "ratio": round(plain_s / ours_s, 2),
        "gflops": round(gflops, 1),
        "peak_gflops": None if brief else round(max(tops), 1),
        "share_of_peak": None if brief else round(gflops / max(tops), 3),
        "images_per_s": round(examples / ours_s),
        "peak_mib": None if brief else _memory(name, "ours"),
        "plain_peak_mib": None if brief else _memory(name, "plain"),
    }


def _clock() -> float:
    """Seconds: of one thread on a processor its own time, which does not run while others have the processor; else of the
    wall."""
    alone = torch.get_num_threads() == 1 and device.pick("auto").type == "cpu"
    return time.process_time() if alone else time.perf_counter()


def _timed(step: Step, repeat: int) -> float:
    began = _clock()
    for _ in range(repeat):
        step()
    return (_clock() - began) / repeat


def _memory(name: str, side: str) -> float | None:
    """Peak memory in MiB that five steps take beyond what the process had before the first, in a process of their own."""
    if sys.platform != "linux":
        return None
    command = [sys.executable, "-m", "benchmarks", "--memory", name, side]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(found.stdout.split()[-1])


def _report_memory(name: str, side: str) -> None:
    mine, theirs, *_ = CASES[name]()
    before = _resident("VmRSS")
    # Forgets the peak that building the data and the networks made.
    Path("/proc/self/clear_refs").write_text("5")
    for _ in range(5):
        (mine if side == "ours" else theirs)()
    print(round(_resident("VmHWM") - before))


def _resident(field: str) -> float:
    """A field of this process's status in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES), metavar="NAME")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--brief", action="store_true", help="without the processor's peak and the memory of each")
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.memory:
        _report_memory(*flags.memory)
        return
    where = device.pick("auto")
    print(f"{device.describe(where)}; torch {torch.__version__}; Python {platform.python_version()}\n")
    rows = []
    for name in flags.only:
        rows.append(row := measure(name, flags.rounds, flags.brief))
        widths = {column: max(len(column), 14) for column in row}
        for line in [row] if rows[1:] else [dict(zip(row, row)), row]:
            print("  ".join(f"{line[column]!s:>{width}}" for column, width in widths.items()), flush=True)
    if flags.json:
        flags.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
