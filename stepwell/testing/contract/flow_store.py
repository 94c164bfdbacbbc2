"""What any store must do with the rows of flow control: a part of the contract of stores."""

import msgspec
import pytest

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import Need, Old, Skipped
from stepwell.server.engine.name.lane import Part, PartKind, lane_name
from stepwell.server.engine.row.flow import (
    Dropped,
    DropReason,
    FlowKey,
    Held,
    Hold,
    HoldKind,
    KeyKind,
    Slot,
)
from stepwell.server.engine.row.run import MAIN, Item, ItemKind, Run, RunStatus
from stepwell.server.engine.state.view import View
from stepwell.testing.contract.store_world import (
    APP,
    FUNCTION,
    NOW,
    World,
    event_id_of,
    event_number,
    lease_of,
    run_id_of,
    run_number,
)

KEY = "throttle:shop-order:1:ä"
LOCK = "singleton:shop-order:1"
PLACE = "run-concurrency:shop-order:1"
HOLD = Hold("batch:f:1", FUNCTION, HoldKind.BATCH, NOW, NOW + 9, event_id_of(1), NOW, 2, 77, "R.s")


def everything(key: str) -> Need:
    """Whatever there is under a key."""
    keys = frozenset({key})
    return Need(keys=keys, holders=keys, holds=keys, held=keys)


class FlowStoreContract:
    """The tests. A subclass has a fixture `world`."""

    def test_an_empty_store_knows_no_key(self, world: World) -> None:
        flow = world.look(everything("k")).flow
        assert (flow.row("k"), flow.taken("k"), flow.holders("k")) == (None, 0, [])
        assert (flow.hold("k"), flow.held("k")) == (None, [])
        reader = world.reader
        assert (reader.flow_key("k"), reader.flow_keys(KeyKind.RATE)) == (None, [])
        assert (reader.holds(), reader.holds_of_event("E"), reader.held("k")) == ([], [], [])
        assert (reader.dropped("E"), reader.dropped_of("f", 0, 9), reader.slots("k")) == ([],) * 3

    @pytest.mark.parametrize("kind", list(KeyKind))
    def test_a_key_is_remembered_changed_and_forgotten(self, world: World, kind: KeyKind) -> None:
        key = FlowKey(KEY, kind, NOW, 2**60, b"\x00\xff")
        world.do(fact.FlowKeyPut(key))
        other = msgspec.structs.replace(key, value=-1, until_ms=NOW + 5)
        for expected in (key, other):
            for _ in range(2):
                assert world.look(everything(KEY)).flow.row(KEY) == expected
                assert world.reader.flow_key(KEY) == expected
                assert world.reader.flow_keys(kind) == [expected]
                world.reopen()
            world.do(fact.FlowKeyPut(other))
        world.do(fact.FlowKeyForgotten(KEY))
        assert world.look(everything(KEY)).flow.row(KEY) is None
        assert world.reader.flow_keys(kind) == []

    def test_what_a_batch_says_of_a_key_holds_before_it_is_loaded(self, world: World) -> None:
        world.do(fact.FlowKeyPut(FlowKey(KEY, KeyKind.RATE, NOW, 1)))
        view = world.look()
        view.apply(fact.FlowKeyPut(FlowKey(KEY, KeyKind.RATE, NOW, 2)))
        world.store.load(everything(KEY), view)
        assert view.flow.row(KEY) == FlowKey(KEY, KeyKind.RATE, NOW, 2)

    def test_spent_keys_are_named_to_be_forgotten(self, world: World) -> None:
        for number in range(3):
            world.do(fact.FlowKeyPut(FlowKey(f"k{number}", KeyKind.RATE, NOW + number)))
        old = Old(0, 1, spent_before_ms=NOW + 2)
        assert world.look(Need(old=old)).flow.old_keys == ("k0",)
        more = msgspec.structs.replace(old, limit=9)
        assert world.look(Need(old=more)).flow.old_keys == ("k0", "k1")

    # -- places under a key ---------------------------------------------------------------------

    def seat(self, world: World, number: int, *, lock: str = "", slot: str = "") -> Run:
        """A run with a place under a key from its beginning."""
        slots = (slot,) if slot else ()
        run = msgspec.structs.replace(
            run_number(number), lock=lock, slots=slots, seated=bool(slots)
        )
        item = Item(run.id, MAIN, ItemKind.CALL, NOW, APP)
        taken = [fact.SlotTaken(Slot(key, run.id, NOW, 99 - number)) for key in run.places]
        world.do(fact.RunStarted(run, item), *taken)
        return run

    def places(self, view: View, key: str) -> tuple[int, list[str]]:
        """How many have a place under a key, and who."""
        return view.flow.taken(key), [slot.run_id for slot in view.flow.holders(key)]

    @pytest.mark.parametrize("loaded", [True, False])
    def test_a_run_has_its_places_until_it_ends(self, world: World, *, loaded: bool) -> None:
        one = self.seat(world, 1, lock=LOCK, slot=PLACE)
        two = self.seat(world, 2, slot=PLACE)
        for _ in range(2):
            view = world.look(Need(keys=frozenset({LOCK, PLACE}), holders=frozenset({LOCK, PLACE})))
            assert self.places(view, LOCK) == (1, [one.id])
            assert self.places(view, PLACE) == (2, [two.id, one.id])
            assert [slot.run_id for slot in world.reader.slots(PLACE)] == [two.id, one.id]
            assert world.reader.run(one.id) == one
            world.reopen()
        ended = msgspec.structs.replace(one, status=RunStatus.FAILED, ended_ms=NOW)
        need = Need(runs=frozenset({one.id}))
        if loaded:
            keys = frozenset({LOCK, PLACE})
            need = msgspec.structs.replace(need, keys=keys, holders=keys)
        view = world.do(fact.RunFinished(ended), need=need)
        if loaded:
            assert self.places(view, LOCK) == (0, [])
            assert self.places(view, PLACE) == (1, [two.id])
        for _ in range(2):
            view = world.look(Need(keys=frozenset({LOCK, PLACE}), holders=frozenset({LOCK, PLACE})))
            assert self.places(view, LOCK) == (0, [])
            assert self.places(view, PLACE) == (1, [two.id])
            world.reopen()

    def test_a_place_may_be_taken_later(self, world: World) -> None:
        run = msgspec.structs.replace(run_number(1), slots=(PLACE,))
        world.do(fact.RunStarted(run, Item(run.id, MAIN, ItemKind.CALL, NOW, APP)))
        seated = msgspec.structs.replace(run, seated=True)
        world.do(fact.RunChanged(seated), fact.SlotTaken(Slot(PLACE, run.id, NOW)))
        for _ in range(2):
            assert world.reader.run(run.id) == seated
            assert world.look(everything(PLACE)).flow.taken(PLACE) == 1
            world.reopen()

    def test_a_place_in_a_backlog_is_left_before_the_end(self, world: World) -> None:
        waiting = msgspec.structs.replace(run_number(1), backlog=KEY, in_backlog=True)
        item = Item(waiting.id, MAIN, ItemKind.CALL, NOW, APP)
        world.do(fact.RunStarted(waiting, item), fact.SlotTaken(Slot(KEY, waiting.id, NOW)))
        for _ in range(2):
            assert world.reader.run(waiting.id) == waiting
            assert self.places(world.look(everything(KEY)), KEY) == (1, [waiting.id])
            world.reopen()
        called = msgspec.structs.replace(waiting, in_backlog=False)
        need = msgspec.structs.replace(everything(KEY), runs=frozenset({waiting.id}))
        view = world.do(fact.SlotLeft(KEY, waiting.id), fact.RunChanged(called), need=need)
        assert self.places(view, KEY) == (0, [])
        for _ in range(2):
            assert world.reader.run(waiting.id) == called
            assert self.places(world.look(everything(KEY)), KEY) == (0, [])
            world.reopen()
        ended = msgspec.structs.replace(called, status=RunStatus.FAILED, ended_ms=NOW)
        view = world.do(fact.RunFinished(ended), need=need)
        assert self.places(view, KEY) == (0, [])

    def test_a_place_never_taken_is_not_given_back(self, world: World) -> None:
        self.seat(world, 1, slot=PLACE)
        run = msgspec.structs.replace(run_number(2), slots=(PLACE,))
        world.do(fact.RunStarted(run, Item(run.id, MAIN, ItemKind.CALL, NOW, APP)))
        ended = msgspec.structs.replace(run, status=RunStatus.CANCELLED, ended_ms=NOW)
        need = msgspec.structs.replace(everything(PLACE), runs=frozenset({run.id}))
        view = world.do(fact.RunFinished(ended), need=need)
        assert self.places(view, PLACE) == (1, [run_id_of(1)])
        assert self.places(world.look(everything(PLACE)), PLACE) == (1, [run_id_of(1)])

    def test_calls_under_way_are_known_by_the_keys_they_count_under(self, world: World) -> None:
        one, two = world.begin(1), world.begin(2)
        lent = [
            msgspec.structs.replace(lease_of(run), keys=keys, granted_ms=NOW - number)
            for number, (run, keys) in enumerate([(one, (KEY,)), (two, (KEY, PLACE))])
        ]
        world.do(*(fact.ItemLeased(lease) for lease in lent))
        assert world.reader.leases_under(KEY) == lent[::-1]
        assert world.reader.leases_under(PLACE) == [lent[1]]
        assert world.reader.leases_under("other") == []

    # -- holds ----------------------------------------------------------------------------------

    def test_a_hold_opens_grows_and_closes(self, world: World) -> None:
        held = [Held(HOLD.key, 100 + n, event_id_of(n), NOW - n, "R.s") for n in range(3)]
        world.do(fact.HoldPut(HOLD), *(fact.EventHeld(one) for one in held[:2]))
        grown = msgspec.structs.replace(HOLD, count=3, due_ms=NOW + 1)
        world.do(fact.HoldPut(grown), fact.EventHeld(held[2]))
        for _ in range(2):
            flow = world.look(everything(HOLD.key)).flow
            assert (flow.hold(HOLD.key), flow.held(HOLD.key)) == (grown, held)
            assert world.reader.holds() == world.reader.holds(FUNCTION) == [grown]
            assert world.reader.holds("other") == []
            assert world.reader.holds_of_event(event_id_of(2)) == [grown]
            assert world.reader.holds_of_event(event_id_of(1)) == [grown]
            assert world.reader.held(HOLD.key) == held
            world.reopen()
        world.do(fact.HoldClosed(HOLD.key))
        for _ in range(2):
            flow = world.look(everything(HOLD.key)).flow
            assert (flow.hold(HOLD.key), flow.held(HOLD.key)) == (None, [])
            assert world.reader.holds() == []
            world.reopen()

    @pytest.mark.parametrize("loaded_first", [True, False])
    def test_a_hold_may_close_and_open_in_one_batch(
        self, world: World, *, loaded_first: bool
    ) -> None:
        first, second, third = (Held(HOLD.key, n, event_id_of(n), NOW) for n in range(3))
        world.do(fact.HoldPut(HOLD), fact.EventHeld(first))
        view = world.look(everything(HOLD.key) if loaded_first else Need())
        for record in (
            fact.EventHeld(second),
            fact.HoldClosed(HOLD.key),
            fact.HoldPut(HOLD),
            fact.EventHeld(third),
        ):
            view.apply(record)
        world.store.load(everything(HOLD.key), view)
        assert (view.flow.hold(HOLD.key), view.flow.held(HOLD.key)) == (HOLD, [third])
        world.store.write(view.changes)
        world.store.commit()
        world.store.keep(view.changes)
        flow = world.look(everything(HOLD.key)).flow
        assert (flow.hold(HOLD.key), flow.held(HOLD.key)) == (HOLD, [third])

    # -- drops, and what keeps events -----------------------------------------------------------

    def test_what_was_dropped_is_told_by_event_and_by_function(self, world: World) -> None:
        drops = [
            Dropped(event_id_of(n), FUNCTION, reason, NOW + n, "k", NOW + 50, "R")
            for n, reason in enumerate(DropReason)
        ]
        world.do(*(fact.EventDropped(one) for one in drops))
        for _ in range(2):
            assert [world.reader.dropped(one.event_id) for one in drops] == [[one] for one in drops]
            assert world.reader.dropped_of(FUNCTION, NOW + 1, 3) == drops[1:4]
            assert world.reader.dropped_of("other", 0, 3) == []
            world.reopen()
        world.do(fact.EventForgotten(event_id_of(1)))
        assert world.reader.dropped(event_id_of(1)) == []
        assert world.reader.dropped_of(FUNCTION, 0, 99) == [drops[0], *drops[2:]]

    def test_what_was_skipped_in_a_time_is_found_and_may_be_skipped_no_more(
        self, world: World
    ) -> None:
        reasons = (DropReason.PAUSED, DropReason.SINGLETON, DropReason.PAUSED, DropReason.PAUSED)
        drops = [
            Dropped(event_id_of(n), FUNCTION, reason, NOW + n) for n, reason in enumerate(reasons)
        ]
        other = msgspec.structs.replace(drops[0], function="other")
        world.do(*(fact.EventDropped(one) for one in (*drops, other)))
        asked = Skipped(FUNCTION, NOW, NOW + 3, (DropReason.PAUSED, DropReason.BACKLOG), 9)
        few = msgspec.structs.replace(asked, limit=1)
        again = msgspec.structs.replace(drops[0], at_ms=NOW + 9)
        for _ in range(2):
            found = world.look(Need(skipped=asked)).flow.skipped(asked)
            assert found == [drops[0], drops[2]]
            assert world.look(Need(skipped=few)).flow.skipped(few) == [drops[0]]
            world.reopen()
        forgotten = fact.DropForgotten(event_id_of(0), FUNCTION)
        view = world.do(forgotten, fact.EventDropped(again), need=Need(skipped=asked))
        assert view.flow.skipped(asked) == [drops[2]]
        for _ in range(2):
            assert world.reader.dropped(event_id_of(0)) == [other, again]
            assert world.look(Need(skipped=asked)).flow.skipped(asked) == [drops[2]]
            world.reopen()

    def test_an_event_in_a_hold_is_not_old(self, world: World) -> None:
        for number in range(4):
            world.do(fact.EventStored(event_number(number)))
        other = msgspec.structs.replace(HOLD, key="debounce:f", event_id=event_id_of(2))
        world.do(
            fact.HoldPut(HOLD),
            fact.HoldPut(other),
            fact.EventHeld(Held(HOLD.key, 1, event_id_of(0), NOW)),
        )
        need = Need(old=Old(NOW + 99, 9))
        assert world.look(need).old_events == (event_id_of(3),)
        world.do(fact.EventForgotten(event_id_of(3)))
        assert world.look(need).old_events == ()
        world.do(fact.HoldClosed(HOLD.key), fact.HoldClosed(other.key))
        assert set(world.look(need).old_events) == {event_id_of(n) for n in range(3)}

    def test_what_counts_and_waits_under_a_named_limit(self, world: World) -> None:
        run = run_number(1)
        keys = ("limit:gpu:", 'limit:mail:"amy"')
        parts = tuple(
            Part(PartKind.LIMIT, str(weight), key) for key, weight in zip(keys, (3, 1), strict=True)
        )
        lane = lane_name(APP, FUNCTION, parts)
        first = Item(run.id, MAIN, ItemKind.CALL, NOW, lane)
        world.do(fact.RunStarted(run, first))
        step = msgspec.structs.replace(first, key="s1", target="s1", due_ms=NOW + 1)
        world.do(fact.ItemAdded(step))
        plain = run_number(2)
        world.do(fact.RunStarted(plain, Item(plain.id, MAIN, ItemKind.CALL, NOW, APP)))
        assert world.reader.lanes_under("gpu") == world.reader.lanes_under("mail") == [lane]
        assert world.reader.lanes_under("gp") == []
        lease = msgspec.structs.replace(lease_of(run, "s1"), keys=keys, loads=(3, 1))
        world.do(fact.ItemLeased(lease), need=Need(runs=frozenset({run.id})))
        assert world.reader.leases_of_limit("gpu") == [lease]
        assert world.reader.leases_of_limit("gp") == []
        seen = world.look(Need(keys=frozenset(keys))).flow
        assert [seen.leased(key) for key in keys] == [3, 1]
        world.do(fact.ItemDone(run.id, "s1"), need=Need(runs=frozenset({run.id})))
        assert world.look(Need(keys=frozenset(keys))).flow.leased(keys[0]) == 0
        assert world.reader.leases_of_limit("gpu") == []

    def test_lost_slots_are_those_of_runs_that_are_over(self, world: World) -> None:
        runs = [world.begin(number) for number in range(3)]
        gone = run_id_of(9)
        for run_id in (*(run.id for run in runs), gone):
            world.do(fact.SlotTaken(Slot("k", run_id, NOW)))
        world.finish(runs[1], NOW)
        for _ in range(2):
            lost = [slot.run_id for slot in world.reader.lost_slots(10)]
            assert lost == [runs[1].id, gone]
            assert len(world.reader.lost_slots(1)) == 1
            world.reopen()
