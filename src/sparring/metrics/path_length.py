"""Perceptual path length. Karras et al. 2019, "A Style-Based Generator Architecture for GANs". arXiv:1812.04948, equation 2.

How abruptly the picture changes along a walk through noise space: short where the factors of variation are untangled.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.value import Estimate, checked


def path_length(
    generator: Callable[[Tensor], Tensor],
    features: Callable[[Tensor], Tensor],
    starts: Tensor,
    ends: Tensor,
    epsilon: float = 1e-4,
    cut: float = 0.01,
    batch: int = 64,
    seed: int = 0,
) -> Estimate:
    """E[d(G(slerp(z1, z2; t)), G(slerp(z1, z2; t + e))) / e^2], t uniform on [0, 1]; d is the squared distance of features.

    The lowest and the highest hundredth of the distances are cut off, as in the authors' code. The spread is
    the standard error of the mean of the rest. A number belongs to its features: with those of LPIPS, normalised and weighted,
    it is the paper's.

    Args:
        generator: noise, n x ..., to examples; in evaluation mode and without randomness of its own.
        features: examples to n x ...
        starts, ends: z1 and z2, N x latent; the paper takes 100,000.
        epsilon: e, the step.
        cut: share of distances to leave out at either end.
        batch: pairs that go through the generator at a time.
        seed: of t.

    Raises:
        UserError: too few pairs, starts and ends of other shapes, or values that are not finite.
    """
    if starts.shape != ends.shape:
        raise UserError(f"starts {tuple(starts.shape)} and ends {tuple(ends.shape)} of the paths must have one shape")
    if epsilon <= 0 or not 0 <= cut < 0.5:
        raise UserError(f"epsilon must be positive and cut from 0 to below 0.5, not {epsilon:g} and {cut:g}")
    shape, dtype = starts.shape[1:], starts.dtype
    starts, ends = checked(starts, "the starts").double(), checked(ends, "the ends").double()
    shares = torch.rand(len(starts), 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(
        starts.device
    )
    lengths = []
    with torch.no_grad():
        for here, there, share in zip(starts.split(batch), ends.split(batch), shares.split(batch)):
            # In float64: a ten-thousandth of a step would drown in the rounding of float32.
            noise = torch.cat([slerp(here, there, share), slerp(here, there, share + epsilon)])
            found = features(generator(noise.to(dtype).unflatten(1, shape)))
            first, second = checked(found, "the generator's examples").double().chunk(2)
            lengths.append((first - second).square().sum(1) / epsilon**2)
    return _trimmed(torch.cat(lengths), cut)


def slerp(starts: Tensor, ends: Tensor, shares: Tensor) -> Tensor:
    """Spherical interpolation: sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b, w the angle between a and b (Shoemake 1985).

    Vectors of one length keep it. Where a and b point the same or the opposite way, a straight line.

    Args:
        starts, ends: n x d.
        shares: t, n x 1.
    """
    cosine = (starts * ends).sum(1, keepdim=True) / (starts.norm(dim=1) * ends.norm(dim=1)).clamp(min=1e-12)[:, None]
    angle = cosine.clamp(-1, 1).acos()
    sine = angle.sin()
    curved = (((1 - shares) * angle).sin() * starts + (shares * angle).sin() * ends) / sine.clamp(min=1e-12)
    return torch.where(sine > 1e-6, curved, starts + shares * (ends - starts))


def _trimmed(lengths: Tensor, cut: float) -> Estimate:
    low = lengths.quantile(cut, interpolation="lower")
    high = lengths.quantile(1 - cut, interpolation="higher")
    kept = lengths[(lengths >= low) & (lengths <= high)]
    return Estimate(kept.mean().item(), (kept.std() / len(kept) ** 0.5).item())
