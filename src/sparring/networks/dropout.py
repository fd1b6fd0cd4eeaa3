"""Dropout whose masks cost little on a processor. Srivastava et al. 2014, JMLR 15."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def dropout(value: Tensor, share: float, training: bool) -> Tensor:
    """Zeroes a share of the values and scales the rest by 1 / (1 - share), in training.

    On a processor PyTorch draws one random number for each value, one after the other, which took as long as a tenth of a
    step of the fully connected GAN. Here one draw of 64 bits decides on four values: the share is kept to 1 / 65,536.
    """
    if not training or share == 0:
        return value
    if value.device.type != "cpu":
        return functional.dropout(value, share, training)
    draws = torch.empty((value.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    bits = draws.view(torch.int16)[: value.numel()].view(value.shape)
    kept = (bits >= round(share * 2**16) - 2**15).to(value.dtype)
    return value * kept.mul_(1 / (1 - share))
