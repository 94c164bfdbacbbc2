"""What any store keeps of the past, for how long, and how it is listed. A part of the contract of
stores."""

import random
import threading

import msgspec

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import Need, Old
from stepwell.server.engine.row.annotation import Annotation, AnnotationKind
from stepwell.server.engine.row.run import MAIN, Item, ItemKind, Note, Run, RunStatus, WaitKind
from stepwell.server.store.port import EventFilter, Mark, RunFilter, RunTime
from stepwell.server.store.reading import as_seen, mark_of, wants_run
from stepwell.testing.contract.store_world import (
    APP,
    FUNCTION,
    NOW,
    World,
    app_named,
    event_id_of,
    event_number,
    function_named,
    lease_of,
    run_id_of,
    run_number,
    step_of,
    wait_of,
)


class HistoryStoreContract:
    """Inherited by the whole contract."""

    def test_what_is_said_of_a_run_is_replaced_and_goes_with_it(self, world: World) -> None:
        run, other = world.begin(1), world.begin(2)

        def said(
            of: Run, kind: AnnotationKind, at_ms: int, step: str = "", place: str = ""
        ) -> Annotation:
            body = msgspec.json.encode({"ü": at_ms})
            return Annotation(of.id, kind, step, place, "n", at_ms, body)

        first = [
            said(run, AnnotationKind.SCORE, NOW + 2),
            said(run, AnnotationKind.METADATA, NOW + 1, "s"),
            said(run, AnnotationKind.METADATA, NOW + 1, "s", "attempt:1"),
            said(other, AnnotationKind.SPAN, NOW),
        ]
        world.do(*(fact.AnnotationPut(row) for row in first))
        again = said(run, AnnotationKind.SCORE, NOW + 3)
        assert world.reader.annotations(run.id) == [first[1], first[2], first[0]]
        world.do(fact.AnnotationPut(again))
        for _ in range(2):
            assert world.reader.annotations(run.id) == [first[1], first[2], again]
            view = world.look(Need(annotations=frozenset({run.id, "nobody"})))
            assert {row.slot for row in view.annotations(run.id)} == {
                row.slot for row in (*first[:2], first[2])
            }
            assert view.annotations("nobody") == []
            world.reopen()
        world.finish(run, NOW + 5)
        prune(world, NOW + 6, 3)
        assert world.reader.annotations(run.id) == []
        assert world.reader.annotations(other.id) == first[3:]

    # -- retention ------------------------------------------------------------------------------

    def test_old_things_go_in_small_batches_and_used_ones_stay(self, world: World) -> None:
        for number in range(9):
            run = world.begin(number)
            world.do(fact.StepSaved(step_of(run, "a", number)))
            world.do(fact.Noted(Note(run.id, 1, NOW, "k", "s", "n", 0, b"")))
            if number != 4:
                world.finish(run, NOW + 100 + number)
        batch = msgspec.structs.replace(
            run_number(20), event_ids=(event_id_of(30), event_id_of(31), event_id_of(0))
        )
        events = [event_number(30), event_number(31), event_number(32)]
        world.do(*(fact.EventStored(event) for event in events))
        world.do(fact.RunStarted(batch, Item(batch.id, MAIN, ItemKind.CALL, NOW, APP)))
        first = world.look(Need(old=Old(NOW + 106, 3)))
        assert first.old_runs == tuple(run_id_of(n) for n in range(3))
        assert set(first.old_events) >= {event_id_of(1), event_id_of(2)}
        assert len(first.old_events) <= 3
        prune(world, NOW + 106, 3)
        kept = [run.id for run in world.reader.runs(RunFilter())]
        assert kept == [batch.id, *(run_id_of(n) for n in (8, 7, 6, 4))]
        ids = {event.id for event in world.reader.events(EventFilter())}
        assert ids == {event_id_of(n) for n in (0, 4, 6, 7, 8, 30, 31)}
        gone = run_number(1)
        assert not world.reader.steps(gone.id)
        assert not world.reader.notes(gone.id)
        assert world.look(Need(steps=frozenset({(gone.id, "a")}))).is_saved(gone.id, "a") is False
        world.finish(batch, NOW + 100)
        prune(world, NOW + 106, 3)
        ids = {event.id for event in world.reader.events(EventFilter())}
        assert ids == {event_id_of(n) for n in (4, 6, 7, 8)}
        world.reopen()
        assert len(world.reader.runs(RunFilter())) == 4

    def test_no_old_event_is_left_behind(self, world: World) -> None:
        """Neither one that was named and not removed at once, nor one of a run with very many."""
        batch = msgspec.structs.replace(
            run_number(1), event_ids=tuple(event_id_of(n) for n in range(10, 20))
        )
        world.do(fact.EventStored(event_number(5)))
        world.do(*(fact.EventStored(event_number(n)) for n in range(10, 20)))
        world.do(fact.RunStarted(batch, Item(batch.id, MAIN, ItemKind.CALL, NOW, APP)))
        for _ in range(2):
            assert world.look(Need(old=Old(NOW + 50, 3))).old_events == (event_id_of(5),)
        prune(world, NOW + 50, 3)
        assert len(world.reader.events(EventFilter())) == 10
        world.finish(batch, NOW + 1)
        prune(world, NOW + 50, 3)
        assert world.reader.events(EventFilter()) == []
        assert world.reader.runs_of_event(event_id_of(12)) == []

    def test_a_removed_function_is_forgotten_once_no_run_is_one_of_it(self, world: World) -> None:
        run = world.begin(1)
        gone = [msgspec.structs.replace(function_named(APP, n), slug=n) for n in ("a", "b", "c")]
        gone[0] = msgspec.structs.replace(gone[0], slug=run.function)
        for row in gone:
            world.do(fact.FunctionVersioned(row), fact.AppStored(app_named(APP)))
        world.finish(run, NOW)
        for number, row in enumerate(gone):
            world.do(fact.FunctionForgotten(row.slug, NOW + number))
        first, other, late = (row.slug for row in gone)
        for _ in range(2):
            assert world.look(Need(old=Old(NOW + 2, 5))).old_functions == (other,)
            assert world.look(Need(old=Old(NOW, 5))).old_functions == ()
            assert world.look(Need(old=Old(NOW + 9, 1))).old_functions == (other,)
            assert world.look(Need(old=Old(NOW + 9, 5))).old_functions == (other, late)
            world.reopen()
        world.do(fact.GoneForgotten(other))
        # One that is registered again keeps what it was.
        world.do(fact.FunctionVersioned(gone[2]))
        world.do(fact.GoneForgotten(late))
        for _ in range(2):
            assert [row.slug for row in world.reader.gone_functions()] == [first]
            counts = [len(world.reader.function_versions(slug)) for slug in (first, other, late)]
            assert counts == [1, 0, 1]
            assert world.look(Need(old=Old(NOW + 9, 5))).old_functions == ()
            world.reopen()
        world.do(fact.RunForgotten(run.id))
        assert world.look(Need(old=Old(NOW + 9, 5))).old_functions == (first,)

    def test_a_run_of_a_senders_id_is_kept_as_long_as_that_counts(self, world: World) -> None:
        for number, key in enumerate(("k", "", "k2")):
            world.finish(world.begin(number, dedup=key), NOW)
        for _ in range(2):
            early = world.look(Need(old=Old(NOW + 100, 5, NOW)))
            assert early.old_runs == (run_id_of(1),)
            assert early.old_events == (event_id_of(1),)
            late = world.look(Need(old=Old(NOW + 100, 5, NOW + 9)))
            assert late.old_runs == tuple(run_id_of(number) for number in range(3))
            world.reopen()

    def test_a_forgotten_run_may_not_come_back_by_its_event(self, world: World) -> None:
        run = world.begin(1, dedup="k")
        world.finish(run, NOW + 1)
        prune(world, NOW + 100, 5)
        view = world.look(Need(runs=frozenset({run.id}), dedups=frozenset({(FUNCTION, "k")})))
        assert view.run(run.id) is None
        assert view.dedup(FUNCTION, "k") is None
        assert world.reader.event(event_id_of(1)) is None
        world.store.tidy()

    # -- readers --------------------------------------------------------------------------------

    def test_runs_are_listed_newest_first_and_filtered(self, world: World) -> None:
        for number in range(10):
            run = run_number(number)
            if number % 2:
                run = msgspec.structs.replace(run, function="f2", app="a2")
            world.do(fact.RunStarted(run, Item(run.id, MAIN, ItemKind.CALL, NOW, APP)))
            if number >= 7:
                world.finish(run, NOW)
        world.do(fact.ItemLeased(lease_of(run_number(0))))

        def numbers(wanted: RunFilter) -> list[int]:
            return [int(run.id[1:]) for run in world.reader.runs(wanted)]

        assert numbers(RunFilter()) == list(range(9, -1, -1))
        assert numbers(RunFilter(limit=3)) == [9, 8, 7]
        assert numbers(RunFilter(after=Mark(NOW + 7, run_id_of(7)), limit=3)) == [6, 5, 4]
        assert numbers(RunFilter(functions=("f2",))) == [9, 7, 5, 3, 1]
        assert numbers(RunFilter(apps=(APP, "none"))) == [8, 6, 4, 2, 0]
        assert numbers(RunFilter(since_ms=NOW + 3, until_ms=NOW + 6)) == [5, 4, 3]
        assert numbers(RunFilter(statuses=(RunStatus.COMPLETED,))) == [9, 8, 7]
        assert numbers(RunFilter(statuses=(RunStatus.RUNNING,))) == [0]
        scheduled = RunFilter(statuses=(RunStatus.SCHEDULED,), apps=(APP,))
        assert numbers(scheduled) == [6, 4, 2]
        both = RunFilter(statuses=(RunStatus.RUNNING, RunStatus.COMPLETED), limit=4)
        assert numbers(both) == [9, 8, 7, 0]

    def test_every_list_of_runs_is_what_its_filter_says(self, world: World) -> None:
        draw = random.Random(5)
        runs = self._runs_of_all_kinds(world, draw)
        filters = [RunFilter(limit=limit) for limit in (1, 7, 100)]
        filters += [self._any_filter(draw, runs) for _ in range(150)]
        for wanted in filters:
            expected = [run for run in runs if wants_run(wanted, run)]
            expected.sort(key=lambda run: mark_of(run, wanted.time), reverse=not wanted.ascending)
            found = world.reader.runs(wanted)
            assert [run.id for run in found] == [run.id for run in expected[: wanted.limit]]
            assert found == expected[: wanted.limit]

    def _runs_of_all_kinds(self, world: World, draw: random.Random) -> list[Run]:
        """Runs as readers see them: some with the same times, some called for the first time."""
        seen: list[Run] = []
        for number in range(60):
            function = draw.choice(("a-f", "a-g", "b-f"))
            run = msgspec.structs.replace(
                run_number(number),
                function=function,
                app=function[0],
                queued_ms=NOW + draw.randrange(20),
                deferred=draw.random() < 0.3,
            )
            world.do(fact.RunStarted(run, Item(run.id, MAIN, ItemKind.CALL, NOW, APP)))
            match draw.choice(tuple(RunStatus)):
                case RunStatus.SCHEDULED:
                    pass
                case RunStatus.RUNNING if draw.random() < 0.5:
                    lease = msgspec.structs.replace(lease_of(run), granted_ms=NOW + number % 7)
                    world.do(fact.ItemLeased(lease))
                    run = as_seen(run, lease)
                case status:
                    began, ended = NOW + number % 9, NOW + number % 11
                    run = msgspec.structs.replace(run, status=status, started_ms=began)
                    if not status.ended:
                        world.do(fact.RunChanged(run))
                    else:
                        run = msgspec.structs.replace(run, ended_ms=ended)
                        world.do(fact.RunFinished(run))
            seen.append(run)
        return seen

    def _any_filter(self, draw: random.Random, runs: list[Run]) -> RunFilter:
        """Any filter at all; half of them begin in the middle of their list."""
        time = draw.choice(tuple(RunTime))
        since_ms = draw.choice((0, NOW + 3))
        return RunFilter(
            statuses=tuple(draw.sample(tuple(RunStatus), draw.randrange(4))),
            functions=tuple(draw.sample(("a-f", "a-g", "b-f", "none"), draw.choice((0, 0, 1, 2)))),
            apps=draw.choice(((), (), ("a",), ("a", "b"), ("none",))),
            time=time,
            since_ms=since_ms,
            until_ms=draw.choice((None, NOW + 9)),
            ascending=draw.random() < 0.5,
            after=mark_of(draw.choice(runs), time) if draw.random() < 0.5 else None,
            deferred=draw.choice((None, None, True, False)),
            limit=draw.choice((1, 3, 10, 100)),
        )

    def test_a_run_reads_as_running_from_its_first_call(self, world: World) -> None:
        run = world.begin(1)
        world.do(fact.ItemLeased(lease_of(run)))
        running = msgspec.structs.replace(run, status=RunStatus.RUNNING, started_ms=NOW)
        assert world.reader.run(run.id) == running
        assert world.reader.runs_of_event(event_id_of(1)) == [running]
        assert world.run(run.id).run(run.id) == run

    def test_events_are_listed_newest_first_and_filtered(self, world: World) -> None:
        names = ["paid", "sent", "inngest/x", "paid", "Inngest/y"]
        for number, name in enumerate(names):
            world.do(fact.EventStored(event_number(number, name)))

        def numbers(wanted: EventFilter) -> list[int]:
            return [int(event.id[1:]) for event in world.reader.events(wanted)]

        assert numbers(EventFilter()) == [4, 3, 1, 0]
        assert numbers(EventFilter(internal=True)) == [4, 3, 2, 1, 0]
        assert numbers(EventFilter(name="inngest/x")) == [2]
        assert numbers(EventFilter(name="paid")) == [3, 0]
        assert numbers(EventFilter(name="paid", after=Mark(NOW + 3, event_id_of(3)))) == [0]
        assert numbers(EventFilter(since_ms=NOW + 1, until_ms=NOW + 4)) == [3, 1]
        assert numbers(EventFilter(limit=2)) == [4, 3]
        assert world.reader.events(EventFilter(limit=1)) == [event_number(4, names[4])]

    def test_names_and_bodies_of_many_events_are_told_at_once(self, world: World) -> None:
        world.do(*(fact.EventStored(event_number(n, name)) for n, name in enumerate("abc")))
        asked = [event_id_of(0), event_id_of(2), event_id_of(9)]
        assert world.reader.event_names(asked) == {event_id_of(0): "a", event_id_of(2): "c"}
        assert world.reader.event_names([]) == {}
        bodies = {id_: event_number(n).body for n, id_ in enumerate(asked[:1])}
        assert world.reader.event_bodies([asked[0], asked[2]]) == bodies
        assert world.reader.event_bodies([]) == {}

    def test_what_many_runs_have_to_do_is_told_at_once(self, world: World) -> None:
        for number in range(3):
            world.begin(number, due_ms=NOW - number)
        world.do(fact.ItemAdded(Item(run_id_of(2), "s", ItemKind.CALL, NOW - 9, APP)))
        world.do(fact.ItemLeased(lease_of(run_number(1))))
        asked = [run_id_of(number) for number in (0, 1, 2, 9)]
        told = world.reader.open_items(asked)
        keys = {run_id: [item.key for item in items] for run_id, items in told.items()}
        assert keys == {asked[0]: [MAIN], asked[2]: ["s", MAIN]}
        assert all(items == world.reader.items(run_id) for run_id, items in told.items())
        assert world.reader.open_items([]) == {}

    def test_how_often_each_run_was_tried_again_is_told_at_once(self, world: World) -> None:
        told = (("A", "retry"), ("A", "retry"), ("A", "late"), ("B", "retry"), ("C", "late"))
        for place, (run, kind) in enumerate(told):
            world.do(fact.Noted(Note(run, place, NOW, kind, "s", "name", 0, b"{}")))
        assert world.reader.retries(["A", "B", "C", "D"]) == {"A": 2, "B": 1}
        assert world.reader.retries([]) == {}

    def test_runs_with_due_work_are_told_the_longest_due_first(self, world: World) -> None:
        for number in range(5):
            world.begin(number, due_ms=NOW - number)
        world.do(fact.ItemAdded(Item(run_id_of(4), "s", ItemKind.CALL, NOW - 9, APP)))
        world.do(fact.ItemAdded(Item(run_id_of(0), "t", ItemKind.CALL, NOW - 8, "other")))
        world.do(fact.ItemDone(run_id_of(1), MAIN))

        def told(queue: str, before_ms: int = NOW + 1, limit: int = 9) -> list[str]:
            return [run.id for run in world.reader.due_runs(queue, before_ms, limit)]

        assert told(APP) == [run_id_of(number) for number in (4, 3, 2, 0)]
        assert told(APP, limit=2) == [run_id_of(4), run_id_of(3)]
        assert told(APP, NOW - 2) == [run_id_of(4), run_id_of(3)]
        assert told("other") == [run_id_of(0)]
        assert told("none") == []
        world.do(fact.ItemLeased(lease_of(run_number(3))))
        assert told(APP) == [run_id_of(number) for number in (4, 2, 0)]

    def test_stranded_runs_are_those_that_nothing_can_move(self, world: World) -> None:
        fates: dict[int, list[fact.Record]] = {
            0: [],
            1: [fact.ItemDone(run_id_of(1), MAIN)],
            2: [
                fact.ItemDone(run_id_of(2), MAIN),
                fact.ItemAdded(Item(run_id_of(2), "s", ItemKind.SLEEP, NOW + 9)),
            ],
            3: [
                fact.ItemDone(run_id_of(3), MAIN),
                fact.WaitOpened(wait_of(run_number(3), "w", WaitKind.INVOKE, "f")),
            ],
            4: [
                fact.ItemDone(run_id_of(4), MAIN),
                fact.WaitOpened(wait_of(run_number(4), "c", WaitKind.CANCEL, "stop")),
                fact.WaitOpened(wait_of(run_number(4), "d", WaitKind.DEFER, "later")),
            ],
            5: [fact.ItemLeased(lease_of(run_number(5)))],
        }
        for number, records in fates.items():
            world.begin(number)
            world.do(*records)
        world.finish(world.begin(6), NOW)
        for _ in range(2):
            stranded = [run.id for run in world.reader.stranded(10)]
            assert stranded == [run_id_of(1), run_id_of(4)]
            assert len(world.reader.stranded(1)) == 1
            world.reopen()

    def test_readers_work_on_other_threads_while_the_store_writes(self, world: World) -> None:
        run = world.begin(1)
        seen: list[int] = []
        wrong: list[BaseException] = []
        done = threading.Event()

        def watch() -> None:
            before = 0
            try:
                while not done.is_set():
                    told = len(world.reader.call_state(run).steps)
                    assert len(world.reader.steps(run.id)) >= told >= before
                    seen.append(told)
                    before = told
            except BaseException as error:  # noqa: BLE001
                wrong.append(error)

        threads = [threading.Thread(target=watch) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(60):
            world.do(fact.StepSaved(step_of(run, f"s{number}", number)))
        done.set()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert seen == [] or max(seen) <= 60


def prune(world: World, before_ms: int, limit: int) -> None:
    """Forget what is old, in small batches, until nothing is named any more."""
    for _ in range(100):
        view = world.look(Need(old=Old(before_ms, limit)))
        assert len(view.old_runs) <= limit
        assert len(view.old_events) <= limit
        if not view.old_runs and not view.old_events:
            return
        records: list[fact.Record] = [fact.RunForgotten(run_id) for run_id in view.old_runs]
        records += [fact.EventForgotten(event_id) for event_id in view.old_events]
        world.do(*records)
    raise AssertionError("there is always something old left")
