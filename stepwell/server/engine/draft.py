"""A decision in the making: the records and actions so far, over a view that stays untouched.

Law: nothing here writes the view. What one part of a decision adds, later parts of the same
decision see through the draft.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias, TypeVar, cast

import msgspec

from stepwell.expr.dialect import (
    EvaluationError,
    Judged,
    Program,
    Reckoned,
    compile_expression,
)
from stepwell.expr.value import JSON
from stepwell.server.engine.flow_draft import FlowDraft
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.action import Action, Announce, Topic, Wake, Warn
from stepwell.server.engine.message.input import Answer
from stepwell.server.engine.message.need import Meeting, Need, merged
from stepwell.server.engine.moment import Moment
from stepwell.server.engine.name.lane import LIMITS, is_lane, lane_of
from stepwell.server.engine.row.event import judged_body
from stepwell.server.engine.row.run import (
    MAIN,
    STEP_WAITS,
    EventRow,
    Item,
    ItemKind,
    Run,
    Step,
    Wait,
    WaitKind,
)
from stepwell.server.engine.rules import Rules
from stepwell.server.engine.state.view import View
from stepwell.server.flow.key import Evaluate
from stepwell.wire.limit import EVENT_VALUES_MAX

Decoded: TypeAlias = Mapping[str, object]
Slot: TypeAlias = tuple[str, str]
_Thing = TypeVar("_Thing")


JUDGE_STEPS = 200
"""What it takes to judge a condition, whatever it says: to find it, and to write down the verdict.
"""
COMPILE_STEPS = 8
"""What it takes to compile a condition, for each of its characters."""
DECODED_BYTES = 64
"""Bytes of an event that are decoded in a step."""


class Decision(msgspec.Struct, frozen=True):
    """What becomes true, what would be nice to do, and what the submitter is told after commit;
    and how much work its conditions were."""

    records: tuple[fact.Record, ...]
    actions: tuple[Action, ...]
    answer: Answer
    steps: int = 0


class LookAgain(Exception):
    """A decision needs rows it had not asked for. Caught in `decide`, which returns the need."""

    def __init__(self, need: Need) -> None:
        super().__init__("the decision needs more rows")
        self.need = need


class LongWork(Exception):
    """A decision takes more work than its caller bears. Caught by the ledger, which has it made
    beside the event loop."""


class ItemFault(Exception):
    """One of many items could not be decided: a fault of ours. Caught in `decide`, which parks the
    item and decides about the others, so that one bad item never stops the server."""

    def __init__(self, slot: Slot, reason: str) -> None:
        super().__init__(f"{slot}: {reason}")
        self.slot = slot
        self.reason = reason


class Draft:
    """Collects what a decision says."""

    def __init__(
        self,
        view: View,
        now: Moment,
        rules: Rules,
        parked: Mapping[Slot, str] | None = None,
        *,
        steps_max: int | None = None,
    ) -> None:
        """`parked` are items to be put off, each with its fault. Beyond `steps_max`, `LongWork` is
        raised."""
        self._steps_max = steps_max
        self.parked = parked or {}
        self.view = view
        self.now = now
        self.rules = rules
        self.records: list[fact.Record] = []
        self.actions: list[Action] = []
        self.starts = 0
        self.steps = 0
        self.left_over = False
        self._places = 0
        self._runs: dict[str, Run] = {}
        self._items: dict[Slot, Item | None] = {}
        self._waits: dict[Slot, Wait | None] = {}
        self._opened: dict[str, list[Slot]] = {}
        self._saved: set[Slot] = set()
        self._dedups: dict[Slot, str] = {}
        self._ended: set[str] = set()
        self._bodies: dict[str, EventRow] = {}
        self._decoded: set[str] = set()
        self.emitted: list[EventRow] = []
        self._flow: FlowDraft | None = None

    @property
    def flow(self) -> FlowDraft:
        """What the decision says of flow control so far."""
        if self._flow is None:
            self._flow = FlowDraft(self.view.flow, self.add, LookAgain)
        return self._flow

    def add(self, record: fact.Record) -> None:
        """One more fact."""
        self.records.append(record)

    def decision(self, answer: Answer) -> Decision:
        """The finished decision."""
        return Decision(tuple(self.records), tuple(self.actions), answer, self.steps)

    def place(self) -> int:
        """The next position in the order of saved facts."""
        self._places += 1
        return self.now.place(self._places - 1)

    def wake(self, due_ms: int) -> None:
        """Somebody should ask for work at that time."""
        self.actions.append(Wake(due_ms))

    def _wake_for(self, item: Item) -> None:
        self.actions.append(Wake(item.due_ms, (item.run_id, item.key)))

    def announce(self, topic: Topic, subject: str, place: int = 0) -> None:
        """Tell whoever watches."""
        self.actions.append(Announce(topic, subject, place))

    # -- facts that later parts of the same decision must see -----------------------------------

    def start(self, run: Run, item: Item) -> None:
        """A run begins."""
        self.starts += 1
        self._runs[run.id] = run
        self._items[run.id, item.key] = item
        if run.dedup:
            self._dedups[run.function, run.dedup] = run.id
        self.add(fact.RunStarted(run, item))
        self._wake_for(item)
        self.announce(Topic.RUN_STARTED, run.id)

    def change(self, run: Run) -> None:
        """A run's bookkeeping is different."""
        self._runs[run.id] = run
        self.add(fact.RunChanged(run))

    def put(self, item: Item) -> None:
        """Something is to be done."""
        self._items[item.run_id, item.key] = item
        self.add(fact.ItemAdded(item))
        self._wake_for(item)

    def move(self, item: Item) -> None:
        """An item is free again, at another time or in another form."""
        self._items[item.run_id, item.key] = item
        self._let_go(item.run_id, item.key)
        self.add(fact.ItemMoved(item))
        self._wake_for(item)

    def done(self, run_id: str, key: str) -> None:
        """An item needs nothing any more."""
        item = self.item(run_id, key)
        self._items[run_id, key] = None
        if item is not None:
            self.leave_lane(item)
        self._let_go(run_id, key)
        self.add(fact.ItemDone(run_id, key))

    def _let_go(self, run_id: str, key: str) -> None:
        """A call that stood under limits is over: another may begin."""
        lease = self.view.lease(run_id, key)
        if lease is not None and lease.keys:
            self.wake(self.now.ms)

    def leave_lane(self, item: Item) -> None:
        """A call that waited for named limits waits no more: others may have its turn."""
        if not is_lane(item.queue) or self.view.lease(item.run_id, item.key) is not None:
            return
        for part in lane_of(item.queue).parts:
            if part.kind in LIMITS:
                self.add(fact.LanesRoused(part.key, 1))
                self.wake(self.now.ms)

    def save(self, step: Step) -> None:
        """Keep a step's result. Whatever else was under way for the step is over with it."""
        slot = (step.run_id, step.id)
        self._saved.add(slot)
        wait = self.wait(*slot)
        if wait is not None and wait.kind in STEP_WAITS:
            self.close(wait)
        if step.id != MAIN and self.item(*slot) is not None:
            self.done(*slot)
        self.add(fact.StepSaved(step))

    def open(self, wait: Wait) -> None:
        """A wait begins."""
        slot = (wait.run_id, wait.step_id)
        self._waits[slot] = wait
        self._opened.setdefault(wait.name, []).append(slot)
        self.add(fact.WaitOpened(wait))

    def close(self, wait: Wait) -> None:
        """A wait is over."""
        self._waits[wait.run_id, wait.step_id] = None
        self.add(fact.WaitClosed(wait))

    def end(self, run: Run) -> None:
        """A run is over, with all that hung on it."""
        for item in self.view.items_of(run.id):
            self.leave_lane(item)
        self._ended.add(run.id)
        self._runs[run.id] = run
        if run.places:
            self.flow.leave(run.id, run.places)
        if run.lane or run.slots:
            self.wake(self.now.ms)
        self.add(fact.RunFinished(run))
        self.announce(Topic.RUN_ENDED, run.id)

    def accept(self, event: EventRow) -> None:
        """An event is stored."""
        self._bodies[event.id] = event
        self.add(fact.EventStored(event))
        self.announce(Topic.EVENT_STORED, event.id)

    def emit(self, event: EventRow) -> None:
        """The engine itself sends an event. `decide` lets it meet its listeners at the end."""
        self.accept(event)
        self.emitted.append(event)

    def has_ended(self, run_id: str) -> bool:
        """Whether this very decision ended the run."""
        return run_id in self._ended

    # -- what the view shows, as this decision has changed it so far ------------------------------

    def item(self, run_id: str, key: str) -> Item | None:
        """An item of a run, or one of the engine's own."""
        slot = (run_id, key)
        return self._items[slot] if slot in self._items else self.view.item(run_id, key)

    def wait(self, run_id: str, step_id: str) -> Wait | None:
        """The wait of one step."""
        slot = (run_id, step_id)
        return self._waits[slot] if slot in self._waits else self.view.wait(run_id, step_id)

    def waits_of(self, run_id: str) -> list[Wait]:
        """Everything a run waits for."""
        mine = [wait for slot, wait in self._waits.items() if slot[0] == run_id]
        kept = [w for w in self.view.waits_of(run_id) if (run_id, w.step_id) not in self._waits]
        return kept + [wait for wait in mine if wait is not None]

    def is_saved(self, run_id: str, step_id: str) -> bool:
        """Whether a step has its result."""
        return (run_id, step_id) in self._saved or self.view.is_saved(run_id, step_id)

    def is_under_way(self, run_id: str, step_id: str) -> bool:
        """Whether something will end the step: an item, or a wait with its time-out."""
        return step_id != MAIN and self.item(run_id, step_id) is not None

    def is_idle(self, run_id: str) -> bool:
        """Whether nothing will ever move the run again."""
        mine = {slot: item for slot, item in self._items.items() if slot[0] == run_id}
        if any(item is not None and item.kind is not ItemKind.DEADLINE for item in mine.values()):
            return False
        return all(
            (run_id, item.key) in mine or item.kind is ItemKind.DEADLINE
            for item in self.view.items_of(run_id)
        )

    # -- what may need another look -------------------------------------------------------------

    def each(self, things: Iterable[_Thing], do: Callable[[_Thing], None]) -> None:
        """Do the same for each; what any of them needs to see is asked for together, so that the
        number of looks does not grow with the number of things."""
        wanted: list[Need] = []
        for thing in things:
            try:
                do(thing)
            except LookAgain as again:
                wanted.append(again.need)
        if wanted:
            raise LookAgain(merged(wanted))

    def run(self, run_id: str) -> Run | None:
        """A run, asking for it if nobody did."""
        if run_id in self._runs:
            return self._runs[run_id]
        if not self.view.sees_run(run_id):
            raise LookAgain(Need(runs=frozenset({run_id})))
        return self.view.run(run_id)

    def body(self, event_id: str) -> EventRow | None:
        """An event, whole, asking for it if nobody did."""
        mine = self._bodies.get(event_id)
        if mine is not None:
            return mine
        if not self.view.sees_body(event_id):
            raise LookAgain(Need(bodies=frozenset({event_id})))
        return self.view.body(event_id)

    def bodies(self, event_ids: Iterable[str]) -> list[EventRow]:
        """Those of these events that are there, asked for together."""
        found: list[EventRow] = []

        def see(event_id: str) -> None:
            event = self.body(event_id)
            if event is not None:
                found.append(event)

        self.each(event_ids, see)
        return found

    def dedup(self, function: str, key: str) -> str | None:
        """The run a function already started for an event key."""
        mine = self._dedups.get((function, key))
        if mine is not None:
            return mine
        if not self.view.sees_dedup(function, key):
            raise LookAgain(Need(dedups=frozenset({(function, key)})))
        return self.view.dedup(function, key)

    def meeting(self, event: EventRow, after: str = "") -> tuple[list[Wait], list[Wait]]:
        """The waits an event may end: those that this decision opened, and the others, in order of
        run and step, from a place in that order on."""
        if self.view.is_waited(event.name) and not self.view.sees_meeting(event.id, after):
            limit = self.rules.waits_per_decision_max
            asked = Meeting(event.id, event.name, judged_body(event.body), after, limit)
            raise LookAgain(Need(meetings=(asked,)))
        known = self.view.meeting(event.id, event.name, after)
        mine = [] if after else self._still_open(event.name)
        return (
            [w for w in mine if w.kind in _MEETABLE],
            [w for w in known if (w.run_id, w.step_id) not in self._waits],
        )

    def _still_open(self, name: str) -> list[Wait]:
        """Waits of a name that this decision opened and has not closed."""
        slots = self._opened.get(name, ())
        return [wait for slot in slots if (wait := self._waits[slot]) is not None]

    def signal(self, name: str) -> Wait | None:
        """Who waits for a signal."""
        mine = [w for w in self._still_open(name) if w.kind is WaitKind.SIGNAL]
        if mine:
            return mine[-1]
        if not self.view.sees_signal(name):
            raise LookAgain(Need(signals=frozenset({name})))
        known = self.view.signal(name)
        if known is not None and (known.run_id, known.step_id) in self._waits:
            return None
        return known

    def decoded(self, event: EventRow) -> Decoded:
        """An event as expressions see it, decoded once."""
        derived, key = self.view.derived, ("decoded", event.id)
        if key not in derived:
            derived[key] = msgspec.json.decode(judged_body(event.body), type=dict[str, object])
        if event.id not in self._decoded:
            if judged_body(event.body) is not event.body:
                text = f"event {event.id} ({event.name}) holds more than {EVENT_VALUES_MAX} values"
                self.actions.append(Warn(f"{text}: conditions and keys see none of its data"))
            # Counted however often a decision looks: it must come out the same.
            self._decoded.add(event.id)
            self._spend(len(event.body) // DECODED_BYTES)
        return cast("Decoded", derived[key])

    # -- what takes work ------------------------------------------------------------------------

    @property
    def is_tired(self) -> bool:
        """Whether this decision did as much work as one may: the rest is left to the next."""
        return self.steps >= self.rules.steps_per_decision_max

    def _spend(self, steps: int) -> None:
        self.steps += steps
        if self._steps_max is not None and self.steps > self._steps_max:
            raise LongWork

    def compiled(self, source: str) -> Program:
        """An expression that somebody waits by. Raises ExpressionError."""
        self._spend(COMPILE_STEPS * len(source))
        return compile_expression(source)

    def evaluating(self, event: EventRow) -> Evaluate:
        """What gives the values of expressions for an event, each evaluated once."""

        def evaluate(program: Program) -> JSON:
            derived = self.view.derived
            key = ("value", event.id, program.source, self.now.ms)
            if key not in derived:
                derived[key] = program.reckon({"event": self.decoded(event)}, self.now.ms)
            found = cast("Reckoned", derived[key])
            self._spend(found.steps)
            if found.is_too_costly:
                text = f"{program.source[:200]!r} has no value for event {event.id}"
                self.actions.append(Warn(f"{text}: {found.problem}"))
            if found.problem:
                raise EvaluationError(found.problem)
            return found.value

        return evaluate

    def holds(self, condition: Program, root: str, event: EventRow, asks: str) -> bool:
        """Whether a condition holds for an event, known as `root`; see `judged`."""
        return self.judged(condition, root, event, asks).holds

    def judged(self, condition: Program, root: str, event: EventRow, asks: str) -> Judged:
        """The same with what it took. What takes too much work, fails or gives no boolean is a no,
        of which the log is told, with `asks`, who asks."""
        derived = self.view.derived
        key = ("judged", event.id, root, condition.source, self.now.ms)
        if key not in derived:
            derived[key] = condition.judge({root: self.decoded(event)}, self.now.ms)
        judged = cast("Judged", derived[key])
        self._spend(JUDGE_STEPS + judged.steps)
        if judged.problem:
            text = f"{asks}: {condition.source[:200]!r} counts as false for event {event.id}"
            self.actions.append(Warn(f"{text}: {judged.problem}"))
        return judged


_MEETABLE = frozenset({WaitKind.EVENT, WaitKind.CANCEL})
