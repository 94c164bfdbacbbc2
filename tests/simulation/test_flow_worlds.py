"""Whole nodes with functions under flow control, over random users and random faults."""

import msgspec
import pytest

from stepwell.testing.simulation.options import Options, options_of
from tests.simulation.test_simulation import live_through

SEEDS = 80
PER_TEST = 20


@pytest.mark.parametrize("first", range(0, SEEDS, PER_TEST))
def test_controlled_worlds(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        live_through(seed, msgspec.structs.replace(options_of(seed), controlled=True))


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_in_calm_worlds_nothing_waits_that_need_not(first: int) -> None:
    """Nobody dies and nothing is lost: a call that is due and waits, waits for a full limit."""
    for seed in range(first, first + 20):
        calm = Options(odds={}, events=14, capacity=50, spread_ms=20_000, controlled=True)
        live_through(seed, calm)
