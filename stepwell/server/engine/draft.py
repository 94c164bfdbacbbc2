"""A decision in the making: the records and actions so far, over a view that stays untouched.

Law: nothing here writes the view. What one part of a decision adds, later parts of the same
decision see through the draft.
"""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from stepwell.server.engine import record as fact
from stepwell.server.engine.action import Action, Announce, Topic, Wake
from stepwell.server.engine.input import Answer
from stepwell.server.engine.moment import Moment
from stepwell.server.engine.need import Meeting, Need
from stepwell.server.engine.row import EventRow, Item, Run, Wait, WaitKind
from stepwell.server.engine.rules import Rules
from stepwell.server.engine.view import View

Decoded: TypeAlias = Mapping[str, object]


class Decision(msgspec.Struct, frozen=True):
    """What becomes true, what would be nice to do, and what the submitter is told after commit."""

    records: tuple[fact.Record, ...]
    actions: tuple[Action, ...]
    answer: Answer


class LookAgain(Exception):
    """A decision needs rows it had not asked for. Caught in `decide`, which returns the need."""

    def __init__(self, need: Need) -> None:
        super().__init__("the decision needs more rows")
        self.need = need


class Draft:
    """Collects what a decision says."""

    def __init__(self, view: View, now: Moment, rules: Rules) -> None:
        self.view = view
        self.now = now
        self.rules = rules
        self.records: list[fact.Record] = []
        self.actions: list[Action] = []
        self.starts = 0
        self._places = 0
        self._opened: list[Wait] = []
        self._runs: dict[str, Run] = {}
        self._dedups: dict[tuple[str, str], str] = {}
        self._ended: set[str] = set()
        self._touched: set[tuple[str, str]] = set()
        self._decoded: dict[str, Decoded] = {}
        self.emitted: list[EventRow] = []

    def add(self, record: fact.Record) -> None:
        """One more fact."""
        self.records.append(record)

    def decision(self, answer: Answer) -> Decision:
        """The finished decision."""
        return Decision(tuple(self.records), tuple(self.actions), answer)

    def place(self) -> int:
        """The next position in the order of saved facts."""
        self._places += 1
        return self.now.place(self._places - 1)

    def wake(self, due_ms: int) -> None:
        """Somebody should ask for work at that time."""
        self.actions.append(Wake(due_ms))

    def announce(self, topic: Topic, subject: str) -> None:
        """Tell whoever watches."""
        self.actions.append(Announce(topic, subject))

    # -- facts that later parts of the same decision must see -----------------------------------

    def start(self, run: Run, item: Item) -> None:
        """A run begins."""
        self.starts += 1
        self._runs[run.id] = run
        if run.dedup:
            self._dedups[run.function, run.dedup] = run.id
        self.add(fact.RunStarted(run, item))
        self.wake(item.due_ms)
        self.announce(Topic.RUN_STARTED, run.id)

    def change(self, run: Run) -> None:
        """A run's bookkeeping is different."""
        self._runs[run.id] = run
        self.add(fact.RunChanged(run))

    def open(self, wait: Wait) -> None:
        """A wait begins."""
        self._opened.append(wait)
        self.add(fact.WaitOpened(wait))

    def close(self, wait: Wait) -> None:
        """A wait is over."""
        self._touched.add((wait.run_id, wait.step_id))
        self.add(fact.WaitClosed(wait))

    def end(self, run: Run) -> None:
        """A run is over, with all that hung on it."""
        self._ended.add(run.id)
        self._runs[run.id] = run
        self.add(fact.RunFinished(run))
        self.announce(Topic.RUN_ENDED, run.id)

    def emit(self, event: EventRow) -> None:
        """The engine itself sends an event. `decide` lets it meet its listeners at the end."""
        self.add(fact.EventStored(event))
        self.emitted.append(event)

    def has_ended(self, run_id: str) -> bool:
        """Whether this very decision ended the run."""
        return run_id in self._ended

    # -- what may need another look -------------------------------------------------------------

    def run(self, run_id: str) -> Run | None:
        """A run, asking for it if nobody did."""
        if run_id in self._runs:
            return self._runs[run_id]
        if not self.view.sees_run(run_id):
            raise LookAgain(Need(runs=frozenset({run_id})))
        return self.view.run(run_id)

    def body(self, event_id: str) -> EventRow | None:
        """An event, whole, asking for it if nobody did."""
        if not self.view.sees_body(event_id):
            raise LookAgain(Need(bodies=frozenset({event_id})))
        return self.view.body(event_id)

    def dedup(self, function: str, key: str) -> str | None:
        """The run a function already started for an event key."""
        mine = self._dedups.get((function, key))
        if mine is not None:
            return mine
        if not self.view.sees_dedup(function, key):
            raise LookAgain(Need(dedups=frozenset({(function, key)})))
        return self.view.dedup(function, key)

    def meeting(self, event: EventRow, after: str = "") -> list[Wait]:
        """The waits an event may end, in order of run and step, from a place in that order on."""
        if event.name in self.view.waited and not self.view.sees_meeting(event.id, after):
            raise LookAgain(Need(meetings=(Meeting(event.id, event.name, event.body, after),)))
        known = self.view.meeting(event.id, event.name, after)
        known += [w for w in self._opened if w.name == event.name and w.kind in _MEETABLE]
        return [
            wait
            for wait in known
            if (wait.run_id, wait.step_id) not in self._touched and wait.run_id not in self._ended
        ]

    def signal(self, name: str) -> Wait | None:
        """Who waits for a signal."""
        mine = [w for w in self._opened if w.name == name and w.kind is WaitKind.SIGNAL]
        if mine:
            return mine[-1]
        if not self.view.sees_signal(name):
            raise LookAgain(Need(signals=frozenset({name})))
        known = self.view.signal(name)
        if known is not None and (known.run_id, known.step_id) in self._touched:
            return None
        return known

    def decoded(self, event: EventRow) -> Decoded:
        """An event as expressions see it, decoded once."""
        known = self._decoded.get(event.id)
        if known is None:
            known = msgspec.json.decode(event.body, type=dict[str, object])
            self._decoded[event.id] = known
        return known


_MEETABLE = frozenset({WaitKind.EVENT, WaitKind.CANCEL})
