"""A schedule fires: one run per occurrence, the next one planned in the same commit, and what was
missed caught up as the operator chose (server.md 2.7)."""

import json
from typing import Any, Literal

import pytest

from stepwell.server.engine.arriving.cron_due import CATCH_UP_MAX
from stepwell.server.engine.name.cron_name import schedule_id
from stepwell.server.engine.row.run import Item
from stepwell.server.engine.rules import Rules
from stepwell.wire.function_config import Trigger
from tests.bench import NOW_MS, Bench, function

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
FIRST_MS = NOW_MS - NOW_MS % MINUTE_MS + MINUTE_MS
CatchUp = Literal["skip", "one", "all"]


def scheduled(cron: str = "* * * * *", catch_up: CatchUp = "one", jitter: str = "") -> Bench:
    bench = Bench(Rules(cron_catch_up=catch_up))
    bench.register(function("tick", triggers=(Trigger(cron=cron, jitter=jitter),)))
    return bench


def items(bench: Bench, slug: str = "shop-tick") -> list[Item]:
    return [item for item in bench.store.disk.items if item.run_id == schedule_id(slug)]


def fired(bench: Bench) -> list[int]:
    """When the runs were to begin, by what their functions are told."""
    bodies = (json.loads(event.body) for event in bench.store.disk.events.values())
    from datetime import datetime

    return sorted(
        int(datetime.fromisoformat(body["data"]["scheduledAt"]).timestamp() * 1000)
        for body in bodies
    )


def test_e_94_each_occurrence_is_one_run() -> None:
    bench = scheduled()
    assert bench.runs() == []
    for count in range(3):
        bench.now_ms = FIRST_MS + count * MINUTE_MS - 1
        bench.claim()
        assert len(bench.runs()) == count
        bench.pass_time(1)
        bench.claim()
        assert len(bench.runs()) == count + 1
        assert [item.due_ms for item in items(bench)] == [FIRST_MS + (count + 1) * MINUTE_MS]
    run = bench.runs()[0]
    assert (run.cron, run.function) == ("* * * * *", "shop-tick")
    event = bench.store.disk.events[run.event_ids[0]]
    body = json.loads(event.body)
    scheduled_at = "2027-01-15T08:01:00Z"
    assert body["name"] == "inngest/scheduled.timer"
    assert body["id"] == scheduled_at
    assert body["data"] == {
        "cron": "* * * * *",
        "fireAt": scheduled_at,
        "scheduledAt": scheduled_at,
    }


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("skip", []),
        ("one", [FIRST_MS + 9 * MINUTE_MS]),
        ("all", [FIRST_MS + n * MINUTE_MS for n in range(10)]),
    ],
)
def test_e_94_what_was_missed_is_caught_up_as_chosen(
    catch_up: CatchUp, expected: list[int]
) -> None:
    bench = scheduled(catch_up=catch_up)
    bench.restart()
    bench.now_ms = FIRST_MS + 9 * MINUTE_MS + 30_000
    bench.claim()
    assert fired(bench) == expected
    assert [item.due_ms for item in items(bench)] == [FIRST_MS + 10 * MINUTE_MS]
    # From here on it is as punctual as ever.
    bench.now_ms = FIRST_MS + 10 * MINUTE_MS
    bench.claim()
    assert fired(bench) == [*expected, FIRST_MS + 10 * MINUTE_MS]


@pytest.mark.parametrize("catch_up", ["skip", "one", "all"])
def test_a_busy_server_is_not_late(catch_up: CatchUp) -> None:
    bench = scheduled(catch_up=catch_up)
    bench.now_ms = FIRST_MS + 20_000
    bench.claim()
    assert fired(bench) == [FIRST_MS]


def test_a_server_that_was_away_for_a_year_of_minutes_starts_one_run_and_soon() -> None:
    bench = scheduled()
    bench.now_ms = FIRST_MS + 365 * 24 * HOUR_MS + 1
    bench.claim()
    assert fired(bench) == [FIRST_MS + 365 * 24 * HOUR_MS]
    bench.claim()
    assert len(bench.runs()) == 1


def test_one_missed_occurrence_of_a_rare_schedule() -> None:
    daily = scheduled("0 12 * * *", "skip")
    daily.now_ms = items(daily)[0].due_ms + 3 * HOUR_MS
    daily.claim()
    assert fired(daily) == []

    daily = scheduled("0 12 * * *", "one")
    noon_ms = items(daily)[0].due_ms
    daily.now_ms = noon_ms + 3 * HOUR_MS
    daily.claim()
    assert fired(daily) == [noon_ms]
    assert items(daily)[0].due_ms == noon_ms + 24 * HOUR_MS


def test_catching_up_all_goes_in_steps() -> None:
    bench = scheduled(catch_up="all")
    bench.now_ms = FIRST_MS + (2 * CATCH_UP_MAX + 5) * MINUTE_MS
    bench.claim()
    assert len(bench.runs()) == CATCH_UP_MAX
    bench.claim()
    bench.claim()
    assert len(bench.runs()) == 2 * CATCH_UP_MAX + 6
    assert bench.looks <= 8


def test_e_94_jitter_puts_an_occurrence_off_by_the_same_time_every_time() -> None:
    first, second = scheduled(jitter="30s"), scheduled(jitter="30s")
    due = items(first)[0].due_ms
    assert FIRST_MS + 1_000 <= due < FIRST_MS + 30_000
    assert items(second)[0].due_ms == due
    first.now_ms = due
    first.claim()
    assert fired(first) == [FIRST_MS]
    body = next(json.loads(event.body) for event in first.store.disk.events.values())
    assert body["ts"] == due
    assert FIRST_MS + MINUTE_MS < items(first)[0].due_ms < FIRST_MS + MINUTE_MS + 30_000


@pytest.mark.parametrize("catch_up", ["skip", "one", "all"])
def test_e_94_jitter_longer_than_the_period_loses_no_occurrence(catch_up: CatchUp) -> None:
    bench = scheduled(catch_up=catch_up, jitter="5m")
    for _ in range(20):
        bench.now_ms = max(bench.now_ms, items(bench)[0].due_ms)
        bench.claim()
    assert fired(bench) == [FIRST_MS + n * MINUTE_MS for n in range(20)]


@pytest.mark.parametrize(("catch_up", "missed"), [("skip", []), ("one", [9]), ("all", range(10))])
def test_e_94_what_was_missed_is_caught_up_with_jitter_too(catch_up: CatchUp, missed: Any) -> None:
    bench = scheduled(catch_up=catch_up, jitter="5m")
    bench.restart()
    bench.now_ms = items(bench)[0].due_ms + 9 * MINUTE_MS
    bench.claim()
    assert fired(bench) == [FIRST_MS + n * MINUTE_MS for n in missed]


def test_e_94_two_schedules_that_coincide_start_one_run() -> None:
    bench = Bench()
    both = (Trigger(cron="* * * * *"), Trigger(cron="*/1 * * * *"))
    bench.register(function("tick", triggers=both))
    assert len(items(bench)) == 2
    bench.now_ms = FIRST_MS
    bench.claim()
    assert len(bench.runs()) == 1
    assert len(items(bench)) == 2


def test_schedules_follow_their_functions() -> None:
    bench = scheduled()
    (kept,) = items(bench)
    bench.register(
        function("tick", triggers=(Trigger(cron="* * * * *"), Trigger(cron="0 * * * *"))),
        checksum="2",
    )
    assert {item.key for item in items(bench)} == {"* * * * *", "0 * * * *"}
    assert kept in items(bench)
    bench.register(function("tick", triggers=(Trigger(cron="0 * * * *"),)), checksum="3")
    assert [item.key for item in items(bench)] == ["0 * * * *"]
    bench.register(function("other", event="go"), checksum="4")
    assert items(bench) == []


def test_a_schedule_whose_function_is_gone_or_that_nobody_understands_stops() -> None:
    bench = scheduled()
    bench.store.disk.functions.clear()
    bench.restart()
    bench.now_ms = FIRST_MS
    bench.claim()
    assert (bench.runs(), items(bench)) == ([], [])

    bench = Bench()
    bench.register(
        function("tick", triggers=(Trigger(cron="nonsense"), Trigger(cron="0 0 31 2 *"))),
    )
    assert items(bench) == []

    bench = scheduled()
    bench.register(
        function("odd", triggers=(Trigger(cron="0 * * * *", jitter="soon"),)), checksum="5"
    )
    assert items(bench, "shop-odd") == []
