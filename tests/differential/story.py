"""What happens to the stores that are compared: by chance, and always something that may happen."""

import random
from collections.abc import Callable

import msgspec

from stepwell.expr.equality import first_equality
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import Due, LookBack, Meeting, Need
from stepwell.server.engine.name.lane import Part, PartKind, is_lane, lane_name, lane_of
from stepwell.server.engine.row.annotation import Annotation, AnnotationKind
from stepwell.server.engine.row.bulk import Bulk, BulkFilter, BulkMove
from stepwell.server.engine.row.cancellation import Cancellation
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
from stepwell.server.engine.row.key import ApiKey, AuditEntry, Role
from stepwell.server.engine.row.run import (
    MAIN,
    EventRow,
    Item,
    ItemKind,
    Lease,
    Note,
    Run,
    RunStatus,
    Step,
    Wait,
    WaitKind,
)
from stepwell.testing.contract.store_world import app_named, function_named

OPS = ("StepRun", "WaitForEvent")
LANES = tuple(
    lane_name("a1", function, (Part(PartKind.STEP, "1", key),))
    for function, key in (("f1", "k1"), ("f1", "k2"), ("f2", "k1"))
)
QUEUES = ("a1", "a2", "@gateway")
NAMES = ("paid", "sent", "inngest/x")
CONDITIONS = ("", 'async.data.user == "x"', 'async.data.user == "y"', "async.data.n == 1")
BODIES = (b'{"data":{"user":"x","n":1}}', b'{"data":{"user":"y","n":2}}', b'{"data":{}}')
KEYS = ("k1", "k2", "k3")
HOLDS = ("h1", "h2")


class Story:
    """What happens next, by chance, and always something that may happen."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = 1_000
        self.place = 0
        self.number = 0
        self.runs: dict[str, Run] = {}
        self.open: set[str] = set()
        self.items: dict[tuple[str, str], Item] = {}
        self.waits: dict[tuple[str, str], Wait] = {}
        self.leases: dict[tuple[str, str], Lease] = {}
        self.steps: set[tuple[str, str]] = set()
        self.events: list[str] = []
        self.apps: set[str] = set()
        self.functions: set[str] = set()
        self.cancellations: list[str] = []
        self.bulks: list[str] = []
        self.api_keys: list[str] = []
        self.audit: list[str] = []

    def batch(self) -> list[fact.Record]:
        """A few records, each possible after those before it."""
        self.now += self.chance.randrange(5)
        makers: list[Callable[[], fact.Record | None]] = [
            *[self.event] * 2,
            *[self.begin] * 3,
            self.change,
            self.end,
            *[self.save] * 3,
            self.annotate,
            *[self.wait] * 2,
            self.end_wait,
            *[self.add] * 3,
            *[self.move] * 2,
            *[self.lend] * 3,
            self.done,
            self.note,
            self.app,
            self.function,
            self.key,
            self.no_key,
            *[self.hold] * 2,
            self.held,
            self.no_hold,
            self.drop,
            self.sit,
            self.serve,
            *[self.rest] * 2,
            self.rouse,
            self.leave,
            self.no_drop,
            self.no_app,
            self.no_function,
            self.cancellation,
            self.cancellation_done,
            self.no_cancellation,
            self.bulk,
            self.bulk_move,
            self.bulk_over,
            self.api_key,
            self.no_api_key,
            self.change_by_hand,
            self.change_refused,
        ]
        records: list[fact.Record] = []
        for _ in range(self.chance.randrange(1, 7)):
            record = self.chance.choice(makers)()
            if record is not None:
                records.append(record)
            if isinstance(record, fact.SlotTaken):
                records.append(fact.RunChanged(self.runs[record.slot.run_id]))
            if isinstance(record, fact.SlotLeft):
                records.append(fact.RunChanged(self.runs[record.run_id]))
        return records

    def need(self) -> Need:
        """Rows to compare, among them some that are not there."""
        runs = [*self.runs, "cron:1", "cron:2", "none"]
        slots = [*self.steps, ("none", "s")]
        some = self.chance.sample
        number = self.chance.randrange(3)
        now = self.now + self.chance.randrange(20)
        room = tuple((queue, self.chance.randrange(6)) for queue in some(QUEUES, 2))
        return Need(
            runs=frozenset(some(runs, min(6, len(runs)))),
            steps=frozenset(some(sorted(slots), min(6, len(slots)))),
            keys=frozenset(KEYS),
            holders=frozenset(KEYS),
            holds=frozenset(HOLDS),
            held=frozenset(HOLDS),
            lanes=tuple((queue, 2, now) for queue in LANES),
            events=frozenset(some([*self.events, "none"], min(3, len(self.events)))),
            bodies=frozenset(some([*self.events, "none"], min(3, len(self.events)))),
            dedups=frozenset((f"f{n}", self.chance.choice("kl")) for n in (1, 2)),
            meetings=tuple(self.meeting(number) for number in range(2)),
            signals=frozenset(some(["go", "stop", "none"], 2)),
            look_back=(LookBack("paid", self.now - 30, 4, number, self.chance.choice(runs)),),
            due=Due(now, room, self.chance.randrange(1, 12)),
        )

    def meeting(self, number: int) -> Meeting:
        after = self.chance.choice(["", *(f"{run_id}/w" for run_id in self.runs)])
        name, body = self.chance.choice(NAMES), self.chance.choice(BODIES)
        return Meeting(f"M{number}", name, body, after, self.chance.randrange(1, 6))

    # -- records --------------------------------------------------------------------------------

    def next_id(self, letter: str) -> str:
        self.number += 1
        return f"{letter}{self.number:06d}"

    def next_place(self) -> int:
        self.place += 1
        return self.place

    def some_run(self) -> Run | None:
        return self.runs[self.chance.choice(sorted(self.open))] if self.open else None

    def some_slot(self, rows: dict[tuple[str, str], object]) -> tuple[str, str] | None:
        return self.chance.choice(sorted(rows)) if rows else None

    def event(self) -> fact.Record:
        event_id = self.next_id("E")
        self.events.append(event_id)
        name, body = self.chance.choice(NAMES), self.chance.choice(BODIES)
        return fact.EventStored(EventRow(event_id, name, self.now, self.now, body, "key"))

    def begin(self) -> fact.Record:
        known = self.chance.sample(self.events, min(len(self.events), self.chance.randrange(1, 4)))
        run = Run(
            id=self.next_id("R"),
            function=self.chance.choice(["f1", "f2"]),
            app=self.chance.choice(["a1", "a2"]),
            event_ids=tuple(known),
            queued_ms=self.now,
            dedup=self.chance.choice(["", "k", "l"]),
            slots=self.chance.choice([(), KEYS[:1], KEYS[:2]]),
            batch=self.chance.choice(["", "b"]),
        )
        self.runs[run.id] = run
        self.open.add(run.id)
        return fact.RunStarted(run, self.put(run.id, MAIN, run.app))

    def put(self, run_id: str, key: str, queue: str) -> Item:
        item = Item(
            run_id=run_id,
            key=key,
            kind=ItemKind.CALL,
            due_ms=self.now + self.chance.randrange(40),
            queue=queue,
            attempt=self.chance.randrange(3),
            detail=str(self.place).encode(),
        )
        self.items[run_id, key] = item
        return item

    def change(self) -> fact.Record | None:
        run = self.some_run()
        if run is None:
            return None
        changed = msgspec.structs.replace(
            run,
            status=RunStatus.RUNNING,
            started_ms=self.now,
            version=self.chance.randrange(3),
            pending=self.chance.choice([(), ("a", "b")]),
            again=self.chance.random() < 0.5,
            seated=run.seated,
        )
        self.runs[run.id] = changed
        return fact.RunChanged(changed)

    def end(self) -> fact.Record | None:
        run = self.some_run()
        if run is None or self.chance.random() < 0.3:
            return None
        self.open.discard(run.id)
        for rows in (self.items, self.waits, self.leases):
            for slot in [slot for slot in rows if slot[0] == run.id]:
                del rows[slot]
        status = self.chance.choice([RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED])
        ended = msgspec.structs.replace(run, status=status, ended_ms=self.now, output=b"1")
        self.runs[run.id] = ended
        return fact.RunFinished(ended)

    def save(self) -> fact.Record | None:
        run = self.some_run()
        if run is None:
            return None
        step_id = self.next_id("s")
        self.steps.add((run.id, step_id))
        memo = self.chance.choice([b"1", b"2" * 900])
        return fact.StepSaved(
            Step(
                run.id,
                step_id,
                self.next_place(),
                self.chance.choice(OPS),
                "s",
                memo,
                self.now,
                self.now,
                input=self.chance.choice([b"", b"[1]"]),
            )
        )

    def wait(self) -> fact.Record | None:
        run = self.some_run()
        if run is None:
            return None
        kind = self.chance.choice(list(WaitKind))
        names = ("go", "stop") if kind is WaitKind.SIGNAL else NAMES
        condition = self.chance.choice(CONDITIONS)
        path, value = first_equality(condition) or ("", "")
        name, step_id = self.chance.choice(names), self.next_id("w")
        wait = Wait(run.id, step_id, kind, name, self.now, self.now + 9, condition, path, value)
        self.waits[run.id, wait.step_id] = wait
        return fact.WaitOpened(wait)

    def end_wait(self) -> fact.Record | None:
        slot = self.some_slot({**self.waits})
        return None if slot is None else fact.WaitClosed(self.waits.pop(slot))

    def add(self) -> fact.Record | None:
        run = self.some_run()
        if self.chance.random() < 0.2:
            return fact.ItemAdded(self.put(f"cron:{self.chance.randrange(3)}", "* * *", ""))
        if run is None:
            return None
        key = self.chance.choice(["p", "q", MAIN])
        if (run.id, key) in self.leases:
            return None
        return fact.ItemAdded(self.put(run.id, key, self.chance.choice((*QUEUES, *LANES, ""))))

    def move(self) -> fact.Record | None:
        slot = self.some_slot({**self.items})
        if slot is None:
            return None
        self.leases.pop(slot, None)
        return fact.ItemMoved(self.put(*slot, self.items[slot].queue))

    def lend(self) -> fact.Record | None:
        slot = self.some_slot({**self.items})
        if slot is None:
            return None
        until_ms = self.now + self.chance.randrange(1, 30)
        queue = self.items[slot].queue
        keys = lane_of(queue).keys if is_lane(queue) else ()
        lease = Lease(self.next_id("L"), *slot, self.now, until_ms, keys=keys)
        self.leases[slot] = lease
        return fact.ItemLeased(lease)

    def done(self) -> fact.Record | None:
        slot = self.some_slot({**self.items})
        if slot is None:
            return None
        del self.items[slot]
        self.leases.pop(slot, None)
        return fact.ItemDone(*slot)

    def note(self) -> fact.Record | None:
        run = self.some_run()
        if run is None:
            return None
        return fact.Noted(Note(run.id, self.next_place(), self.now, "failed", "s", "n", 1, b"{}"))

    def key(self) -> fact.Record:
        kind = self.chance.choice(list(KeyKind))
        until_ms = self.now + self.chance.randrange(30)
        return fact.FlowKeyPut(FlowKey(self.chance.choice(KEYS), kind, until_ms, self.number, b"x"))

    def no_key(self) -> fact.Record:
        return fact.FlowKeyForgotten(self.chance.choice(KEYS))

    def hold(self) -> fact.Record | None:
        if not self.events:
            return None
        key, kind = self.chance.choice(HOLDS), self.chance.choice(list(HoldKind))
        event_id = self.chance.choice(self.events)
        return fact.HoldPut(Hold(key, "f1", kind, self.now, self.now + 9, event_id, self.now))

    def held(self) -> fact.Record | None:
        if not self.events:
            return None
        event_id = self.chance.choice(self.events)
        return fact.EventHeld(Held(self.chance.choice(HOLDS), self.next_place(), event_id, 5))

    def no_hold(self) -> fact.Record:
        return fact.HoldClosed(self.chance.choice(HOLDS))

    def drop(self) -> fact.Record | None:
        if not self.events:
            return None
        reason, event_id = self.chance.choice(list(DropReason)), self.chance.choice(self.events)
        return fact.EventDropped(Dropped(event_id, "f1", reason, self.now, "k", 9, "R"))

    def sit(self) -> fact.Record | None:
        """A run takes the place it needs, and says so."""
        run = self.some_run()
        if run is None or len(run.slots) != 1 or run.seated:
            return None
        self.runs[run.id] = msgspec.structs.replace(run, seated=True)
        return fact.SlotTaken(Slot(run.slots[0], run.id, self.now, self.next_place()))

    def leave(self) -> fact.Record | None:
        """A run gives its place up before it ends, and says so."""
        run = self.some_run()
        if run is None or not run.seated:
            return None
        self.runs[run.id] = msgspec.structs.replace(run, seated=False)
        return fact.SlotLeft(run.slots[0], run.id)

    def no_drop(self) -> fact.Record | None:
        if not self.events:
            return None
        return fact.DropForgotten(self.chance.choice(self.events), "f1")

    def serve(self) -> fact.Record:
        again = self.chance.random() < 0.5
        return fact.LaneServed(self.chance.choice(LANES), self.chance.random(), again)

    def rest(self) -> fact.Record:
        queue, until = self.chance.choice(LANES), self.chance.choice((0, self.now + 9))
        again = self.chance.random() < 0.5
        key, bound = lane_of(queue).keys[0], self.chance.choice((0, 3))
        return fact.LaneRested(queue, key, self.now, until, 0.5, again, bound=bound)

    def rouse(self) -> fact.Record:
        bound = self.chance.choice((None, 0, 3))
        return fact.LanesRoused(self.chance.choice(("k1", "k2")), self.chance.randrange(3), bound)

    def app(self) -> fact.Record:
        name = self.chance.choice(["a1", "a2"])
        self.apps.add(name)
        return fact.AppStored(msgspec.structs.replace(app_named(name), synced_ms=self.now))

    def no_app(self) -> fact.Record | None:
        if not self.apps or self.chance.random() < 0.7:
            return None
        name = self.chance.choice(sorted(self.apps))
        self.apps.discard(name)
        self.functions -= {slug for slug in self.functions if slug.startswith(f"{name}-")}
        return fact.AppForgotten(name)

    def function(self) -> fact.Record | None:
        if not self.apps:
            return None
        row = function_named(self.chance.choice(sorted(self.apps)), self.chance.choice("xyz"))
        self.functions.add(row.slug)
        return fact.FunctionVersioned(msgspec.structs.replace(row, version=self.number))

    def no_function(self) -> fact.Record | None:
        if not self.functions or self.chance.random() < 0.5:
            return None
        slug = self.chance.choice(sorted(self.functions))
        self.functions.discard(slug)
        return fact.FunctionForgotten(slug)

    def cancellation(self) -> fact.Record:
        id_ = self.next_id("C")
        self.cancellations.append(id_)
        return fact.CancellationStored(Cancellation(id_, "a1", "a1-x", 0, self.now, "x", self.now))

    def cancellation_done(self) -> fact.Record | None:
        if not self.cancellations:
            return None
        return fact.CancellationDone(self.chance.choice(self.cancellations), self.now)

    def no_cancellation(self) -> fact.Record | None:
        if not self.cancellations or self.chance.random() < 0.5:
            return None
        id_ = self.chance.choice(self.cancellations)
        self.cancellations.remove(id_)
        return fact.CancellationForgotten(id_)

    def bulk(self) -> fact.Record:
        id_ = self.next_id("B")
        self.bulks.append(id_)
        wanted = BulkFilter(self.now, statuses=(3,), functions=("a1-x",))
        return fact.BulkStored(Bulk(id_, "rerun", wanted, 5, self.now, "ann", 7))

    def bulk_move(self) -> fact.Record | None:
        if not self.bulks:
            return None
        move = BulkMove(self.now, "R1", self.number, 1)
        return fact.BulkAdvanced(self.chance.choice(self.bulks), move)

    def bulk_over(self) -> fact.Record | None:
        if not self.bulks:
            return None
        stopped = self.chance.random() < 0.5
        return fact.BulkOver(self.chance.choice(self.bulks), self.now, stopped=stopped)

    def api_key(self) -> fact.Record:
        id_ = self.next_id("K")
        self.api_keys.append(id_)
        role = self.chance.choice(list(Role))
        return fact.KeyStored(ApiKey(id_, "ci", role, f"hash of {id_}", self.now, "ann"))

    def annotate(self) -> fact.Record | None:
        if not self.runs:
            return None
        kind = self.chance.choice(list(AnnotationKind))
        place = self.chance.choice(["s1", ""]), self.chance.choice(["attempt:1", ""])
        name, body = self.chance.choice(["a", "b"]), b'{"n":%d}' % self.now
        run_id = self.chance.choice(list(self.runs))
        return fact.AnnotationPut(Annotation(run_id, kind, *place, name, self.now, body))

    def no_api_key(self) -> fact.Record | None:
        return fact.KeyEnded(self.chance.choice(self.api_keys), self.now) if self.api_keys else None

    def change_by_hand(self) -> fact.Record:
        id_ = self.next_id("A")
        self.audit.append(id_)
        about = ("cancel_run", "R1", "{}")
        return fact.ChangeWritten(AuditEntry(id_, self.now, "ann", "K1", *about))

    def change_refused(self) -> fact.Record | None:
        return fact.ChangeMarked(self.chance.choice(self.audit), 404) if self.audit else None
