"""What any store must do, as one suite of tests: the definition of the port.

A test file subclasses `StoreContract` and gives it an `Opener` for its store; every store passes
the same tests.
"""

import random
from collections.abc import Iterable

import msgspec
import pytest

from stepwell.expr.equality import first_equality, values_at
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import NOTHING, Due, LookBack, Meeting, Need, Old
from stepwell.server.engine.row.run import (
    FUNCTION_VERSIONS_MAX,
    MAIN,
    EventRow,
    FunctionVersion,
    Item,
    ItemKind,
    Note,
    Run,
    RunStatus,
    Wait,
    WaitKind,
    place_of,
)
from stepwell.server.store.meeting import MEETABLE
from stepwell.server.store.port import CallState, Conflict, EventFilter, RunFilter
from stepwell.testing.contract.admin_store import AdminStoreContract
from stepwell.testing.contract.count_store import CountStoreContract
from stepwell.testing.contract.due_store import DueStoreContract
from stepwell.testing.contract.ended_count_store import EndedCountStoreContract
from stepwell.testing.contract.flow_store import FlowStoreContract
from stepwell.testing.contract.history_store import HistoryStoreContract
from stepwell.testing.contract.store_world import (
    APP,
    FUNCTION,
    NOW,
    Opener,
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


class StoreContract(
    AdminStoreContract,
    CountStoreContract,
    EndedCountStoreContract,
    DueStoreContract,
    FlowStoreContract,
    HistoryStoreContract,
):
    """The tests. A subclass has a fixture `opener`."""

    @pytest.fixture
    def world(self, opener: Opener) -> Iterable[World]:
        """A store that is empty."""
        world = World(opener)
        yield world
        world.reader.close()
        world.store.close()

    # -- nothing there --------------------------------------------------------------------------

    def test_an_empty_store_says_that_nothing_is_there(self, world: World) -> None:
        need = Need(
            runs=frozenset({"R"}),
            steps=frozenset({("R", "s")}),
            events=frozenset({"E"}),
            bodies=frozenset({"E"}),
            dedups=frozenset({("f", "k")}),
            meetings=(Meeting("E", "paid", b"{}"),),
            signals=frozenset({"go"}),
            look_back=(LookBack("paid", 0, 5),),
            due=Due(NOW, ((APP, 5),), 5),
            old=Old(NOW, 5),
        )
        view = world.look(need)
        assert view.run("R") is None
        assert not view.is_saved("R", "s")
        assert not view.knows_event("E")
        assert view.body("E") is None
        assert view.dedup("f", "k") is None
        assert view.meeting("E", "paid", "") == []
        assert view.signal("go") is None
        assert view.look_back(LookBack("paid", 0, 5)) == ()
        assert (view.due(), view.overdue(), view.next_due_ms) == ([], [], None)
        assert (view.old_runs, view.old_events) == ((), ())
        assert world.store.catalog().apps == {}
        assert not world.waits("paid")

    def test_an_empty_reader_finds_nothing(self, world: World) -> None:
        reader = world.reader
        assert (reader.run("R"), reader.event("E")) == (None, None)
        assert not reader.runs(RunFilter())
        assert not reader.runs_of_event("E")
        assert not reader.stranded(5)
        assert not reader.steps("R")
        assert not reader.notes("R")
        assert not reader.items("R")
        assert not reader.leases("R")
        assert not reader.waits("R")
        assert not reader.events(EventFilter())
        assert not reader.apps()
        assert not reader.functions()
        assert reader.call_state(run_number(1)) == CallState((), ())

    def test_migrating_again_changes_nothing(self, world: World) -> None:
        run = world.begin(1)
        world.store.migrate()
        assert world.run(run.id).run(run.id) == run

    # -- every record ---------------------------------------------------------------------------

    def test_an_event_is_kept_whole(self, world: World) -> None:
        body = '{"data":{"ä":"\\u0000","big":"'.encode() + b"x" * 100_000 + b'"}}'
        event = EventRow("E1", "a/b", -5, NOW, body, "sender's own")
        world.do(fact.EventStored(event))
        for _ in range(2):
            need = Need(events=frozenset({"E1", "E2"}), bodies=frozenset({"E1"}))
            view = world.look(need)
            assert (view.knows_event("E1"), view.knows_event("E2")) == (True, False)
            assert view.body("E1") == world.reader.event("E1") == event
            world.reopen()

    def test_a_run_begins_with_its_first_item(self, world: World) -> None:
        run = Run(
            id=run_id_of(1),
            function=FUNCTION,
            app=APP,
            event_ids=("E1", "E2", "E3"),
            queued_ms=NOW,
            parent="p.s",
            dedup="k",
            cron="* * * * *",
            original="R0",
            quiet=True,
            edited=(("s", "[1]"),),
            deferred=True,
        )
        item = Item(run.id, MAIN, ItemKind.CALL, NOW + 5, "other", 3, "t", 2, b"d")
        world.do(fact.RunStarted(run, item))
        for _ in range(2):
            view = world.run(run.id)
            assert view.run(run.id) == run
            assert view.items_of(run.id) == (item,)
            assert view.waits_of(run.id) == ()
            assert world.reader.run(run.id) == run
            assert world.reader.items(run.id) == [item]
            assert world.reader.runs_of_event("E2") == [run]
            world.reopen()

    def test_a_run_changes(self, world: World) -> None:
        run = world.begin(1)
        changed = msgspec.structs.replace(
            run,
            status=RunStatus.RUNNING,
            started_ms=NOW + 1,
            version=2,
            force_plan=True,
            again=True,
            pending=("a", "b"),
            code="2026-01",
        )
        world.do(fact.RunChanged(changed))
        for _ in range(2):
            view = world.run(run.id)
            assert view.run(run.id) == world.reader.run(run.id) == changed
            assert [item.key for item in view.items_of(run.id)] == [MAIN]
            world.reopen()

    def test_what_hangs_on_a_run_is_counted(self, world: World) -> None:
        run = world.begin(1)
        world.do(
            fact.WaitOpened(wait_of(run, "w")),
            fact.ItemAdded(Item(run.id, "w", ItemKind.TIMEOUT, NOW + 60_000)),
            fact.WaitOpened(wait_of(run, "cancel:0", WaitKind.CANCEL, "stop")),
        )
        known = world.run(run.id).run(run.id)
        assert known is not None
        assert known.parts == 3
        world.reopen()
        world.do(fact.RunChanged(run), fact.WaitClosed(wait_of(run, "w")))
        known = world.run(run.id).run(run.id)
        assert known is not None
        assert known.parts == 2

    @pytest.mark.parametrize("loaded", [True, False])
    @pytest.mark.parametrize("reopened", [True, False])
    def test_a_run_ends_with_all_that_hangs_on_it(
        self, world: World, *, loaded: bool, reopened: bool
    ) -> None:
        run = world.begin(1)
        world.do(
            fact.ItemAdded(Item(run.id, "s", ItemKind.SLEEP, NOW + 5)),
            fact.WaitOpened(wait_of(run, "w")),
            fact.WaitOpened(wait_of(run, "g", WaitKind.SIGNAL, "go")),
            fact.ItemLeased(lease_of(run)),
        )
        if reopened:
            world.reopen()
        ended = msgspec.structs.replace(
            run, status=RunStatus.FAILED, started_ms=NOW, ended_ms=NOW + 9, output=b'{"a":1}'
        )
        world.do(fact.RunFinished(ended), need=None if loaded else NOTHING)
        for _ in range(2):
            view = world.run(run.id)
            assert view.run(run.id) == world.reader.run(run.id) == ended
            assert not view.items_of(run.id)
            assert not view.waits_of(run.id)
            assert view.lease(run.id, MAIN) is None
            assert not world.reader.items(run.id)
            assert not world.reader.waits(run.id)
            assert world.keys_due(NOW + 100_000) == []
            assert world.due(NOW + 100_000).next_due_ms is None
            assert not world.waits("paid")
            assert world.look(Need(signals=frozenset({"go"}))).signal("go") is None
            world.reopen()

    def test_a_run_may_begin_and_end_in_one_batch(self, world: World) -> None:
        run = run_number(1)
        item = Item(run.id, MAIN, ItemKind.CALL, NOW, APP)
        ended = msgspec.structs.replace(run, status=RunStatus.CANCELLED, ended_ms=NOW)
        world.do(fact.RunStarted(run, item), fact.RunFinished(ended))
        assert world.run(run.id).run(run.id) == ended
        assert world.keys_due() == []

    def test_steps_are_kept_in_order(self, world: World) -> None:
        run = world.begin(1)
        other = world.begin(2)
        steps = [step_of(run, f"ü{n}", 1_000 + n, b"%d" % n) for n in range(40)]
        steps.append(step_of(run, "big", 9_999, b'"' + b"x" * 2_000_000 + b'"'))
        steps[3] = msgspec.structs.replace(steps[3], input='[{"ü":1}]'.encode())
        world.do(*(fact.StepSaved(step) for step in steps[:20]))
        world.do(fact.StepSaved(step_of(other, "ü1", 1_500)))
        world.do(*(fact.StepSaved(step) for step in steps[20:]))
        for _ in range(2):
            asked = frozenset({(run.id, "ü3"), (run.id, "big"), (run.id, "no"), (other.id, "ü3")})
            view = world.look(Need(steps=asked))
            assert [view.is_saved(*slot) for slot in sorted(asked)] == [True, False, True, False]
            assert view.saved_size(run.id) == (41, sum(len(step.memo) for step in steps))
            assert view.saved_size(other.id) == (1, len(b'{"data":1}'))
            assert world.reader.steps(run.id) == steps
            told = tuple((step.id, step.memo) for step in steps)
            state = CallState((b"{}",), told)
            assert world.reader.call_state(run) == state
            assert world.reader.call_states([other, run, run_number(3)]) == {
                run.id: state,
                other.id: CallState((b"{}",), (("ü1", b'{"data":1}'),)),
            }
            world.reopen()
        world.finish(run, NOW)
        assert list(world.reader.call_states([run, other])) == [other.id]

    def test_a_call_is_told_all_events_of_its_run(self, world: World) -> None:
        bodies = [b'{"n":%d}' % n for n in range(3)]
        for n, body in enumerate(bodies):
            world.do(fact.EventStored(event_number(n, body=body)))
        run = msgspec.structs.replace(
            run_number(1), event_ids=(event_id_of(2), event_id_of(0), event_id_of(1))
        )
        assert world.reader.call_state(run).events == (bodies[2], bodies[0], bodies[1])
        world.reopen()
        assert world.reader.call_state(run).events == (bodies[2], bodies[0], bodies[1])

    @pytest.mark.parametrize("kind", list(WaitKind))
    def test_a_wait_opens_and_closes(self, world: World, kind: WaitKind) -> None:
        run = world.begin(1)
        wait = Wait(run.id, "w", kind, "paid", 1, 2, "async.data.a == 1", "p", "v", "label")
        world.do(fact.WaitOpened(wait))
        for _ in range(2):
            view = world.look(Need(runs=frozenset({run.id}), signals=frozenset({"paid"})))
            assert view.waits_of(run.id) == (wait,)
            assert world.reader.waits(run.id) == [wait]
            assert view.signal("paid") == (wait if kind is WaitKind.SIGNAL else None)
            assert world.waits("paid") is (kind in MEETABLE)
            world.reopen()
        world.do(fact.WaitClosed(wait))
        for _ in range(2):
            view = world.look(Need(runs=frozenset({run.id}), signals=frozenset({"paid"})))
            assert view.waits_of(run.id) == ()
            assert view.signal("paid") is None
            assert not world.waits("paid")
            world.reopen()

    def test_a_name_is_waited_for_until_the_last_wait_ends(self, world: World) -> None:
        one, two = world.begin(1), world.begin(2)
        world.do(fact.WaitOpened(wait_of(one, "w")), fact.WaitOpened(wait_of(two, "w")))
        world.do(fact.WaitClosed(wait_of(one, "w")))
        assert world.waits("paid")
        world.finish(two, NOW)
        assert not world.waits("paid")

    def test_items_come_and_go(self, world: World) -> None:
        run = world.begin(1)
        item = Item(run.id, "s", ItemKind.GATEWAY, NOW, "@gateway", 1, "t", 1, b"\x00\xff")
        world.do(fact.ItemAdded(item))
        world.do(fact.ItemDone(run.id, MAIN))
        for _ in range(2):
            assert world.run(run.id).items_of(run.id) == (item,)
            assert world.reader.items(run.id) == [item]
            world.reopen()
        moved = msgspec.structs.replace(item, due_ms=NOW + 50, attempt=2)
        main = Item(run.id, MAIN, ItemKind.CALL, NOW + 70, APP, 5, "step", 1, b"e")
        world.do(fact.ItemMoved(moved), fact.ItemAdded(main))
        for _ in range(2):
            assert set(world.run(run.id).items_of(run.id)) == {moved, main}
            assert world.reader.items(run.id) == [moved, main]
            world.reopen()
        world.do(fact.ItemDone(run.id, "s"))
        assert world.run(run.id).items_of(run.id) == (main,)

    def test_the_engines_own_items_hang_on_no_run(self, world: World) -> None:
        cron = Item("cron:f", "* * * * *", ItemKind.CRON, NOW, "", 0, "f", 0, b"5")
        world.do(fact.ItemAdded(cron))
        for _ in range(2):
            view = world.run("cron:f")
            assert view.run("cron:f") is None
            assert view.items_of("cron:f") == (cron,)
            assert world.reader.items("cron:f") == [cron]
            assert world.keys_due(capacity={}) == [("cron:f", "* * * * *")]
            world.reopen()
        world.do(fact.ItemMoved(msgspec.structs.replace(cron, due_ms=NOW + 60)))
        assert world.keys_due(capacity={}) == []
        world.do(fact.ItemDone("cron:f", "* * * * *"))
        assert world.keys_due(NOW + 60, capacity={}) == []

    def test_leases_are_granted_extended_and_over(self, world: World) -> None:
        run = world.begin(1)
        lease = lease_of(run)
        world.do(fact.ItemLeased(lease))
        assert world.run(run.id).lease(run.id, MAIN) == lease
        assert world.reader.leases(run.id) == [lease]
        longer = msgspec.structs.replace(lease, until_ms=NOW + 90_000)
        world.do(fact.ItemLeased(longer))
        assert world.run(run.id).lease(run.id, MAIN) == longer
        world.do(fact.ItemMoved(Item(run.id, MAIN, ItemKind.CALL, NOW + 1, APP)))
        assert world.run(run.id).lease(run.id, MAIN) is None
        assert world.reader.leases(run.id) == []

    def test_the_newest_place_is_known_to_the_next_process(self, world: World) -> None:
        run = world.begin(1)
        other = world.begin(2)
        assert world.store.newest_place() == 0
        for number, saved_by in ((10, run), (2**60, other), (2**60 + 7, run)):
            world.do(fact.StepSaved(step_of(saved_by, f"s{number}", number)))
            for _ in range(2):
                assert world.store.newest_place() == number
                world.reopen()

    def test_a_saved_step_is_counted_on_the_lease(self, world: World) -> None:
        run = world.begin(1)
        world.do(fact.ItemLeased(lease_of(run)))
        world.do(fact.StepSaved(step_of(run, "a", 1)))
        lease = world.run(run.id).lease(run.id, MAIN)
        assert lease is not None
        assert lease.steps == 1

    def test_notes_are_kept_in_order(self, world: World) -> None:
        notes = [Note("R1", 100 - n, NOW, "failed", "s", "name", n, b"{}") for n in range(3)]
        world.do(*(fact.Noted(note) for note in notes))
        for _ in range(2):
            assert world.reader.notes("R1") == notes[::-1]
            world.reopen()

    def test_apps_and_functions_are_registered_and_forgotten(self, world: World) -> None:
        one, two = app_named("one"), app_named("two")
        functions = [function_named("one", "a"), function_named("one", "b")]
        functions.append(function_named("two", "c"))
        world.do(fact.AppStored(one), fact.AppStored(two))
        world.do(*(fact.FunctionVersioned(function) for function in functions))
        newer = msgspec.structs.replace(functions[0], version=2)
        back = msgspec.structs.replace(two, error="")
        world.do(fact.FunctionVersioned(newer), fact.AppStored(back))
        for _ in range(2):
            assert world.reader.apps() == [one, back]
            assert world.reader.functions() == [newer, *functions[1:]]
            listings = world.store.catalog().listings
            assert {slug: entry.version for slug, entry in listings.items()} == {
                "one-a": 2,
                "one-b": 1,
                "two-c": 1,
            }
            world.reopen()
        assert world.reader.gone_functions() == []
        world.do(
            fact.FunctionForgotten("one-a", NOW),
            fact.FunctionForgotten("two-c", NOW),
            fact.AppForgotten("two"),
        )
        gone = [msgspec.structs.replace(row, gone_ms=NOW) for row in (newer, functions[2])]
        for _ in range(2):
            assert world.reader.gone_functions() == gone
            assert world.reader.apps() == [one]
            assert world.reader.functions() == [functions[1]]
            assert list(world.store.catalog().listings) == ["one-b"]
            world.reopen()
        world.do(fact.FunctionVersioned(newer))
        for _ in range(2):
            assert world.reader.gone_functions() == gone[1:]
            assert world.reader.functions() == [newer, functions[1]]
            world.reopen()

    def test_so_many_versions_of_a_function_are_kept_newest_first(self, world: World) -> None:
        row, other = function_named("one", "a"), function_named("one", "b")
        versions = [
            FunctionVersion(
                msgspec.structs.replace(row, name=f"n{n}", version=n, created_ms=NOW + n),
                f"v{n}",
            )
            for n in range(1, FUNCTION_VERSIONS_MAX + 4)
        ]
        for version in versions[:-2]:
            world.do(fact.FunctionVersioned(version.function, version.app_version))
        last = [fact.FunctionVersioned(one.function, one.app_version) for one in versions[-2:]]
        world.do(*last, fact.FunctionVersioned(other))
        world.do(fact.FunctionForgotten(row.slug, NOW))
        for _ in range(2):
            assert world.reader.function_versions(row.slug) == versions[:2:-1]
            assert world.reader.function_versions(other.slug) == [FunctionVersion(other)]
            assert world.reader.function_versions("none") == []
            world.reopen()
        # Registered twice at one moment: it is told once, as it was last.
        world.do(fact.FunctionVersioned(other, "w"))
        assert world.reader.function_versions(other.slug) == [FunctionVersion(other, "w")]

    # -- transactions ---------------------------------------------------------------------------

    @pytest.mark.parametrize("ending", ["rollback", "reopen"])
    def test_what_was_not_committed_never_was(self, world: World, ending: str) -> None:
        run, other = world.begin(1), world.begin(2)
        world.do(fact.WaitOpened(wait_of(run, "w")), fact.StepSaved(step_of(run, "a", 1)))
        ended = msgspec.structs.replace(other, status=RunStatus.COMPLETED, ended_ms=NOW)
        view = world.prepare(
            [
                fact.EventStored(event_number(9)),
                fact.RunStarted(run_number(9), Item(run_id_of(9), MAIN, ItemKind.CALL, 1, APP)),
                fact.StepSaved(step_of(run, "b", 2)),
                fact.WaitClosed(wait_of(run, "w")),
                fact.ItemMoved(Item(run.id, MAIN, ItemKind.CALL, NOW + 99, APP)),
                fact.RunFinished(ended),
                fact.AppStored(app_named("x")),
            ]
        )
        world.store.write(view.changes)
        if ending == "rollback":
            world.store.rollback()
        else:
            world.reopen()
        asked = Need(
            runs=frozenset({run.id, other.id, run_id_of(9)}),
            steps=frozenset({(run.id, "a"), (run.id, "b")}),
            events=frozenset({event_id_of(9)}),
        )
        seen = world.look(asked)
        assert seen.run(other.id) == other
        assert seen.run(run_id_of(9)) is None
        assert not seen.knows_event(event_id_of(9))
        assert (seen.is_saved(run.id, "a"), seen.is_saved(run.id, "b")) == (True, False)
        assert seen.waits_of(run.id) == (wait_of(run, "w"),)
        assert world.waits("paid")
        assert world.keys_due() == [(run.id, MAIN), (other.id, MAIN)]
        assert world.reader.apps() == []
        world.do(*(fact.StepSaved(step_of(run, key, 3)) for key in "bc"))
        assert len(world.reader.steps(run.id)) == 3

    def test_readers_see_what_was_committed_and_only_that(self, world: World) -> None:
        run = world.begin(1)
        view = world.prepare([fact.StepSaved(step_of(run, "a", 1))])
        world.store.write(view.changes)
        assert world.reader.steps(run.id) == []
        assert world.reader.call_state(run).steps == ()
        world.store.commit()
        assert [step.id for step in world.reader.steps(run.id)] == ["a"]
        world.store.keep(view.changes)
        assert world.reader.call_state(run).steps == (("a", b'{"data":1}'),)

    def test_what_must_be_new_and_is_not_is_a_conflict(self, world: World) -> None:
        run = world.begin(1)
        world.do(fact.StepSaved(step_of(run, "a", 1)))
        item = Item(run.id, MAIN, ItemKind.CALL, NOW, APP)
        repeated: list[fact.Record] = [
            fact.EventStored(event_number(1, body=b"[]")),
            fact.RunStarted(msgspec.structs.replace(run, app="x"), item),
            fact.StepSaved(step_of(run, "a", 2, b"2")),
        ]
        for record in repeated:
            view = world.prepare([fact.AppStored(app_named("y")), record])
            with pytest.raises(Conflict):
                world.commit(view)
            world.store.rollback()
        assert world.reader.apps() == []
        assert world.reader.event(event_id_of(1)) == event_number(1)
        assert world.run(run.id).run(run.id) == run
        assert world.reader.call_state(run).steps == (("a", b'{"data":1}'),)

    def test_leases_end_with_the_process(self, world: World) -> None:
        run = world.begin(1)
        world.do(fact.ItemLeased(lease_of(run)))
        assert world.keys_due() == []
        world.reopen()
        assert world.keys_due() == [(run.id, MAIN)]
        assert world.reader.leases(run.id) == []

    def test_the_lease_of_a_fresh_run_may_come_in_its_batch(self, world: World) -> None:
        run = run_number(1)
        item = Item(run.id, MAIN, ItemKind.CALL, NOW, APP)
        world.do(fact.RunStarted(run, item), fact.ItemLeased(lease_of(run)))
        assert world.keys_due() == []
        assert world.run(run.id).lease(run.id, MAIN) == lease_of(run)

    # -- look-ups -------------------------------------------------------------------------------

    def test_dedup_finds_the_newest_run_of_the_function(self, world: World) -> None:
        world.begin(1, dedup="k")
        second = world.begin(2, dedup="k")
        world.begin(3, dedup="other")
        world.begin(4)
        other = msgspec.structs.replace(run_number(5, dedup="k"), function="f2")
        world.do(fact.RunStarted(other, Item(other.id, MAIN, ItemKind.CALL, NOW, APP)))
        world.finish(second, NOW + 9)
        asked = {(FUNCTION, "k"): second.id, ("f2", "k"): other.id, ("f3", "k"): None}
        for _ in range(2):
            view = world.look(Need(dedups=frozenset(asked)))
            assert {slot: view.dedup(*slot) for slot in asked} == asked
            world.reopen()

    def test_a_signal_finds_who_waits_for_it(self, world: World) -> None:
        one, two = world.begin(1), world.begin(2)
        wait = wait_of(two, "w", WaitKind.SIGNAL, "go")
        world.do(fact.WaitOpened(wait), fact.WaitOpened(wait_of(one, "w", WaitKind.EVENT, "go")))
        view = world.look(Need(signals=frozenset({"go", "stop"})))
        assert view.signal("go") == wait
        assert view.signal("stop") is None

    def test_meetings_agree_with_a_full_search(self, world: World) -> None:
        chance = random.Random(7)
        waits: list[Wait] = []
        for number in range(30):
            run = world.begin(number)
            for index in range(3):
                kind = chance.choice([WaitKind.EVENT, WaitKind.CANCEL, WaitKind.SIGNAL])
                name = chance.choice(["paid", "sent"])
                condition = chance.choice(CONDITIONS)
                path, value = first_equality(condition) or ("", "")
                waits.append(Wait(run.id, f"w{index}", kind, name, 0, 0, condition, path, value))
        world.do(*(fact.WaitOpened(wait) for wait in waits))
        closed = chance.sample(waits, 15)
        world.do(*(fact.WaitClosed(wait) for wait in closed))
        left = [w for w in waits if w not in closed and w.kind in MEETABLE]
        met = 0
        for turn in range(20):
            body = body_with(chance)
            expected = sorted((w for w in left if fits(w, "paid", body)), key=place_of)
            met += len(expected)
            assert candidates(world, "paid", body) == expected
            assert paged(world, "paid", body, limit=1 + turn % 4) == expected
            if turn == 10:
                world.reopen()
        assert met
        assert candidates(world, "unknown", b"{}") == []

    def test_looking_back_at_events(self, world: World) -> None:
        for number in range(6):
            name = "paid" if number % 2 else "sent"
            world.do(fact.EventStored(event_number(number, name)))
        run = world.begin(9)
        world.do(
            fact.StepSaved(step_of(run, "w", 1, op="WaitForEvent", memo=b'"met"')),
            fact.StepSaved(step_of(run, "s", 2, op="Sleep", memo=b"null")),
        )
        for _ in range(2):
            since = NOW + 2
            look = (
                LookBack("paid", since, 10),
                LookBack("sent", NOW, 2),
                LookBack("sent", NOW, 2, 2, run.id),
            )
            view = world.look(Need(look_back=look))
            paid, sent = (view.look_back(one) for one in look[:2])
            assert [event.id for event in paid] == [event_id_of(3), event_id_of(5)]
            assert [event.id for event in sent] == [event_id_of(0), event_id_of(2)]
            assert sent[1] == event_number(2, "sent")
            assert [event.id for event in view.look_back(look[2])] == [event_id_of(4)]
            assert view.met(run.id) == {b'"met"'}
            world.reopen()


CONDITIONS = (
    "",
    "async.data.order > 3",
    *(f"async.data.order == {value}" for value in ('"a"', '"b"', "3", "3.5", "true", "null")),
    *(f'async.data.user.id == "{value}" && async.data.order == 3' for value in "xyz"),
    'async.data.missing == "a"',
    "async.data.missing == null",
)


def body_with(chance: random.Random) -> bytes:
    """An event body with few different values."""
    order = chance.choice(["a", "b", 3, 3.5, True, None])
    return msgspec.json.encode({"data": {"order": order, "user": {"id": chance.choice("xyz")}}})


def fits(wait: Wait, name: str, body: bytes) -> bool:
    """Whether an event may end a wait, asked of this wait alone."""
    if wait.name != name:
        return False
    return not wait.path or values_at(body, frozenset({wait.path})).get(wait.path) == wait.value


def candidates(
    world: World, name: str, body: bytes, after: str = "", limit: int = 99
) -> list[Wait]:
    """The waits an event may end."""
    view = world.look(Need(meetings=(Meeting("E", name, body, after, limit),)))
    return view.meeting("E", name, after)


def paged(world: World, name: str, body: bytes, limit: int) -> list[Wait]:
    """The waits an event may end, a few at a time."""
    found: list[Wait] = []
    after = ""
    while page := candidates(world, name, body, after, limit):
        assert len(page) <= limit
        found += page
        after = place_of(page[-1])
    return found
