"""The propositions of the 2014 paper, measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import torch

from results.training import spread, trained
from sparring.core import Adam, Player
from sparring.core.config import Config, to_json
from sparring.core.run import Run
from sparring.data.points import Points
from sparring.losses import adversarial
from sparring.methods import gan
from sparring.networks import perceptron

ORDER = 40
TITLE = "GAN: the theory, seen to happen"
CLAIM = (
    "*Optimum*: with the generator fixed, the trained discriminator against D*(x) = p / (p + p_g), mean absolute error over "
    "the mixture of both (Proposition 1). *Equilibrium*: the discriminator's loss, mean over the last 250 steps of a game "
    "on a two-dimensional Gaussian, against log 4 = 1.3863 (Theorem 1). *Saturation*: length of the generator's gradient "
    "under either objective, as the discriminator grows surer that samples are fake."
)
SEEDS = (0, 1, 2)
PROBABILITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
PICTURE = Path("docs/pictures/saturation.png")


def config(seed: int) -> Config:
    return gan.Config.ring().replace(data=Points("gaussian"), steps=3000, seed=seed)


def inputs() -> Any:
    return [[to_json(config(seed)) for seed in SEEDS], PROBABILITIES]


def compute(work: Path) -> Any:
    ends = []
    for seed in SEEDS:
        model, _ = trained("gan", config(seed), work / f"seed-{seed}")
        lines = Run(work / f"seed-{seed}").lines("log")[-5:]
        ends.append(round(sum(line["discriminator"] for line in lines) / len(lines), 4))
    slopes = saturation(model)
    draw(slopes, PICTURE)
    return {"optimum_error": [round(optimum_error(seed), 4) for seed in SEEDS], "loss": ends, "slopes": slopes}


def optimum_error(seed: int) -> float:
    """A discriminator trained to convergence between two fixed Gaussians in one dimension."""
    torch.manual_seed(seed)
    data, forger = torch.distributions.Normal(0.5, 0.5), torch.distributions.Normal(-0.5, 0.8)
    discriminator = perceptron.Discriminator((1,), (64, 64), 2, 0.0, 0.0)
    player = Player(discriminator, optimizer=Adam(lr=2e-3, betas=(0.9, 0.999)))
    for step in range(3000):
        scores = discriminator(data.sample((1024, 1))), discriminator(forger.sample((1024, 1)))
        player.minimize(adversarial.discriminator_loss(*scores), lr=2e-3 * (1 - step / 3000))
    points = torch.cat([data.sample((10_000, 1)), forger.sample((10_000, 1))])
    p, q = (which.log_prob(points).exp() for which in (data, forger))
    return (discriminator(points).sigmoid() - (p / (p + q)).squeeze(1)).abs().mean().item()


def saturation(model: Any) -> dict[str, list[float]]:
    """|gradient of the generator's weights| when a discriminator's logits are shifted until mean D(G(z)) is each value."""
    torch.manual_seed(0)
    discriminator = perceptron.Discriminator((2,), (64, 64), 2, 0.0, 0.0)
    generator = model.generator.requires_grad_(True)
    noise = model.noise(4096)
    found: dict[str, list[float]] = {"saturating": [], "non_saturating": []}
    for probability in PROBABILITIES:
        shift = _shift(discriminator(generator(noise)).detach(), probability)
        for name, loss in (("saturating", adversarial.saturating), ("non_saturating", adversarial.non_saturating)):
            value = loss(discriminator(generator(noise)) + shift)
            gradients = torch.autograd.grad(value, list(generator.parameters()))
            found[name].append(round(torch.cat([slope.flatten() for slope in gradients]).norm().item(), 6))
    generator.requires_grad_(False)
    return found


def _shift(logits: torch.Tensor, probability: float) -> float:
    """The number to add to the logits so that their mean probability is this one, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (logits + middle).sigmoid().mean() < probability else (low, middle)
    return (low + high) / 2


def draw(slopes: dict[str, list[float]], path: Path, width: int = 760, height: int = 420, scale: int = 2) -> None:
    """Both lines over D(G(z)), on a logarithmic axis."""
    sheet = PIL.Image.new("RGB", (width * scale, height * scale), "white")
    pen = PIL.ImageDraw.Draw(sheet)
    font: Callable[[int], Any] = lambda size: PIL.ImageFont.load_default(size * scale)  # noqa: E731
    left, right, top, bottom = 80, width - 30, 56, height - 60
    everything = [value for values in slopes.values() for value in values]
    low, high = math.floor(math.log10(min(everything))), math.ceil(math.log10(max(everything)))

    def place(probability: float, value: float) -> tuple[float, float]:
        across = left + (right - left) * probability
        return across * scale, (bottom - (bottom - top) * (math.log10(value) - low) / (high - low)) * scale

    for power in range(low, high + 1):
        _, y = place(0, 10**power)
        pen.line((left * scale, y, right * scale, y), "#dddddd", scale)
        pen.text((left * scale - 8 * scale, y), f"{10.0**power:g}", "#555555", font(13), anchor="rm")
    for tenth in range(0, 11, 2):
        x, _ = place(tenth / 10, 10**low)
        pen.text((x, (bottom + 8) * scale), f"{tenth / 10:g}", "#555555", font(13), anchor="mt")
    for values, colour in zip(slopes.values(), ("#d06a1c", "#2f6fb0")):
        line = [place(probability, value) for probability, value in zip(PROBABILITIES, values)]
        pen.line(line, colour, 3 * scale, joint="curve")
        for point in line:
            pen.circle(point, 4 * scale, colour)
    pen.text((left * scale, 14 * scale), "length of the generator's gradient", "#222222", font(15))
    pen.text((right * scale, 14 * scale), "saturating  log(1 - D)", "#d06a1c", font(15), anchor="ra")
    pen.text((right * scale, 34 * scale), "non-saturating  -log D", "#2f6fb0", font(15), anchor="ra")
    text = "D(G(z)): how real the discriminator thinks a sample is"
    pen.text(((left + right) / 2 * scale, (height - 22) * scale), text, "#222222", font(14), anchor="mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.resize((width, height), PIL.Image.Resampling.LANCZOS).save(path, optimize=True)


def render(value: Any) -> str:
    ratio = value["slopes"]["non_saturating"][0] / value["slopes"]["saturating"][0]
    return "\n".join([
        "| | value, mean (range) over 3 seeds | should be |",
        "|---|---|---|",
        f"| optimum: mean absolute error | {spread(value['optimum_error'])} | < 0.03 |",
        f"| equilibrium: discriminator's loss | {spread(value['loss'])} | 1.386 ± 0.1 |",
        f"| saturation: ratio of the gradients at D(G(z)) = 0.01 | {ratio:.0f} | about 99 |",
        "",
        f"![Gradient of the generator under both objectives]({PICTURE.as_posix()})",
    ])  # fmt: skip
