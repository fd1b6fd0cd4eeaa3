"""Learning a density by telling data from noise."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def noise_contrastive_loss(real: Tensor, noise: Tensor, ratio: float = 1.0) -> Tensor:
    """-E log h(x) - ratio E log(1 - h(y)), h = sigmoid(logit). Gutmann & Hyvarinen 2010, equation 3.

    With logit(u) = log p(u) - log(ratio p_n(u)) it is least where p is the data's density, its constant included. At a
    ratio of 1 it is the discriminator's loss in a GAN, term for term.

    Args:
        real: logits of data.
        noise: logits of noise.
        ratio: noise samples for each example.
    """
    return softplus(-real.float()).mean() + ratio * softplus(noise.float()).mean()
