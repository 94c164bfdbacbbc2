"""A share of the orders in which events, waits and time-outs meet on several servers;
`python -m tests.simulation.orders 1000000` plays many."""

import pytest

from stepwell.testing.simulation.shared.store import SharedStore
from tests.simulation.orders import play

ORDERS = 1_600
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_a_wait_ends_exactly_once(part: int) -> None:
    play(range(part, ORDERS, PARTS))


def test_whoever_does_not_make_sure_that_nobody_waits_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SharedStore, "_made_sure", lambda _: iter(()))
    with pytest.raises(AssertionError, match="seed"):
        play(range(ORDERS))
