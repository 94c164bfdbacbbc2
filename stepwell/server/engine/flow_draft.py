"""What a decision says of flow control so far, over a view that stays untouched.

The part of a draft that functions without flow control never touch.
"""

from collections.abc import Callable

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import Need
from stepwell.server.engine.row.flow import Dropped, FlowKey, Held, Hold, Slot
from stepwell.server.engine.row.run import Lease
from stepwell.server.engine.state.flow_view import FlowView


class FlowDraft:
    """Keys, places and holds, as this decision has changed them."""

    def __init__(
        self, view: FlowView, add: Callable[[fact.Record], None], look: Callable[[Need], Exception]
    ) -> None:
        """`add` takes facts; `look` makes what is raised to see more rows."""
        self._view = view
        self._add = add
        self._look = look
        self._rows: dict[str, FlowKey] = {}
        self._seats: dict[str, dict[str, Slot]] = {}
        self._left: dict[str, set[str]] = {}
        self._lent: dict[str, int] = {}
        self._holds: dict[str, Hold | None] = {}
        self._joined: dict[str, list[Held]] = {}
        self._closed: set[str] = set()

    # -- keys -----------------------------------------------------------------------------------

    def row(self, key: str) -> FlowKey | None:
        """What is remembered of a key."""
        if key in self._rows:
            return self._rows[key]
        self._see(key)
        return self._view.row(key)

    def put(self, row: FlowKey) -> None:
        """Remember something of a key."""
        self._rows[row.id] = row
        self._add(fact.FlowKeyPut(row))

    def _see(self, key: str) -> None:
        if not self._view.sees_key(key):
            raise self._look(Need(keys=frozenset({key})))

    # -- places ---------------------------------------------------------------------------------

    def taken(self, key: str) -> int:
        """How many runs have a place under a key."""
        self._see(key)
        gone = len(self._left.get(key, ()))
        return self._view.taken(key) + len(self._seats.get(key, ())) - gone

    def holders(self, key: str) -> list[Slot]:
        """The runs with a place under a key, the longest there first."""
        if not self._view.sees_holders(key):
            raise self._look(Need(holders=frozenset({key})))
        gone = self._left.get(key, ())
        kept = [slot for slot in self._view.holders(key) if slot.run_id not in gone]
        return [*kept, *self._seats.get(key, {}).values()]

    def take(self, slot: Slot) -> None:
        """A run takes a place under a key."""
        self._seats.setdefault(slot.key, {})[slot.run_id] = slot
        self._add(fact.SlotTaken(slot))

    def leave(self, run_id: str, keys: tuple[str, ...]) -> None:
        """A run has ended: its places are free."""
        for key in keys:
            if self._seats.get(key, {}).pop(run_id, None) is None:
                self._left.setdefault(key, set()).add(run_id)

    def give_back(self, run_id: str, key: str) -> None:
        """A run needs a place no more, and goes on."""
        self.leave(run_id, (key,))
        self._add(fact.SlotLeft(key, run_id))

    # -- drops ----------------------------------------------------------------------------------

    def drop(self, dropped: Dropped) -> None:
        """An event starts no run."""
        self._add(fact.EventDropped(dropped))

    def forget_drop(self, dropped: Dropped) -> None:
        """It is asked anew whether an event starts a run."""
        self._add(fact.DropForgotten(dropped.event_id, dropped.function))

    # -- calls ----------------------------------------------------------------------------------

    def leased(self, key: str) -> int:
        """How much the calls under way count under a key."""
        self._see(key)
        return self._view.leased(key) + self._lent.get(key, 0)

    def lend(self, lease: Lease) -> None:
        """A call under keys begins."""
        for key, load in lease.counts:
            self._lent[key] = self._lent.get(key, 0) + load

    # -- holds ----------------------------------------------------------------------------------

    def hold(self, key: str) -> Hold | None:
        """An open hold."""
        if key in self._holds:
            return self._holds[key]
        if not self._view.sees_hold(key):
            raise self._look(Need(holds=frozenset({key})))
        return self._view.hold(key)

    def put_hold(self, hold: Hold) -> None:
        """A start is put off."""
        self._holds[hold.key] = hold
        self._add(fact.HoldPut(hold))

    def held(self, key: str) -> list[Held]:
        """The events in a hold, in the order they came."""
        if key in self._closed:
            return list(self._joined.get(key, ()))
        if not self._view.sees_held(key):
            raise self._look(Need(held=frozenset({key})))
        return [*self._view.held(key), *self._joined.get(key, ())]

    def join(self, held: Held) -> None:
        """One more event is in a hold."""
        self._joined.setdefault(held.hold, []).append(held)
        self._add(fact.EventHeld(held))

    def close(self, key: str) -> None:
        """A hold is over."""
        self._holds[key] = None
        self._joined.pop(key, None)
        self._closed.add(key)
        self._add(fact.HoldClosed(key))
