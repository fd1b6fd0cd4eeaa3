"""The benchmarks are of the same networks: either side trains as many weights, and takes a step."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import CASES

LARGE = {"dcgan", "dcgan_sampling", "gan", "cyclegan", "cyclegan_picture", "pix2pix_8", "pix2pix_picture"}


@pytest.mark.parametrize("name", sorted(CASES.keys() - LARGE))
def test_both_sides_have_the_same_weights_and_take_a_step(name: str) -> None:
    pair = CASES[name]()
    assert pair.weights[0] == pair.weights[1]
    pair.ours()
    pair.plain()
