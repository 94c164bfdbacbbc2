"""Whole nodes over random users and random faults. `STEPWELL_SIM_MINUTES` lets the search go on.

A seed that fails is printed with the way to live through it again; kept in `seeds.txt`, it becomes
a test of its own:

    python -m pytest tests/simulation -k 'seed and 208'
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import pytest

from stepwell.server.store.port import Store
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.testing.simulation.faults import CRASHES, SHARED, Fault
from stepwell.testing.simulation.ground import Ground, MemoryGround
from stepwell.testing.simulation.judge import Broken, Told
from stepwell.testing.simulation.options import Options, options_of
from stepwell.testing.simulation.simulate import simulate

SEEDS = 300
PER_TEST = 30
KEPT = Path(__file__).with_name("seeds.txt")
MINUTES = float(os.environ.get("STEPWELL_SIM_MINUTES", "0"))


def kept_seeds() -> list[int]:
    lines = (line.split(maxsplit=1) for line in KEPT.read_text().splitlines())
    return [int(words[0]) for words in lines if words and words[0] != "#"]


def live_through(
    seed: int, options: Options | None = None, ground: Callable[[], Ground] = MemoryGround
) -> Told:
    try:
        return simulate(seed, options, ground)
    except Broken as broken:
        raise AssertionError(
            f"seed {seed} broke a law; add it to {KEPT.name}, and live through it again with\n"
            f"    python -m pytest tests/simulation -k 'seed and {seed}'\n{broken}"
        ) from broken


@pytest.mark.parametrize("seed", kept_seeds())
def test_a_seed_that_once_broke_a_law(seed: int) -> None:
    live_through(seed)


@pytest.mark.parametrize("first", range(0, SEEDS, PER_TEST))
def test_worlds(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        live_through(seed)


@pytest.mark.parametrize("seed", [3, 37, 40, 44])
def test_the_same_seed_gives_the_same_world(seed: int) -> None:
    assert live_through(seed) == live_through(seed)


def test_another_seed_gives_another_world() -> None:
    assert live_through(3).trace != live_through(4).trace


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in SHARED])
def test_one_fault_again_and_again(fault: Fault) -> None:
    struck = 0
    for seed in range(4):
        told = live_through(seed, Options(odds={fault: 0.3}, events=10, meddling=4))
        struck += told.struck.get(fault, 0)
    assert struck > 4


@pytest.mark.parametrize("seed", range(6))
def test_a_world_without_any_action_comes_to_its_end(seed: int) -> None:
    told = live_through(seed, Options(odds={Fault.LOST_ACTIONS: 1.0}, poll_ms=1_000))
    assert sum(told.runs.values()) > 0


@pytest.mark.parametrize("seed", range(10))
def test_losing_every_action_only_delays(seed: int) -> None:
    """Where nothing depends on time, all comes out the same, only later."""
    plain = Options(pace="plain", events=12, meddling=0, capacity=4, poll_ms=2_000)
    hinted = live_through(seed, plain)
    unhinted = live_through(seed, msgspec.structs.replace(plain, odds={Fault.LOST_ACTIONS: 1.0}))
    assert (unhinted.outcome, unhinted.runs) == (hinted.outcome, hinted.runs)
    assert unhinted.trace != hinted.trace


@pytest.mark.parametrize("seed", range(10))
def test_crashes_only_delay(seed: int) -> None:
    """The same with a process that dies again and again, before, in and after its commits."""
    plain = Options(pace="plain", events=12, meddling=0, capacity=4, poll_ms=2_000)
    calm = live_through(seed, plain)
    stormy = live_through(seed, msgspec.structs.replace(plain, odds=dict.fromkeys(CRASHES, 0.05)))
    assert stormy.outcome == calm.outcome


@pytest.mark.parametrize("seed", range(4))
def test_a_year_of_sleeps(seed: int) -> None:
    told = live_through(seed, Options(pace="long", poll_ms=86_400_000, events=6, meddling=2))
    assert sum(told.runs.values()) > 0


class SqliteGround(MemoryGround):
    """Rows in a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "world.db"

    def open(self) -> Store:
        return SqliteStore(self.path, durability="relaxed")


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_worlds_on_sqlite_are_the_same_worlds(first: int, tmp_path: Path) -> None:
    """Both stores, told the same, come to the same rows in the same order."""
    for seed in range(first, first + 10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        assert live_through(seed, None, lambda here=folder: SqliteGround(here)) == live_through(
            seed
        )


def test_searching_on() -> None:
    """Does nothing unless it is given minutes."""
    until = time.monotonic() + MINUTES * 60
    chance = Random()
    while time.monotonic() < until:
        seed = chance.randrange(10**9)
        live_through(seed, options_of(seed))
