"""A pool of forgeries that a discriminator has not forgotten. Shrivastava et al. 2017, arXiv:1612.07828, section 2.3."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Pool(nn.Module):
    """Keeps pictures; half of those that it gives out are old ones, in whose place the new ones stay.

    Args:
        size: pictures that it holds; 0: it gives out what it is given.
        shape: channels, height, width.
    """

    held: Tensor
    """size x C x H x W"""
    count: Tensor
    """pictures in it"""

    def __init__(self, size: int, shape: tuple[int, ...]):
        super().__init__()
        self.size = size
        self.register_buffer("held", torch.zeros(size, *shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, images: Tensor) -> Tensor:
        """N x C x H x W to as many: until the pool is full they go in and come out; then half of them stay for old ones."""
        if not self.size:
            return images
        many = len(images)
        order = torch.arange(many, device=images.device)
        filling = self.count + order < self.size
        kept = torch.rand(many, device=images.device) < 0.5
        # Different places for each picture of a batch: none is given out twice.
        chosen = torch.randperm(self.size, device=images.device)[:many]
        place = torch.where(filling, self.count + order, chosen[order % len(chosen)])
        old = self.held[place]
        swapped = (kept & ~filling).view(-1, 1, 1, 1)
        enters = (kept | filling).view(-1, 1, 1, 1)
        self.held[place] = torch.where(enters, images.to(old.dtype), old)
        self.count.add_(filling.sum())
        return torch.where(swapped, old.to(images.dtype), images)
