"""Adversarial losses on logits.

A discriminator returns logits s with D(x) = sigmoid(s). Then -log D(x) = softplus(-s) and -log(1 - D(x)) = softplus(s), which
neither overflow nor lose their gradient. All are means over the batch, computed in float32.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))): minus the value V(D, G). Goodfellow et al. 2014, equation 1.

    At the optimum of the game D = 1/2 everywhere and the loss is 2 log 2 = log 4.

    Args:
        real: logits of real examples.
        fake: logits of generated examples.
    """
    return softplus(-real.float()).mean() + softplus(fake.float()).mean()


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
