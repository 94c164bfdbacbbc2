"""What any store does with counts of runs over time. A part of the contract of stores."""

import random
from collections.abc import Iterable

import msgspec

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.row.run import MAIN, Item, ItemKind, Run, RunStatus
from stepwell.server.store.counting import FORGOTTEN_MAX, HOUR_MS, KEPT_MS, MINUTE_MS
from stepwell.server.store.port import CountBy, CountFilter, CountPlace, RunCount
from stepwell.testing.contract.store_world import NOW, World, run_number

HOUR = NOW - NOW % HOUR_MS
ENDED = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)


class CountStoreContract:
    """Inherited by the whole contract."""

    def test_nothing_is_counted_at_first(self, world: World) -> None:
        assert world.reader.counts(CountFilter(MINUTE_MS, 0, NOW)) == []

    def test_a_run_counts_once_for_each_status_it_came_to(self, world: World) -> None:
        run = _run(1, HOUR)
        world.do(_started(run))
        begun = msgspec.structs.replace(run, status=RunStatus.RUNNING, started_ms=HOUR + MINUTE_MS)
        world.do(fact.RunChanged(begun))
        world.do(fact.RunChanged(msgspec.structs.replace(begun, again=True)))
        world.do(fact.RunFinished(_ended(begun, RunStatus.FAILED, HOUR + 2 * MINUTE_MS)))
        for _ in range(2):
            assert _told(world, MINUTE_MS) == [
                RunCount(CountPlace(HOUR), queued=1),
                RunCount(CountPlace(HOUR + MINUTE_MS), started=1),
                RunCount(CountPlace(HOUR + 2 * MINUTE_MS), failed=1),
            ]
            whole = RunCount(CountPlace(HOUR), queued=1, started=1, failed=1)
            assert _told(world, HOUR_MS) == [whole]
            world.reopen()

    def test_a_run_that_begins_and_ends_in_one_batch_is_counted_whole(self, world: World) -> None:
        run = _run(1, HOUR)
        begun = msgspec.structs.replace(run, started_ms=HOUR)
        world.do(_started(run), fact.RunFinished(_ended(begun, RunStatus.COMPLETED, HOUR)))
        assert _told(world, MINUTE_MS) == [RunCount(CountPlace(HOUR), 1, 1, 1)]

    def test_a_run_that_never_began_was_not_started(self, world: World) -> None:
        run = _run(1, HOUR)
        world.do(_started(run))
        world.do(fact.RunFinished(_ended(run, RunStatus.CANCELLED, HOUR)))
        assert _told(world, HOUR_MS) == [RunCount(CountPlace(HOUR), queued=1, cancelled=1)]

    def test_a_run_that_is_forgotten_stays_counted(self, world: World) -> None:
        run = _run(1, HOUR)
        world.do(_started(run), fact.RunFinished(_ended(run, RunStatus.CANCELLED, HOUR)))
        world.do(fact.RunForgotten(run.id))
        assert _told(world, HOUR_MS) == [RunCount(CountPlace(HOUR), queued=1, cancelled=1)]

    def test_what_was_not_committed_is_not_counted(self, world: World) -> None:
        view = world.prepare([_started(_run(1, HOUR))])
        world.store.write(view.changes)
        world.store.rollback()
        assert _told(world, HOUR_MS) == []
        world.store.write(view.changes)
        world.store.commit()
        world.store.keep(view.changes)
        assert _told(world, HOUR_MS) == [RunCount(CountPlace(HOUR), queued=1)]

    def test_every_list_of_counts_is_what_the_rows_of_runs_say(self, world: World) -> None:
        chance = random.Random(5)
        runs = [_any_run(world, number, chance) for number in range(60)]
        assert _told(world, HOUR_MS, until_ms=2 * HOUR) != []
        for _ in range(80):
            span_ms = chance.choice((MINUTE_MS, HOUR_MS))
            wanted = CountFilter(
                span_ms,
                HOUR + chance.randrange(-1, 90) * MINUTE_MS,
                HOUR + chance.randrange(30, 200) * MINUTE_MS,
                chance.choice([*CountBy]),
                functions=tuple(chance.sample(("a-f", "a-g", "b-f"), chance.choice((0, 0, 1, 2)))),
                apps=chance.choice(((), ("a",), ("b", "c"))),
                limit=chance.choice((1, 7, 500)),
            )
            whole = _expected(runs, wanted)
            found: list[RunCount] = []
            while page := world.reader.counts(wanted):
                assert len(page) <= wanted.limit
                found += page
                wanted = msgspec.structs.replace(wanted, after=page[-1].place)
            assert found == whole

    def test_counts_are_kept_for_a_while(self, world: World) -> None:
        world.do(_started(_run(1, HOUR)))
        kept_ms = KEPT_MS[MINUTE_MS]
        world.do(_started(_run(2, HOUR + kept_ms)))
        assert len(_told(world, MINUTE_MS)) == 2
        world.do(_started(_run(3, HOUR + kept_ms + MINUTE_MS)))
        assert [count.place.at_ms for count in _told(world, MINUTE_MS)] == [
            HOUR + kept_ms,
            HOUR + kept_ms + MINUTE_MS,
        ]
        assert len(_told(world, HOUR_MS)) == 2
        world.do(_started(_run(4, HOUR + KEPT_MS[HOUR_MS] + MINUTE_MS)))
        assert [count.place.at_ms for count in _told(world, HOUR_MS)] == [
            HOUR + kept_ms,
            HOUR + KEPT_MS[HOUR_MS],
        ]

    def test_much_that_is_old_goes_a_part_at_a_time(self, world: World) -> None:
        many = [_run(number, HOUR, f"a-{number:04}") for number in range(FORGOTTEN_MAX + 5)]
        world.do(*(_started(run) for run in many))
        old = CountFilter(MINUTE_MS, HOUR, HOUR + 1, CountBy.FUNCTION)
        late_ms = HOUR + KEPT_MS[MINUTE_MS] + MINUTE_MS
        for number, left in ((2_000, 5), (2_001, 0)):
            world.do(_started(_run(number, late_ms, "b-f")))
            assert len(world.reader.counts(old)) == left
            late_ms += MINUTE_MS

    def test_what_is_old_already_is_not_counted_by_the_minute(self, world: World) -> None:
        run = _run(1, HOUR)
        world.do(_started(run))
        late_ms = HOUR + KEPT_MS[MINUTE_MS] + MINUTE_MS
        begun = msgspec.structs.replace(run, started_ms=HOUR + 1)
        world.do(fact.RunFinished(_ended(begun, RunStatus.COMPLETED, late_ms)))
        assert [count.place.at_ms for count in _told(world, MINUTE_MS)] == [late_ms]
        assert sum(count.started for count in _told(world, HOUR_MS)) == 1


def _run(number: int, queued_ms: int, function: str = "a-f") -> Run:
    run = run_number(number)
    app = function.partition("-")[0]
    return msgspec.structs.replace(run, queued_ms=queued_ms, app=app, function=function)


def _started(run: Run) -> fact.RunStarted:
    return fact.RunStarted(run, Item(run.id, MAIN, ItemKind.CALL, NOW, run.app))


def _ended(run: Run, status: RunStatus, ended_ms: int) -> Run:
    return msgspec.structs.replace(run, status=status, ended_ms=ended_ms, output=b"1")


def _any_run(world: World, number: int, chance: random.Random) -> Run:
    """A run that went some way, stored as it went."""
    queued_ms = HOUR + chance.randrange(120 * MINUTE_MS)
    run = _run(number, queued_ms, chance.choice(("a-f", "a-g", "b-f", "c-f")))
    world.do(_started(run))
    if chance.random() < 0.8:
        started_ms = queued_ms + chance.randrange(3 * MINUTE_MS)
        run = msgspec.structs.replace(run, status=RunStatus.RUNNING, started_ms=started_ms)
        if chance.random() < 0.5:
            world.do(fact.RunChanged(run))
    if chance.random() < 0.7:
        ended_ms = queued_ms + chance.randrange(3 * MINUTE_MS, 30 * MINUTE_MS)
        run = _ended(run, chance.choice(ENDED), ended_ms)
        world.do(fact.RunFinished(run))
    elif run.started_ms:
        world.do(fact.RunChanged(run))
    return run


def _expected(runs: Iterable[Run], wanted: CountFilter) -> list[RunCount]:
    """What one finds who looks at every run."""
    found: dict[CountPlace, list[int]] = {}
    for run in runs:
        if wanted.apps and run.app not in wanted.apps:
            continue
        if wanted.functions and run.function not in wanted.functions:
            continue
        times = [run.queued_ms, run.started_ms, 0, 0, 0]
        if run.ended:
            times[2 + ENDED.index(run.status)] = run.ended_ms
        for part, time_ms in enumerate(times):
            at_ms = time_ms - time_ms % wanted.span_ms
            if not time_ms or not wanted.since_ms <= at_ms < wanted.until_ms:
                continue
            app = "" if wanted.by is CountBy.TIME else run.app
            function = run.function if wanted.by is CountBy.FUNCTION else ""
            parts = found.setdefault(CountPlace(at_ms, app, function), [0] * 5)
            parts[part] += 1
    return [RunCount(place, *found[place]) for place in sorted(found)]


def _told(world: World, span_ms: int, until_ms: int = 2**62) -> list[RunCount]:
    return world.reader.counts(CountFilter(span_ms, 0, until_ms))
