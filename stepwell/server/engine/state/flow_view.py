"""The rows of flow control that a decision can see, and how each record changes them.

The part of a view that functions without flow control never touch. Law: as for `view.View`.
"""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import Live, Skipped
from stepwell.server.engine.name.lane import LaneSeen
from stepwell.server.engine.row.flow import Dropped, FlowKey, Held, Hold, Slot
from stepwell.server.engine.row.run import Item, Lease
from stepwell.server.engine.state.changes import Changes

FlowRecord: TypeAlias = (
    fact.FlowKeyPut
    | fact.FlowKeyForgotten
    | fact.SlotTaken
    | fact.SlotLeft
    | fact.HoldPut
    | fact.EventHeld
    | fact.HoldClosed
    | fact.EventDropped
    | fact.DropForgotten
    | fact.LaneServed
    | fact.LaneRested
    | fact.LanesRoused
)


class KeySeen(msgspec.Struct, frozen=True, gc=False):
    """What a store knows of a key: its row, how many runs have a place under it, how much the calls
    under way count under it, and which lane that rests behind it is roused first, of each bound."""

    row: FlowKey | None
    taken: int = 0
    leased: int = 0
    firsts: tuple[LaneSeen, ...] = ()


UNSEEN = KeySeen(None)


class FlowView:
    """Rows by key. Filled by `see_*`, changed by `apply`."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._keys: dict[str, KeySeen] = {}
        self._rows: dict[str, FlowKey | None] = {}
        self._holders: dict[str, tuple[Slot, ...]] = {}
        self._holds: dict[str, Hold | None] = {}
        self._held: dict[str, tuple[Held, ...]] = {}
        self._joined: dict[str, list[Held]] = {}
        self._taken: dict[str, dict[str, Slot]] = {}
        self._left: dict[str, set[str]] = {}
        self._lent: dict[str, int] = {}
        self._items: dict[str, tuple[Item, ...]] = {}
        self._next_ms: dict[str, int | None] = {}
        self._live: dict[Live, tuple[str, ...]] = {}
        self._skipped: dict[Skipped, tuple[Dropped, ...]] = {}
        self.lanes: tuple[LaneSeen, ...] = ()
        self.old_keys: tuple[str, ...] = ()

    # -- what a decision reads ------------------------------------------------------------------

    def sees_key(self, key: str) -> bool:
        """Whether the key was asked for."""
        return key in self._keys

    def row(self, key: str) -> FlowKey | None:
        """What is remembered of a key."""
        return self._rows[key] if key in self._rows else self._keys[key].row

    def taken(self, key: str) -> int:
        """How many runs have a place under a key."""
        come, gone = self._taken.get(key, ()), self._left.get(key, ())
        return self._keys[key].taken + len(come) - len(gone)

    def leased(self, key: str) -> int:
        """How much the calls under way count under a key."""
        return self._keys[key].leased + self._lent.get(key, 0)

    def firsts(self, key: str) -> tuple[LaneSeen, ...]:
        """The lanes behind a key that have waited longest, one of each bound, as far as the batch
        began with them."""
        return self._keys[key].firsts

    def sees_items(self, queue: str) -> bool:
        """Whether the items of a lane were asked for."""
        return queue in self._items

    def items(self, queue: str) -> tuple[Item, ...]:
        """What a lane has to do now, in order, as far as it was asked for."""
        return self._items[queue]

    def next_ms(self, queue: str) -> int | None:
        """When the item of a lane is due that comes after those that were asked for."""
        return self._next_ms[queue]

    def sees_holders(self, key: str) -> bool:
        """Whether the runs with a place under a key were asked for."""
        return key in self._holders

    def holders(self, key: str) -> list[Slot]:
        """The runs with a place under a key, the longest there first."""
        gone = self._left.get(key, ())
        kept = [slot for slot in self._holders[key] if slot.run_id not in gone]
        return [*kept, *self._taken.get(key, {}).values()]

    def sees_live(self, live: Live) -> bool:
        """Whether these runs were asked for."""
        return live in self._live

    def live(self, live: Live) -> tuple[str, ...]:
        """The ids of a function's runs that have not ended."""
        return self._live[live]

    def sees_skipped(self, skipped: Skipped) -> bool:
        """Whether these were asked for."""
        return skipped in self._skipped

    def skipped(self, skipped: Skipped) -> list[Dropped]:
        """Events that started no run of a function."""
        known = self._skipped[skipped]
        return [d for d in known if (d.event_id, d.function) not in self._changes.undropped]

    def sees_hold(self, key: str) -> bool:
        """Whether the hold was asked for."""
        return key in self._holds

    def hold(self, key: str) -> Hold | None:
        """An open hold."""
        return self._holds[key]

    def sees_held(self, key: str) -> bool:
        """Whether the events in a hold were asked for."""
        return key in self._held

    def held(self, key: str) -> list[Held]:
        """The events in a hold, in the order they came."""
        kept = () if key in self._changes.closed_holds else self._held[key]
        return [*kept, *self._joined.get(key, ())]

    # -- what a store fills in ------------------------------------------------------------------

    def see_key(self, key: str, seen: KeySeen) -> None:
        """A key."""
        self._keys.setdefault(key, seen)

    def see_items(self, queue: str, items: Iterable[Item], next_ms: int | None) -> None:
        """What a lane has to do now, in order, and when the item after these is due."""
        self._items.setdefault(queue, tuple(items))
        self._next_ms.setdefault(queue, next_ms)

    def see_holders(self, key: str, slots: Iterable[Slot]) -> None:
        """The runs with a place under a key, the longest there first."""
        self._holders.setdefault(key, tuple(slots))

    def see_live(self, live: Live, run_ids: Iterable[str]) -> None:
        """The ids of a function's runs that have not ended."""
        self._live.setdefault(live, tuple(run_ids))

    def see_skipped(self, skipped: Skipped, dropped: Iterable[Dropped]) -> None:
        """Events that started no run of a function."""
        self._skipped.setdefault(skipped, tuple(dropped))

    def see_hold(self, key: str, hold: Hold | None) -> None:
        """A hold."""
        self._holds.setdefault(key, hold)

    def see_held(self, key: str, held: Iterable[Held]) -> None:
        """The events in a hold, in the order they came."""
        self._held.setdefault(key, tuple(held))

    # -- what a record does ---------------------------------------------------------------------

    def apply(self, record: FlowRecord) -> None:
        """Make a record true in this view, and remember the rows it changed."""
        match record:
            case fact.FlowKeyPut():
                self._rows[record.key.id] = record.key
                self._changes.keys[record.key.id] = record.key
            case fact.FlowKeyForgotten():
                self._rows[record.id] = None
                self._changes.keys[record.id] = None
            case fact.SlotTaken():
                slot = record.slot
                self._taken.setdefault(slot.key, {})[slot.run_id] = slot
                self._changes.slots[slot.key, slot.run_id] = slot
            case fact.SlotLeft():
                self.leave(record.run_id, (record.key,))
            case fact.HoldPut():
                self._holds[record.hold.key] = record.hold
                self._changes.holds[record.hold.key] = record.hold
            case fact.EventHeld():
                self._joined.setdefault(record.held.hold, []).append(record.held)
                self._changes.held.append(record.held)
            case fact.HoldClosed():
                self._close(record.key)
            case fact.EventDropped():
                self._changes.dropped.append(record.dropped)
            case fact.DropForgotten():
                self._changes.undropped.append((record.event_id, record.function))
            case fact.LaneServed() | fact.LaneRested() | fact.LanesRoused():
                self._changes.lanes.append(record)

    def _close(self, key: str) -> None:
        changes = self._changes
        self._holds[key] = None
        changes.holds[key] = None
        changes.closed_holds.add(key)
        if self._joined.pop(key, None):
            changes.held[:] = [held for held in changes.held if held.hold != key]

    def lend(self, lease: Lease) -> None:
        """A call under keys begins."""
        for key, load in lease.counts:
            self._lent[key] = self._lent.get(key, 0) + load

    def free(self, lease: Lease) -> None:
        """A call under keys is over."""
        for key, load in lease.counts:
            self._lent[key] = self._lent.get(key, 0) - load
        self._changes.freed += lease.keys

    def leave(self, run_id: str, keys: tuple[str, ...]) -> None:
        """A run has ended, or lets go of these: its places are free."""
        for key in keys:
            self._changes.slots[key, run_id] = None
            self._changes.freed.append(key)
            if self._taken.get(key, {}).pop(run_id, None) is None:
                self._left.setdefault(key, set()).add(run_id)
