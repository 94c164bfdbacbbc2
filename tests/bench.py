"""The engine on a bench: inputs decided one by one over the reference store, without a loop.

What the ledger does with a batch of one, and nothing else: load, decide, look again, apply, write,
commit, keep. Time stands still until somebody moves it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from stepwell.server.engine.decide import decide, needs, still_true
from stepwell.server.engine.draft import Decision
from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.action import Action
from stepwell.server.engine.message.input import Answer, Done, Input, Job, Outcome, Work
from stepwell.server.engine.message.need import Need, merged
from stepwell.server.engine.moment import TICKS_PER_MS, Moment
from stepwell.server.engine.row.event import event_row
from stepwell.server.engine.row.run import (
    AppRow,
    EventRow,
    FunctionRow,
    Item,
    Lease,
    Run,
    RunStatus,
    Step,
    Wait,
    WaitKind,
)
from stepwell.server.engine.rules import DEFAULT, Rules
from stepwell.server.engine.state.view import View
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import RunFilter
from stepwell.wire.event import Event
from stepwell.wire.failure import Failure, encode_failure
from stepwell.wire.function_config import Cancel, FunctionConfig, Trigger, encode_function
from stepwell.wire.identifier import derived_ulid, step_hash
from stepwell.wire.operation import Operation, StepPlanned, StepRun

NOW_MS = 1_800_000_000_000
APP = "shop"
SEED = "01JABCDEFGHJKMNPQRSTVW"
LOOKS_MAX = 32


def function(
    name: str = "work",
    *,
    event: str = "",
    condition: str = "",
    cron: str = "",
    retries: int | None = None,
    cancel: tuple[Cancel, ...] = (),
    triggers: tuple[Trigger, ...] = (),
    app: str = APP,
) -> FunctionRow:
    """A function `shop-<name>`, triggered by `event` or `cron`."""
    if not triggers and cron:
        triggers = (Trigger(cron=cron),)
    elif not triggers and event:
        triggers = (Trigger(event=event, expression=condition),)
    config = FunctionConfig(
        id=f"{app}-{name}",
        name=name,
        url="http://app.test/api",
        triggers=triggers,
        retries=retries,
        cancel=cancel,
    )
    return FunctionRow(config.id, app, name, encode_function(config), 1, NOW_MS)


def app_row(name: str = APP, checksum: str = "1") -> AppRow:
    return AppRow(name, f"http://{name}.test/api", "serve", "py", "", "", checksum, NOW_MS)


def broke(message: str = "nope", *, no_retry: bool = False, delay_ms: int | None = None) -> Outcome:
    failure = Failure(name="ValueError", message=message)
    return given_.Broke(failure, encode_failure(failure), delay_ms, no_retry, "status 500")


def progressed(*operations: Operation, version: int = 2, no_retry: bool = False) -> Outcome:
    return given_.Progressed(operations, version, None, no_retry)


def returned(value: object = None) -> Outcome:
    return given_.Returned(msgspec.json.encode(value))


def step_run(name: str, value: object = None, mode: str = "") -> StepRun:
    data = msgspec.Raw(msgspec.json.encode(value))
    return StepRun(id=step_hash(name), name=name, data=data, parallel_mode=mode)


def planned(name: str, mode: str = "") -> StepPlanned:
    return StepPlanned(id=step_hash(name), name=name, parallel_mode=mode)


@dataclass
class Bench:
    """One engine, one store, one clock."""

    rules: Rules = DEFAULT
    store: MemoryStore = field(default_factory=MemoryStore)
    now_ms: int = NOW_MS
    tick: int = 0
    events_sent: int = 0
    records: list[fact.Record] = field(default_factory=list[fact.Record])
    actions: list[Action] = field(default_factory=list[Action])
    looks: int = 0
    next_due_ms: int | None = None

    def __post_init__(self) -> None:
        self.catalog = self.store.catalog()
        self.reader = self.store.reader()

    # -- the ledger's part ----------------------------------------------------------------------

    def submit(self, given: Input) -> Answer:
        """Decide one input and make it true."""
        return self.submit_all([given])[0]

    def submit_all(self, batch: list[Input]) -> list[Answer]:
        """Decide several inputs in one commit, as the ledger does with what waits together."""
        view = View(self.catalog, self.store.waited)
        moments = [self.moment() for _ in batch]
        wanted = (needs(g, m, self.catalog) for g, m in zip(batch, moments, strict=True))
        self.store.load(merged(wanted), view)
        self.records, self.actions, answers = [], [], []
        for given, moment in zip(batch, moments, strict=True):
            decision = self.decided(view, given, moment)
            for record in decision.records:
                view.apply(record)
            self.records += decision.records
            self.actions += decision.actions
            answers.append(decision.answer)
        self.store.write(view.changes)
        self.store.commit()
        self.store.keep(view.changes)
        self.catalog = view.catalog
        return [still_true(answer, view) for answer in answers]

    def decided(self, view: View, given: Input, moment: Moment) -> Decision:
        """Decide over a view, looking again as often as it takes. Changes only what is seen."""
        for self.looks in range(1, LOOKS_MAX + 1):
            decision = decide(view, given, moment, self.rules)
            if isinstance(decision, Decision):
                return decision
            assert isinstance(decision, Need)
            self.store.load(decision, view)
        raise AssertionError(f"{type(given).__name__} asked for rows without end")

    def foreseen(self, given: Input, moment: Moment | None = None) -> Decision:
        """What would be decided, without making it true."""
        view = View(self.catalog, self.store.waited)
        moment = self.moment() if moment is None else moment
        self.store.load(needs(given, moment, self.catalog), view)
        return self.decided(view, given, moment)

    def moment(self) -> Moment:
        self.tick = max(self.tick + 1, self.now_ms * TICKS_PER_MS)
        return Moment(self.now_ms, self.tick)

    def restart(self) -> None:
        """The process dies and comes back: rows stay, leases are gone."""
        self.store = MemoryStore(self.store.disk)
        self.catalog = self.store.catalog()
        self.reader = self.store.reader()

    def pass_time(self, ms: int) -> None:
        self.now_ms += ms

    # -- what tests do --------------------------------------------------------------------------

    def register(self, *functions: FunctionRow, checksum: str = "1", app: str = APP) -> Done:
        given = given_.AppRegistered(app_row(app, checksum), functions)
        answer = self.submit(given)
        assert isinstance(answer, Done)
        return answer

    def event(self, name: str, data: object = None, key: str = "", ts: int = 0) -> EventRow:
        self.events_sent += 1
        event_id = derived_ulid(self.now_ms, "event", str(self.events_sent))
        raw = msgspec.Raw(msgspec.json.encode({} if data is None else data))
        return event_row(event_id, Event(name, raw, key, ts or self.now_ms), self.now_ms)

    def send(self, name: str, data: object = None, key: str = "", ts: int = 0) -> str:
        """One event arrives. Returns our id of it."""
        event = self.event(name, data, key, ts)
        self.submit(given_.EventsReceived((event,)))
        return event.id

    def claim(self, limit: int = 100, capacity: int = 100, queue: str = APP) -> list[Job]:
        """Whatever is due now. The engine's own work is done on the way."""
        asked = given_.WorkAsked(SEED, ((queue, capacity), ("@gateway", capacity)), limit, 60_000)
        work = self.submit(asked)
        assert isinstance(work, Work)
        self.next_due_ms = work.next_due_ms
        return list(work.jobs)

    def job(self) -> Job:
        """The one call that is due."""
        jobs = self.claim()
        assert len(jobs) == 1, [job.item for job in jobs]
        return jobs[0]

    def reply(self, job: Job, outcome: Outcome) -> Done:
        lease = job.lease
        answer = self.submit(given_.ReplyReceived(lease.id, lease.run_id, lease.key, outcome))
        assert isinstance(answer, Done)
        return answer

    def submit_extension(self, job: Job) -> Done:
        """The holder of a job is still at work."""
        lease = job.lease
        answer = self.submit(given_.LeaseExtended(lease.id, lease.run_id, lease.key, 60_000))
        assert isinstance(answer, Done)
        return answer

    def answer(self, outcome: Outcome) -> Run:
        """Answer the one call that is due, and give the run as it is then."""
        job = self.job()
        assert self.reply(job, outcome).verdict is given_.Verdict.APPLIED
        return self.run(job.run.id)

    def begin(self, *functions: FunctionRow, data: object = None) -> Run:
        """Register `functions` (or one on `go`), send `go`, and give the one run it starts."""
        self.register(*(functions or (function(event="go"),)))
        event_id = self.send("go", data)
        runs = self.reader.runs_of_event(event_id)
        assert len(runs) == 1
        return runs[0]

    # -- what tests look at ---------------------------------------------------------------------

    def run(self, run_id: str) -> Run:
        run = self.store.disk.runs.get(run_id)
        assert run is not None
        return run

    def runs(self) -> list[Run]:
        return self.reader.runs(RunFilter(limit=10_000))[::-1]

    def status(self, run_id: str) -> RunStatus:
        return self.run(run_id).status

    def item(self, run_id: str, key: str = "") -> Item | None:
        return self.store.disk.items.get((run_id, key))

    def lease(self, run_id: str, key: str = "") -> Lease | None:
        return next((le for le in self.reader.leases(run_id) if le.key == key), None)

    def holds(self, job: Job) -> bool:
        """Whether the lease of a job still stands."""
        lease = self.lease(job.lease.run_id, job.lease.key)
        return lease is not None and lease.id == job.lease.id

    def leases(self) -> list[Lease]:
        return [lease for run in self.runs() for lease in self.reader.leases(run.id)]

    def items(self, run_id: str) -> dict[str, Item]:
        return {item.key: item for item in self.reader.items(run_id)}

    def waits(self, run_id: str, *kinds: WaitKind) -> list[Wait]:
        return [w for w in self.reader.waits(run_id) if not kinds or w.kind in kinds]

    def steps(self, run_id: str) -> list[Step]:
        return self.reader.steps(run_id)

    def memos(self, run_id: str) -> dict[str, object]:
        """Saved results by the name of the step."""
        return {step.name: json.loads(step.memo) for step in self.steps(run_id)}

    def emitted(self, name: str) -> list[dict[str, object]]:
        """The data of stored events of a name, in the order they came."""
        events = sorted(self.store.disk.events.values(), key=lambda event: event.id)
        return [json.loads(event.body)["data"] for event in events if event.name == name]


def names(records: Iterable[fact.Record]) -> list[str]:
    """What a decision made true, by the names of its facts."""
    return [type(record).__name__ for record in records]
