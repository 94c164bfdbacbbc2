"""Whole nodes with functions under flow control, over random users and random faults."""

import msgspec
import pytest

from stepwell.testing.simulation.simulate import options_of
from tests.simulation.test_simulation import live_through

SEEDS = 80
PER_TEST = 20


@pytest.mark.parametrize("first", range(0, SEEDS, PER_TEST))
def test_controlled_worlds(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        live_through(seed, msgspec.structs.replace(options_of(seed), controlled=True))
