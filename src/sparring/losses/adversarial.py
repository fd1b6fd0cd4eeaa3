"""Adversarial losses on logits.

A discriminator returns logits s with D(x) = sigmoid(s). Then -log D(x) = softplus(-s) and -log(1 - D(x)) = softplus(s), which
neither overflow nor lose their gradient. All are means over the batch, computed in float32.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def discriminator_loss(real: Tensor, fake: Tensor, target: float = 1.0) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))): minus the value V(D, G). Goodfellow et al. 2014, equation 1.

    At the optimum of the game D = 1/2 everywhere and the loss is 2 log 2 = log 4.

    Args:
        real: logits of real examples.
        fake: logits of generated examples.
        target: what D(x) is to be; below 1 it is never quite sure. Salimans et al. 2016, section 3.4 (one-sided smoothing).
    """
    # -t log D(x) - (1 - t) log(1 - D(x)) = softplus(-s) + (1 - t) s
    loss = softplus(-real.float()).mean() + softplus(fake.float()).mean()
    return loss if target == 1 else loss + (1 - target) * real.float().mean()


def saturating(fake: Tensor) -> Tensor:
    """E log(1 - D(G(z))): what the generator minimises in the minimax game. Goodfellow et al. 2014, equation 1.

    Its gradient with respect to a logit is -D(G(z)), which vanishes when the discriminator is sure.
    """
    return -softplus(fake.float()).mean()


def non_saturating(fake: Tensor) -> Tensor:
    """-E log D(G(z)). Goodfellow et al. 2014, end of section 3: same fixed point, stronger gradient early on.

    Its gradient with respect to a logit is D(G(z)) - 1.
    """
    return softplus(-fake.float()).mean()


def wasserstein(real: Tensor, fake: Tensor) -> Tensor:
    """E f(G(z)) - E f(x): minus the critic's estimate of the Wasserstein distance. Arjovsky et al. 2017, equation 2.

    Here the critic gives real examples the higher value. Its gradient by a value is -1/N for real, 1/N for fake ones.

    Args:
        real: the critic's values of real examples.
        fake: of generated ones.
    """
    return fake.float().mean() - real.float().mean()


def wasserstein_generator(fake: Tensor) -> Tensor:
    """-E f(G(z)). Arjovsky et al. 2017, Algorithm 1."""
    return -fake.float().mean()


def relativistic(better: Tensor, worse: Tensor) -> Tensor:
    """-E log sigmoid(D(a) - D(b)) over pairs (a, b): a is to be scored above its partner b. Jolicoeur-Martineau 2018,
    arXiv:1807.00734; Huang et al. 2024, equation 2.

    The discriminator minimises it with a real, b fake; the generator with the two exchanged. At a tie it is log 2.

    Args:
        better, worse: logits of the two sides of the pairs, in the same order.
    """
    return softplus(worse.float() - better.float()).mean()


def least_squares(real: Tensor, fake: Tensor) -> Tensor:
    """(E (D(x) - 1)^2 + E D(G(z))^2) / 2. Mao et al. 2016, arXiv:1611.04076, equation 9 with a = 0, b = 1.

    Args:
        real: the discriminator's values of real examples, of any shape.
        fake: of generated ones.
    """
    return ((real.float() - 1).square().mean() + fake.float().square().mean()) / 2


def least_squares_generator(fake: Tensor) -> Tensor:
    """E (D(G(z)) - 1)^2: as Zhu et al. 2017, section 3.2, without the half of Mao et al."""
    return (fake.float() - 1).square().mean()
