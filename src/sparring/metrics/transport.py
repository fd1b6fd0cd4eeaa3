"""Optimal transport (Monge) distance between two point sets. Kantorovich 1942; as an assignment problem: Peyré and Cuturi 2019,
"Computational Optimal Transport". arXiv:1803.00567, proposition 2.1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sparring.core.errors import UserError
from sparring.metrics.value import checked_pair

LIMIT = 5000
"""points: the time grows with their third power"""


def transport(first: Tensor, second: Tensor, power: int = 1) -> float:
    """The p-Wasserstein distance (min over pairings of mean |x_i - y_pair(i)|^p)^(1/p), exact; 0 for equal sets.

    Args:
        first, second: n x d each, n at most 5000; meant for two dimensions, where few points show the distributions.
        power: p, 1 or 2.

    Raises:
        UserError: other or too large counts, other widths, values that are not finite, another power, or no scipy.
    """
    first, second = checked_pair(first, second, least=1)
    if power not in {1, 2}:
        raise UserError(f"the transport distance is for power 1 or 2, not {power}")
    if len(first) != len(second) or len(first) > LIMIT:
        raise UserError(
            f"the transport distance needs two sets of equally many points, at most {LIMIT}, not {len(first)} and {len(second)}"
        )
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise UserError("the transport distance needs scipy: pip install 'sparring[metrics]'") from error
    first, second = first.double().cpu(), second.double().cpu()
    costs = torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist").pow_(power)
    rows, columns = linear_sum_assignment(costs.numpy())
    return costs[torch.as_tensor(rows), torch.as_tensor(columns)].mean().item() ** (1 / power)
