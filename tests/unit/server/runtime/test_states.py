"""What calls are told is read for many of them at once, of a store that answers late."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from stepwell.server.engine.row.run import Run
from stepwell.server.runtime import states
from stepwell.server.runtime.states import RUNS_MAX, States
from stepwell.server.store.port import CallState, StoreError, Unavailable
from stepwell.testing.contract.store_world import run_number

STATE = CallState((b"{}",), ())


class Slow:
    """A reader on a network; `fails` is raised by its next looks, one each."""

    blocks = True

    def __init__(self, *fails: Exception) -> None:
        self.looks: list[list[str]] = []
        self._fails = list(fails)

    def call_states(self, runs: Sequence[Run]) -> dict[str, CallState]:
        """What is told of all runs but the second."""
        self.looks.append([run.id for run in runs])
        if self._fails:
            raise self._fails.pop(0)
        return {run.id: STATE for run in runs if run.id != run_number(2).id}


async def _asked(reader: Slow, runs: Sequence[Run]) -> list[CallState | BaseException | None]:
    read = States(cast("Any", reader))
    return await asyncio.gather(*(read.of(run) for run in runs), return_exceptions=True)


def test_calls_that_begin_together_are_told_by_one_look() -> None:
    reader = Slow()
    runs = [run_number(number) for number in (1, 2, 3, 1)]
    assert asyncio.run(_asked(reader, runs)) == [STATE, None, STATE, STATE]
    assert reader.looks == [[run.id for run in runs[:3]]]


def test_one_look_is_about_so_many_runs_at_most() -> None:
    reader = Slow()
    asyncio.run(_asked(reader, [run_number(number) for number in range(RUNS_MAX + 1)]))
    assert [len(look) for look in reader.looks] == [RUNS_MAX, 1]


def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "RETRY_S", 0.0)
    reader = Slow(Unavailable("away"), Unavailable("still away"))
    assert asyncio.run(_asked(reader, [run_number(1)])) == [STATE]
    assert len(reader.looks) == 3


def test_who_asked_is_told_what_went_wrong_and_the_next_look_goes_on() -> None:
    broken = StoreError("broken")
    reader = Slow(broken)
    runs = [run_number(number) for number in range(RUNS_MAX + 1)]
    found = asyncio.run(_asked(reader, runs))
    assert found == [broken] * RUNS_MAX + [STATE]


def test_who_gave_up_is_not_read_for() -> None:
    async def give_up() -> None:
        read = States(cast("Any", Slow()))
        asking = asyncio.ensure_future(read.of(run_number(1)))
        await asyncio.sleep(0)
        asking.cancel()
        assert await read.of(run_number(3)) == STATE
        read.close()

    asyncio.run(give_up())
