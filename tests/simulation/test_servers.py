"""Several servers on one database in memory, over random users and random faults: a server dies at
any commit, stands still for longer than a lease and goes on, loses its connection and does not know
what was kept; messages are lost or come twice; clocks differ; the database restarts; two lead. The
laws are those of one server.

    python -m pytest tests/simulation/test_servers.py -k 'seed and 53'

lives through a seed again. `STEPWELL_SIM_MINUTES` lets the search go on.
"""

import os
import time
from random import Random

import msgspec
import pytest

from stepwell.testing.simulation.faults import SHARED, Fault
from stepwell.testing.simulation.judge import Told
from stepwell.testing.simulation.options import Options
from stepwell.testing.simulation.shared.ground import SharedGround, servers_of
from tests.simulation.test_simulation import live_through

MINUTES = float(os.environ.get("STEPWELL_SIM_MINUTES", "0"))

FOUND = {
    16: "a signal ended a wait that its time-out had ended on another server",
}


def live(seed: int, options: Options | None = None) -> Told:
    return live_through(seed, options or servers_of(seed), lambda: SharedGround(seed))


@pytest.mark.parametrize("seed", FOUND)
def test_a_seed_that_once_broke_a_law(seed: int) -> None:
    live(seed)


@pytest.mark.parametrize("first", range(100, 108, 2))
def test_worlds(first: int) -> None:
    for seed in range(first, first + 2):
        live(seed)


def test_the_same_seed_gives_the_same_world() -> None:
    assert live(3) == live(3)


@pytest.mark.parametrize("fault", sorted(SHARED))
def test_one_fault_again_and_again(fault: Fault) -> None:
    told = live(0, Options(odds={fault: 0.2}, events=4, meddling=1, servers=3, spread_ms=5_000))
    assert told.struck[fault] > 1


def test_one_of_many_is_enough() -> None:
    """Nothing goes wrong, and nobody hears of the others: all ends as with one server."""
    plain = Options(pace="plain", events=8, meddling=0, capacity=4, poll_ms=2_000)
    alone = live_through(1, plain)
    many = msgspec.structs.replace(plain, servers=4, odds={Fault.LOST_HINT: 1.0})
    assert live(1, many).outcome == alone.outcome


def test_searching_on() -> None:
    """Does nothing unless it is given minutes."""
    until = time.monotonic() + MINUTES * 60
    chance = Random()
    while time.monotonic() < until:
        live(chance.randrange(10**9))
