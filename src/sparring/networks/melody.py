"""MidiNet's networks: a bar of melody from noise, given its chord and the bar before. Yang, Chou & Yang 2017, arXiv:1703.10847.

A bar is symbols x steps: at each step a pitch is struck, the last one goes on, or nothing sounds. The paper's kernels span all
pitches, so that what is left is convolution along time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.networks.convolutional import leaky
from sparring.networks.linear import linear

HALVINGS = 3
"""a bar's steps are a multiple of two to this power"""


class Bars(nn.Module):
    """Noise, a chord and the bar before to the logits of each symbol at each step.

    Args:
        latent: numbers of noise.
        symbols, steps: of a bar.
        condition: numbers that say what the chord is.
        width: channels.
        hidden: units of the first layer.
        memory: channels that look at the bar before.
    """

    def __init__(self, latent: int, symbols: int, steps: int, condition: int, width: int, hidden: int, memory: int):
        super().__init__()
        self.width, self.coarse = width, steps >> HALVINGS
        self.first, self.first_norm = linear(latent + condition, hidden, bias=False), nn.BatchNorm1d(hidden)
        self.second = linear(hidden + condition, width * self.coarse, bias=False)
        self.second_norm = nn.BatchNorm1d(width * self.coarse)
        given = width + condition + memory
        self.doublings = nn.ModuleList(nn.ConvTranspose1d(given, width, 2, 2, bias=False) for _ in range(HALVINGS))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(HALVINGS))
        self.last = nn.Conv1d(given, symbols, 1)
        self.look = nn.Conv1d(symbols, memory, 1, bias=False)
        self.halvings = nn.ModuleList(nn.Conv1d(memory, memory, 2, 2, bias=False) for _ in range(HALVINGS))
        self.look_norms = nn.ModuleList(nn.BatchNorm1d(memory) for _ in range(HALVINGS + 1))

    def forward(self, noise: Tensor, chord: Tensor, before: Tensor) -> Tensor:
        """N x latent, N x condition and N x symbols x steps to N x symbols x steps."""
        seen = [leaky(self.look_norms[0](self.look(before)))]
        for halving, norm in zip(self.halvings, list(self.look_norms)[1:]):
            seen.append(leaky(norm(halving(seen[-1]))))
        found = self.first_norm(self.first(torch.cat([noise, chord], 1))).relu()
        found = self.second_norm(self.second(torch.cat([found, chord], 1))).relu().view(-1, self.width, self.coarse)
        for doubling, norm, past in zip(self.doublings, self.norms, seen[:0:-1]):
            found = norm(doubling(joined(found, chord, past))).relu()
        return self.last(joined(found, chord, seen[0]))


class Listener(nn.Module):
    """A bar after the one before it, over its chord, to a logit.

    Args:
        symbols, steps: of a bar.
        condition: numbers that say what the chord is.
        width: channels of the first layer.
        hidden: units of the last but one.
    """

    def __init__(self, symbols: int, steps: int, condition: int, width: int, hidden: int):
        super().__init__()
        self.first = nn.Conv1d(2 * symbols + condition, width, 2, 2)
        self.second = nn.Conv1d(width + condition, 2 * width, 4, 2, 1)
        self.third = linear(2 * width * (steps // 4) + condition, hidden)
        self.score = linear(hidden + condition, 1)

    def forward(self, bar: Tensor, chord: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """As `Bars` has it to N logits, and the features that are matched: N x width x steps / 2."""
        features = leaky(self.first(joined(torch.cat([bar, before], 1), chord)))
        found = leaky(self.second(joined(features, chord))).flatten(1)
        found = leaky(self.third(torch.cat([found, chord], 1)))
        return self.score(torch.cat([found, chord], 1)).squeeze(1), features


def joined(maps: Tensor, chord: Tensor, *others: Tensor) -> Tensor:
    """Maps with the chord at each step, and with other maps."""
    return torch.cat([maps, chord[:, :, None].expand(-1, -1, maps.shape[2]), *others], 1)
