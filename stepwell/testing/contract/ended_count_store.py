"""What any store does with counts of what runs ended with. A part of the contract of stores."""

import random

import msgspec

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.row.run import MAIN, Item, ItemKind, Run, RunStatus
from stepwell.server.store.counting import FORGOTTEN_MAX, HOUR_MS, KEPT_MS, MINUTE_MS
from stepwell.server.store.ended_counts import KINDS_MAX, OTHERS, bucket_of
from stepwell.server.store.port import (
    DurationCount,
    DurationPlace,
    EndedFilter,
    FailureCount,
    FailurePlace,
)
from stepwell.testing.contract.store_world import NOW, World, run_number
from stepwell.wire.failure import Failure, encode_failure

HOUR = NOW - NOW % HOUR_MS
ALL = EndedFilter(0, 2**62)
_Durations = dict[DurationPlace, DurationCount]


class EndedCountStoreContract:
    """Inherited by the whole contract."""

    def test_no_ends_are_counted_at_first(self, world: World) -> None:
        assert world.reader.durations(ALL) == []
        assert world.reader.failures(ALL, MINUTE_MS) == world.reader.failures(ALL, HOUR_MS) == []

    def test_runs_that_took_about_as_long_are_counted_together(self, world: World) -> None:
        for number, took_ms in enumerate((5_100, 5_101, 5_100, 90)):
            _complete(world, number, HOUR + 1, took_ms)
        # Neither is done by anybody: one never began, one failed.
        _end(world, _run(8, HOUR), RunStatus.COMPLETED, HOUR + 9)
        _end(world, _run(9, HOUR), RunStatus.FAILED, HOUR + 9, started_ms=HOUR)
        _complete(world, 10, HOUR + 3 * HOUR_MS, 5_099)
        expected = {
            DurationPlace(0, "a", "a-f", bucket_of(5_100)): (4, 5_101, run_number(1).id),
            DurationPlace(0, "a", "a-f", bucket_of(90)): (1, 90, run_number(3).id),
        }
        for _ in range(2):
            assert dict(world.reader.durations(ALL)) == expected
            late = EndedFilter(HOUR + HOUR_MS, HOUR + 4 * HOUR_MS)
            ((_, one),) = world.reader.durations(late)
            assert one == DurationCount(1, 5_099, run_number(10).id)
            world.reopen()

    def test_runs_that_failed_alike_are_counted_together(self, world: World) -> None:
        for number, message in enumerate(("order 1 is gone", "order 22 is gone", "no network")):
            _fail(world, number, HOUR + number * MINUTE_MS, message)
        for _ in range(2):
            minutes = sorted(world.reader.failures(ALL, MINUTE_MS))
            assert [(place.at_ms, count.runs) for place, count in minutes] == [
                (HOUR, 1),
                (HOUR + MINUTE_MS, 1),
                (HOUR + 2 * MINUTE_MS, 1),
            ]
            assert minutes[0][0].kind == minutes[1][0].kind != minutes[2][0].kind
            hours = dict(world.reader.failures(ALL, HOUR_MS))
            alike = hours[minutes[0][0]._replace(span_ms=HOUR_MS)]
            assert alike == FailureCount(
                "Oops", "order 22 is gone", 2, HOUR, HOUR + MINUTE_MS, run_number(1).id
            )
            assert len(hours) == 2
            world.reopen()

    def test_ends_of_one_batch_are_counted_each(self, world: World) -> None:
        runs = [_run(number, HOUR) for number in range(6)]
        world.do(*(_started(run) for run in runs))
        world.do(
            *(fact.RunFinished(_ended(run, RunStatus.FAILED, HOUR, b"%d" % HOUR)) for run in runs)
        )
        ((_, count),) = world.reader.failures(ALL, HOUR_MS)
        assert count.runs == 6
        whole = _run(9, HOUR)
        begun = msgspec.structs.replace(whole, started_ms=HOUR)
        world.do(_started(whole), fact.RunFinished(_ended(begun, RunStatus.COMPLETED, HOUR + 7)))
        assert world.reader.durations(ALL) == [
            (DurationPlace(0, "a", "a-f", 7), DurationCount(1, 7, whole.id))
        ]

    def test_what_no_database_takes_is_left_out_of_an_error(self, world: World) -> None:
        _fail(world, 1, HOUR, "a\0b" + "€" * 3_000)
        ((_, count),) = world.reader.failures(ALL, HOUR_MS)
        assert count.message.startswith("ab€€€")
        assert len(count.message) <= 200

    def test_so_many_kinds_of_errors_are_told_apart(self, world: World) -> None:
        for number in range(KINDS_MAX + 3):
            _fail(world, number, HOUR, "gone", name=f"Kind{chr(1_000 + number)}")
        _fail(world, 90, HOUR, "gone", name=f"Kind{chr(1_000)}")
        _fail(world, 91, HOUR, "gone", name=f"Kind{chr(2_000)}")
        _fail(world, 92, HOUR, "gone", name="Kind", function="b-f")
        hours = dict(world.reader.failures(ALL, HOUR_MS))
        assert len(hours) == KINDS_MAX + 2
        others = hours[FailurePlace(HOUR_MS, HOUR, "a", "a-f", OTHERS)]
        assert (others.runs, others.run_id) == (4, run_number(91).id)
        assert sorted(count.runs for count in hours.values()) == [1] * KINDS_MAX + [2, 4]

    def test_so_many_kinds_of_errors_of_one_batch_are_told_apart(self, world: World) -> None:
        runs = [_run(number, HOUR) for number in range(KINDS_MAX + 3)]
        world.do(*(_started(run) for run in runs))
        failures = [b'{"name":"Kind%d","message":"gone"}' % n for n in range(len(runs))]
        world.do(
            *(
                fact.RunFinished(_ended(run, RunStatus.FAILED, HOUR, failure))
                for run, failure in zip(runs, failures, strict=True)
            )
        )
        hours = dict(world.reader.failures(ALL, HOUR_MS))
        assert sorted(count.runs for count in hours.values()) == [1] * KINDS_MAX + [3]
        assert hours[FailurePlace(HOUR_MS, HOUR, "a", "a-f", OTHERS)].runs == 3

    def test_counts_of_ends_are_found_by_app_function_and_time(self, world: World) -> None:
        chance = random.Random(7)
        took: list[tuple[int, str]] = []
        failed: list[tuple[int, str]] = []
        for number in range(60):
            ended_ms = HOUR + chance.randrange(180) * MINUTE_MS
            function = chance.choice(("a-f", "a-g", "b-f"))
            if chance.random() < 0.5:
                _complete(world, number, ended_ms, chance.randrange(900), function)
                took.append((ended_ms, function))
            else:
                _fail(world, number, ended_ms, chance.choice(("no", "never")), function=function)
                failed.append((ended_ms, function))
        for _ in range(30):
            wanted = EndedFilter(
                HOUR + chance.randrange(3) * HOUR_MS,
                HOUR + chance.randrange(1, 4) * HOUR_MS,
                chance.choice(((), ("a-f",), ("a-g", "b-f"))),
                chance.choice(((), ("a",), ("a", "b"), ("c",))),
            )
            durations = world.reader.durations(wanted)
            assert sum(count.runs for _, count in durations) == _many(took, wanted)
            for span_ms in (MINUTE_MS, HOUR_MS):
                failures = world.reader.failures(wanted, span_ms)
                assert sum(count.runs for _, count in failures) == _many(failed, wanted)

    def test_counts_of_ends_are_kept_for_a_while(self, world: World) -> None:
        for number, later_ms in enumerate((0, KEPT_MS[MINUTE_MS], KEPT_MS[HOUR_MS])):
            _complete(world, 2 * number, HOUR + later_ms + number * MINUTE_MS, 5)
            _fail(world, 2 * number + 1, HOUR + later_ms + number * MINUTE_MS, "no")
        late_ms = HOUR + KEPT_MS[HOUR_MS] + 2 * MINUTE_MS
        assert [place.at_ms for place, _ in world.reader.failures(ALL, MINUTE_MS)] == [late_ms]
        hours = sorted(place.at_ms for place, _ in world.reader.failures(ALL, HOUR_MS))
        assert hours == [HOUR + KEPT_MS[MINUTE_MS], HOUR + KEPT_MS[HOUR_MS]]
        assert sum(count.runs for _, count in world.reader.durations(ALL)) == 2

    def test_ends_that_are_old_go_a_part_at_a_time(self, world: World) -> None:
        many = [_run(number, HOUR, f"a-{number:04}") for number in range(FORGOTTEN_MAX + 5)]
        begun = (msgspec.structs.replace(run, started_ms=HOUR) for run in many)
        ends = (fact.RunFinished(_ended(run, RunStatus.COMPLETED, HOUR)) for run in begun)
        world.do(*(_started(run) for run in many), *ends)
        late_ms = HOUR + KEPT_MS[HOUR_MS] + HOUR_MS
        for number, left in ((2_000, 5), (2_001, 0)):
            world.do(_started(_run(number, late_ms)))
            assert len(world.reader.durations(ALL)) == left
            late_ms += MINUTE_MS


def _run(number: int, queued_ms: int, function: str = "a-f") -> Run:
    app = function.partition("-")[0]
    run = run_number(number)
    return msgspec.structs.replace(run, queued_ms=queued_ms, app=app, function=function)


def _started(run: Run) -> fact.RunStarted:
    return fact.RunStarted(run, Item(run.id, MAIN, ItemKind.CALL, NOW, run.app))


def _ended(run: Run, status: RunStatus, ended_ms: int, output: bytes = b"1") -> Run:
    return msgspec.structs.replace(run, status=status, ended_ms=ended_ms, output=output)


def _end(
    world: World,
    run: Run,
    status: RunStatus,
    ended_ms: int,
    output: bytes = b"1",
    *,
    started_ms: int = 0,
) -> None:
    world.do(_started(run))
    begun = msgspec.structs.replace(run, status=RunStatus.RUNNING, started_ms=started_ms)
    world.do(fact.RunFinished(_ended(begun, status, ended_ms, output)))


def _complete(
    world: World, number: int, ended_ms: int, took_ms: int, function: str = "a-f"
) -> None:
    run = _run(number, HOUR, function)
    _end(world, run, RunStatus.COMPLETED, ended_ms, started_ms=ended_ms - took_ms)


def _fail(
    world: World,
    number: int,
    ended_ms: int,
    message: str,
    *,
    name: str = "Oops",
    function: str = "a-f",
) -> None:
    output = encode_failure(Failure(name, message))
    _end(world, _run(number, HOUR, function), RunStatus.FAILED, ended_ms, output, started_ms=HOUR)


def _many(ends: list[tuple[int, str]], wanted: EndedFilter) -> int:
    return sum(
        wanted.since_ms <= ended_ms < wanted.until_ms
        and (not wanted.functions or function in wanted.functions)
        and (not wanted.apps or function.partition("-")[0] in wanted.apps)
        for ended_ms, function in ends
    )
