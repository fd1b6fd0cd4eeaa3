"""Matched accuracy: how well groups that were found without labels agree with classes. InfoGAN's protocol: Chen et al. 2016,
section 7.2; elsewhere called clustering accuracy."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sparring.core.errors import UserError


class Matching(NamedTuple):
    """The best one-to-one matching of groups to classes."""

    accuracy: float
    """share of the examples whose group is matched to their class"""
    classes: Tensor
    """int64 (groups,): the class that each group is matched to; -1 for none"""


def matching(groups: Tensor, classes: Tensor) -> Matching:
    """The Hungarian algorithm on the table of counts. Of k balanced classes, groups made at random get little over 1 / k.

    Args:
        groups, classes: of each example, integers from 0, (N,).

    Raises:
        UserError: not as many groups as classes, none, or the extra is missing.
    """
    if groups.shape != classes.shape or groups.dim() != 1 or not len(groups):
        raise UserError(f"a group and a class of each example: not {tuple(groups.shape)} and {tuple(classes.shape)}")
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        raise UserError("matching groups to classes needs an extra: pip install 'sparring[metrics]'") from None
    rows, columns = int(groups.max()) + 1, int(classes.max()) + 1
    counts = torch.bincount(groups * columns + classes, minlength=rows * columns).view(rows, columns)
    chosen, matched = linear_sum_assignment(counts.cpu().numpy(), maximize=True)
    found = torch.full((rows,), -1)
    found[torch.from_numpy(chosen)] = torch.from_numpy(matched)
    return Matching(counts.cpu()[chosen, matched].sum().item() / len(groups), found)
