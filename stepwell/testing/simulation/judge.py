"""What is demanded of a simulated world, commit by commit and in the end. The only place that knows
the laws of the engine as a whole; `simulate.py` lists them."""

import hashlib
from collections.abc import Callable
from itertools import pairwise

import msgspec

from stepwell.server.engine.message.action import Announce, Topic
from stepwell.server.engine.row.run import EventRow, Item, ItemKind, Run
from stepwell.server.engine.state.changes import Changes
from stepwell.server.node import Node
from stepwell.server.store.port import Reader, RunFilter
from stepwell.testing.simulation.controls import FlowJudge, waits_for_nothing
from stepwell.testing.simulation.faults import Fault, Plan
from stepwell.testing.simulation.invariant import broken_by, broken_everywhere
from stepwell.testing.simulation.workload import DAY_MS, Fn
from stepwell.wire.identifier import ulid_time_ms

RUNS_MAX = 100_000
LATE_MS = 50
_TIMED = frozenset({ItemKind.SLEEP, ItemKind.TIMEOUT, ItemKind.FANOUT})


class Broken(AssertionError):
    """A law was broken; the text says which and where."""


class Told(msgspec.Struct, frozen=True):
    """What a simulation did: a digest of all that was committed when, one of what came out in the
    end, and how much of what."""

    trace: str
    outcome: str
    runs: dict[str, int]
    struck: dict[Fault, int]
    commits: int
    virtual_ms: int


class Judge:
    """Hears of every commit, call and step, and raises `Broken` at the end if a law was broken."""

    def __init__(
        self,
        now_ms: Callable[[], int],
        *,
        calm: bool,
        roomy: bool,
        keeps: bool,
        plan: Plan,
        flow: FlowJudge | None = None,
        alone: bool = True,
    ) -> None:
        """`now_ms` tells the time; `calm` says that nothing goes wrong, `roomy` that no call has to
        wait for a free place, `keeps` that no run is ever forgotten; `plan` is what is reported;
        `flow` judges flow control; `alone` says that one server has the database."""
        self._alone = alone
        self._flow = flow
        self._now_ms = now_ms
        self._calm = calm
        self._roomy = roomy and flow is None
        self._watches = calm and roomy and flow is not None
        self._keeps = keeps
        self._plan = plan
        self._trace = hashlib.sha256()
        self._steps: dict[tuple[str, str], bytes] = {}
        self._ended: dict[str, Run] = {}
        self._ran: dict[tuple[str, str], set[str]] = {}
        self._accepted: list[tuple[EventRow, int, str]] = []
        self._gone: set[str] = set()
        self._tried: set[tuple[str, str, int]] = set()
        self._items: dict[tuple[str, str], Item | None] = {}
        self.going: set[str] = set()
        self.problems: list[str] = []
        self.commits = 0

    def listen(self, node: Node) -> None:
        """Hear what is announced, too."""
        for topic in Topic:
            node.performer.subscribe(topic, self._announced)

    def _announced(self, announced: Announce) -> None:
        if announced.topic is Topic.RUN_ENDED and announced.subject not in self._ended:
            self._break(f"run {announced.subject} was announced as ended before it was")

    def _break(self, problem: str) -> None:
        self.problems.append(f"at {self._now_ms()}: {problem}")

    # -- what is heard --------------------------------------------------------------------------

    def kept(self, reader: Reader, changes: Changes) -> None:
        """The store has caught up with a commit: its rows can be judged."""
        touched = set(changes.runs) | set(changes.started)
        touched |= {slot[0] for slot in (*changes.items, *changes.waits, *changes.leases)}
        if not changes.durable:
            self._judge_punctuality(changes)
        for run_id in sorted(touched):
            self.problems += broken_by(reader, run_id)
        for problem in self._flow.kept(changes) if self._flow is not None else ():
            self._break(problem)

    def freed(self, changes: Changes) -> None:
        """Leases ended without a commit, because whoever had them is gone."""
        for problem in self._flow.kept(changes) if self._flow is not None else ():
            self._break(problem)

    def look(self, node: Node) -> None:
        """Some time has passed: nothing waits that need not, if nothing goes wrong."""
        if not self._watches or self._gone:
            return
        for problem in waits_for_nothing(node.reader, node.ledger.catalog, self._now_ms()):
            self._break(problem)

    def died(self) -> None:
        """The process is gone."""
        if self._flow is not None:
            self._flow.died()

    def committed(self, changes: Changes) -> None:
        """A commit was made."""
        self.commits += 1
        for problem in self._flow.committed(changes) if self._flow is not None else ():
            self._break(problem)
        for run in (*changes.started.values(), *changes.runs.values()):
            self._run_changed(run)
        self._judge_punctuality(changes)
        for slot, item in changes.items.items():
            if item is not None and item.kind is ItemKind.CALL:
                self._item_changed(item)
            self._items[slot] = item
        for step in changes.steps:
            slot = (step.run_id, step.id)
            self._note(f"step {step.run_id} {step.id} {step.op}")
            if slot in self._steps:
                self._break(f"step {step.id} of run {step.run_id} was saved twice")
            self._steps[slot] = step.memo
            if step.run_id in self._ended and step.run_id not in changes.ended:
                self._break(f"step {step.id} was saved after run {step.run_id} ended")

    def _judge_punctuality(self, changes: Changes) -> None:
        """Where nothing goes wrong and there is room, everything is done when it is due."""
        if not self._calm or not self._roomy or self._gone:
            return
        now_ms = self._now_ms()
        held = {slot for slot, le in changes.leases.items() if le and le.granted_ms == now_ms}
        over = {slot for slot, item in changes.items.items() if item is None}
        for slot in sorted(held | over):
            item = self._items.get(slot)
            if item is None or (slot not in held and item.kind not in _TIMED):
                continue
            if now_ms - item.due_ms > LATE_MS:
                late_ms = now_ms - item.due_ms
                self._break(f"{item.kind.name} {slot} was taken up {late_ms} ms late")

    def _item_changed(self, item: Item) -> None:
        run_id, key, attempt = item.run_id, item.key, item.attempt
        if attempt and (run_id, key, attempt - 1) not in self._tried:
            self._break(f"item {key!r} of run {run_id} is at attempt {attempt}, untried before")
        late_ms = item.due_ms - self._now_ms()
        started = any(slot[0] == run_id for slot in self._tried)
        if self._calm and not self._gone and started and not attempt and late_ms > 0:
            self._break(f"item {key!r} of run {run_id} waits {late_ms} ms for no reason")

    def _run_changed(self, run: Run) -> None:
        self._note(f"run {run.id} {run.function} {run.status.name} {run.pending} {run.again}")
        if run.id in self._ended:
            self._break(f"run {run.id} changed after its end")
        if run.ended:
            self._ended[run.id] = run
            self.going.discard(run.id)
        else:
            self.going.add(run.id)

    def _note(self, line: str) -> None:
        self._trace.update(f"{self._now_ms()} {line}\n".encode())

    def called(self, run_id: str, key: str, attempt: int) -> None:
        """A call begins."""
        self._note(f"call {run_id} {key} {attempt}")
        self._tried.add((run_id, key, attempt))
        ended = self._ended.get(run_id)
        # Another server may end it between the look at it and the call.
        if ended is not None and self._alone:
            self._break(f"run {run_id} was called after its end")

    def ran(self, run_id: str, step_id: str, nonce: str) -> None:
        """User code of a step ran to its end."""
        self._ran.setdefault((run_id, step_id), set()).add(nonce)

    def accepted(self, event: EventRow, number: int, key: str) -> None:
        """A user was told that an event is accepted."""
        self._accepted.append((event, number, key))

    def missing(self, gone: Fn) -> None:
        """A function was not registered for a while; events of that time may have passed it by."""
        self._gone.add(gone.slug)

    # -- the end --------------------------------------------------------------------------------

    def end(self, node: Node, functions: list[Fn]) -> None:
        """Judge what can be judged only now."""
        self.problems += broken_everywhere(node.reader)
        runs = {run.id: run for run in node.reader.runs(RunFilter(limit=RUNS_MAX))}
        for run in runs.values():
            self._judge_run(node, run)
        forgotten = self._ended.keys() - runs.keys()
        if forgotten and self._keeps:
            self._break(f"runs {sorted(forgotten)} are gone")
        for problem in self._flow.end() if self._flow is not None else ():
            self._break(problem)
        self._judge_events(functions)

    def _judge_run(self, node: Node, run: Run) -> None:
        if run != self._ended.get(run.id):
            self._break(f"run {run.id} reads {run}, but ended as {self._ended.get(run.id)}")
        if run.status.word == "Failed" and not run.output:
            self._break(f"run {run.id} failed for no recorded reason")
        for step in node.reader.steps(run.id):
            if step.memo != self._steps.get((run.id, step.id)):
                self._break(f"step {step.id} of run {run.id} has changed")
            if step.op == "StepRun" and step.memo.startswith(b'{"data":{"n":'):
                nonce = msgspec.json.decode(step.memo)["data"]["n"]
                if nonce not in self._ran.get((run.id, step.id), ()):
                    self._break(f"step {step.id} of run {run.id} has a result nobody made")

    def _judge_events(self, functions: list[Fn]) -> None:
        by_event: dict[tuple[str, str], int] = {}
        keys: dict[tuple[str, str], list[int]] = {}
        for run in self._ended.values():
            # A step that invokes may be one of several whose events were held together.
            if not run.original and (not run.parent or run.batch or len(run.event_ids) > 1):
                for event_id in run.event_ids:
                    slot = (run.function, event_id)
                    by_event[slot] = by_event.get(slot, 0) + 1
            keys.setdefault((run.function, run.dedup), []).append(ulid_time_ms(run.id))
        for event, number, key in self._accepted:
            for fn in functions:
                count = by_event.get((fn.slug, event.id), 0)
                wanted = fn.wants(event.name, number)
                if count > wanted:
                    self._break(f"event {event.id} ({event.name}) has {count} runs of {fn.slug}")
                dropped = key and (fn.slug, key) in keys
                if self._flow is not None:
                    # Which events of one sender's id were held, nobody remembers.
                    dropped = bool(key) or (fn.slug, event.id) in self._flow.dropped
                if wanted and not count and not dropped and fn.slug not in self._gone:
                    self._break(f"event {event.id} ({event.name}) has no run of {fn.slug}")

        self._judge_keys(keys)

    def _judge_keys(self, keys: dict[tuple[str, str], list[int]]) -> None:
        """A sender's id starts a function once a day."""
        for (function, key), times in keys.items():
            apart = [after - before for before, after in pairwise(sorted(times))]
            if key and any(ms < DAY_MS for ms in apart):
                self._break(f"the event id {key!r} started {function} more than once")

    def _outcome(self) -> str:
        """What every run came to, whenever it did."""
        came: dict[str, list[str]] = {}
        for (run_id, step_id), memo in self._steps.items():
            failed = memo.startswith(b'{"error"')
            came.setdefault(run_id, []).append(f"{step_id} {'failed' if failed else 'done'}")
        lines = [
            f"{run.function} {run.status.word} {sorted(came.get(run.id, []))}"
            for run in self._ended.values()
        ]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def told(self) -> Told:
        """The report. Raises `Broken` if there is anything to complain of."""
        if self.problems:
            raise Broken("\n".join(self.problems[:20]))
        counts: dict[str, int] = {}
        for run in self._ended.values():
            counts[run.status.word] = counts.get(run.status.word, 0) + 1
        return Told(
            self._trace.hexdigest(),
            self._outcome(),
            counts,
            dict(self._plan.struck),
            self.commits,
            self._now_ms(),
        )
