"""Races of flow control, drawn at random: what several parties do, in any order, in any commits,
with a process that dies between any two of them.

    python -m tests.flow.races 100000       # each race so often: some minutes
    python -m tests.flow.races 1 X6 4711    # one interleaving of one race again

A party's inputs keep their order; between parties every order is possible. Each commit holds one
input or several. Between commits the process may die, and whoever was not answered says the same
again; time may pass. What must have come out is said by each race for itself.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec

from stepwell.server.engine.message.input import (
    EventsReceived,
    Input,
    Job,
    LimitDropped,
    LimitSet,
    Outcome,
    ReplyReceived,
    Work,
    WorkAsked,
)
from stepwell.server.engine.row.limit import use_key
from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.flow.named_limit import NO_NUMBERS, NamedLimit
from stepwell.testing.simulation.invariant import broken_everywhere
from stepwell.wire.function_config import Batch, Cancel, Concurrency, Debounce, Singleton
from stepwell.wire.identifier import step_hash
from stepwell.wire.named_limit import FunctionLimit, LimitUsed, StepLimit
from stepwell.wire.operation import StepPlanned
from tests.bench import APP, SEED, progressed, returned, step_run
from tests.flow.flow_bench import FlowBench, controlled

FN = f"{APP}-work"
Move = Callable[[], Input]
"""Something a party does, made at the moment it is done."""


@dataclass
class Scene:
    """One interleaving under way."""

    draw: Random
    bench: FlowBench = field(default_factory=lambda: FlowBench.over("memory", Path()))
    told: list[str] = field(default_factory=list[str])
    jobs: list[Job] = field(default_factory=list[Job])
    sent: list[str] = field(default_factory=list[str])
    watch: Callable[[list[Input]], Iterator[str]] = lambda batch: iter(())
    seen: list[str] = field(default_factory=list[str])
    """What somebody who looks after each commit complained of."""

    def sends(self, name: str, count: int, data: object = None) -> list[Move]:
        """A sender of events; each is sent again if nobody says that it came."""

        def move() -> Input:
            event = self.bench.event(name, data)
            self.sent.append(event.id)
            self.told.append(f"{name}:{event.id}")
            return EventsReceived((event,), fresh=False)

        return [move] * count

    def asks(self, count: int, capacity: int = 10) -> list[Move]:
        """A pump."""
        return [lambda: WorkAsked(SEED, ((APP, capacity),), 10, 60_000)] * count

    def answers(self, count: int) -> list[Move]:
        """Workers, each of whom ends its call, or reports a step."""

        def move() -> Input:
            if not self.jobs:
                return WorkAsked(SEED, (), 10, 60_000)
            lease = self.jobs.pop(self.draw.randrange(len(self.jobs))).lease
            step = progressed(step_run(self.draw.choice("abc")))
            outcome = returned() if self.draw.random() < 0.6 else step
            return ReplyReceived(lease.id, lease.run_id, lease.key, outcome)

        return [move] * count

    def play(self, *parties: list[Move], waits: tuple[int, ...] = (0, 1, 999, 1_000)) -> None:
        """All of them, in some order, in some commits."""
        left = [list(moves) for moves in parties if moves]
        while left:
            batch: list[Input] = []
            for _ in range(self.draw.choice((1, 1, 1, 2, 3))):
                if not left:
                    break
                party = self.draw.choice(left)
                batch.append(party.pop(0)())
                left = [moves for moves in left if moves]
            self.commit(batch)
            self.bench.pass_time(self.draw.choice(waits))

    def commit(self, batch: list[Input]) -> None:
        """One commit; the process may die before it, or after it and before it answers."""
        fate = self.draw.random()
        if fate < 0.08:
            self.die()
        answers = self.bench.submit_all(batch)
        self.seen += self.watch(batch)
        if fate > 0.92:
            self.die()
            self.bench.submit_all([one for one in batch if isinstance(one, EventsReceived)])
            return
        for answer in answers:
            if isinstance(answer, Work):
                self.jobs += answer.jobs

    def die(self) -> None:
        """The process dies, and with it whatever was under way."""
        self.bench.restart()
        self.jobs.clear()

    def settle(self, patience_ms: int = 2_000) -> None:
        """Everything comes to its end."""
        end_ms = self.bench.now_ms + patience_ms
        while True:
            jobs = [*self.jobs, *self.bench.claim()]
            self.jobs.clear()
            for job in jobs:
                self.bench.finish(job)
            if not jobs:
                if self.bench.now_ms >= end_ms:
                    return
                self.bench.pass_time(1_000)

    def runs(self) -> list[Run]:
        return self.bench.runs()


def debounced(scene: Scene) -> Iterator[str]:
    """D4: an event while a debounce fires is in that run or in the next."""
    bench = scene.bench
    bench.register(controlled(debounce=Debounce("1s")))
    scene.play(scene.sends("go", 4), scene.asks(4, 0), scene.sends("go", 2))
    scene.settle()
    ran = [event_id for run in scene.runs() for event_id in run.event_ids]
    dropped = [event for event in scene.sent if bench.reasons(event) == ["Debounce"]]
    if sorted(ran + dropped) != sorted(scene.sent):
        yield f"{scene.sent} came to {ran} and {dropped}"
    last = scene.told[-1].partition(":")[2]
    if last not in ran:
        yield f"the last event, {last}, started nothing"


def batched(scene: Scene) -> Iterator[str]:
    """B7: an event is in exactly one batch, and none is larger than it may be."""
    scene.bench.register(controlled(batch=Batch(3, "1s")))
    scene.play(scene.sends("go", 4), scene.asks(4, 0), scene.sends("go", 3))
    scene.settle()
    ran = [event_id for run in scene.runs() for event_id in run.event_ids]
    if sorted(ran) != sorted(scene.sent):
        yield f"{scene.sent} came to {ran}"
    if any(len(run.event_ids) > 3 for run in scene.runs()):
        yield "a batch was too large"


def cancelled(scene: Scene) -> Iterator[str]:
    """X6: an event between a run's beginning, its first call and its end cancels it, and one
    before it does not."""
    bench = scene.bench
    bench.register(controlled(cancel=(Cancel("stop"),)))
    scene.play(
        scene.sends("go", 2),
        scene.sends("stop", 1),
        scene.asks(3),
        scene.answers(2),
        waits=(0, 1),
    )
    names = [one.partition(":")[0] for one in scene.told]
    stopped = names.index("stop")
    ended = [run for run in scene.runs() if run.ended]
    for place, one in enumerate(scene.told):
        name, _, event_id = one.partition(":")
        if name != "go":
            continue
        (run,) = bench.runs_of(event_id)
        if place < stopped and run not in ended:
            yield f"run {run.id} goes on although it began before the event that cancels it"
        if place > stopped and run.status is RunStatus.CANCELLED:
            yield f"run {run.id} was cancelled by an event from before it"
    scene.settle()
    if any(not run.ended for run in scene.runs()):
        yield "a run did not end"


def locked(scene: Scene) -> Iterator[str]:
    """S2, S6: of several at once one goes on, and no lock outlives its run."""
    bench = scene.bench
    mode = scene.draw.choice(("skip", "cancel"))
    bench.register(controlled(singleton=Singleton(mode)))
    scene.play(scene.sends("go", 3), scene.asks(3), scene.answers(2), scene.sends("go", 2))
    key = f"singleton:{FN}:"
    going = [run.id for run in scene.runs() if not run.ended]
    if [slot.run_id for slot in bench.reader.slots(key)] != going or len(going) > 1:
        yield f"{going} go on, and the lock is that of {bench.reader.slots(key)}"
    scene.settle()
    if bench.reader.slots(key):
        yield f"{bench.reader.slots(key)} is left"
    if not bench.all_accounted(FN, *scene.sent):
        yield "an event is lost"


def seated(scene: Scene) -> Iterator[str]:
    """F5, C8: a limit holds whatever dies, and no place is lost."""
    bench = scene.bench
    limits = (Concurrency(1), Concurrency(2))
    bench.register(controlled(run_concurrency=limits[:1], concurrency=limits[1:]))
    key = f"run-concurrency:{FN}::"
    scene.play(scene.sends("go", 4), scene.asks(5), scene.answers(4))
    for _ in range(12):
        if len(bench.reader.slots(key)) > 1:
            yield f"{bench.reader.slots(key)} have a place where one may"
        jobs, scene.jobs = [*scene.jobs, *bench.claim()], []
        for job in jobs:
            bench.finish(job)
    if bench.reader.slots(key) or any(not run.ended for run in scene.runs()):
        yield f"{bench.reader.slots(key)} is left, and {scene.runs()}"


def limited(scene: Scene) -> Iterator[str]:
    """Y1, Y4: a named limit is changed up and down, and dropped, while functions and steps take
    and free places under it: nobody begins beyond what holds then, and nobody is left behind."""
    bench, draw = scene.bench, scene.draw
    gpu = FunctionLimit("gpu", "", "event.data.size", concurrency=3)
    bench.register(controlled(limits=(gpu,)), controlled("other", "went"))

    def answer() -> Input:
        if not scene.jobs:
            return WorkAsked(SEED, (), 10, 60_000)
        job = scene.jobs.pop(draw.randrange(len(scene.jobs)))
        return ReplyReceived(job.lease.id, job.lease.run_id, job.lease.key, _limited(draw, job))

    def change() -> Input:
        if draw.random() < 0.2:
            return LimitDropped("gpu")
        return LimitSet("gpu", concurrency=draw.choice((1, 2, 5)))

    def watch(batch: list[Input]) -> Iterator[str]:
        changed = any(isinstance(one, LimitSet | LimitDropped) for one in batch)
        numbers = bench.catalog.limits.get("gpu", NamedLimit("gpu")).numbers
        loads = {
            lease.id: load for lease in bench.leases() for key, load in lease.counts if key == GPU
        }
        begun = loads.keys() - under_way
        under_way.clear()
        under_way.update(loads)
        if not begun or changed or numbers == NO_NUMBERS or len(loads) == 1:
            return
        if sum(loads.values()) > numbers.concurrency:
            yield f"{loads} are under way, {begun} just begun, under {numbers.concurrency}"

    under_way: set[str] = set()

    scene.watch = watch
    sizes = [{"size": draw.choice((1, 1, 2, 4))} for _ in range(3)]
    starts = [move for size in sizes for move in scene.sends("go", 1, size)]
    scene.play(
        starts, scene.sends("went", 2), scene.asks(6), [answer] * 5, [change] * 3, waits=(0, 1)
    )
    yield from scene.seen
    for _ in range(40):
        jobs, scene.jobs = [*scene.jobs, *bench.claim()], []
        for job in jobs:
            bench.reply(job, _ran() if job.lease.key else returned())
        going = [run.id for run in scene.runs() if not run.ended]
        due = [
            i for run_id in going for i in bench.reader.items(run_id) if i.due_ms <= bench.now_ms
        ]
        if due and not jobs:
            yield f"{due} wait for nothing"
        if not due:
            bench.pass_time(1_000)
    left = [run.id for run in scene.runs() if not run.ended]
    if left or bench.leases():
        yield f"{left} did not end, and {bench.leases()} are under way"


GPU = use_key("gpu")


def _limited(draw: Random, job: Job) -> Outcome:
    """What a worker answers: a step under the same limit, what it came to, or the end."""
    if job.lease.key:
        return _ran(draw.choice((-1, 0, 2)))
    if draw.random() < 0.4:
        return returned()
    limits = (StepLimit("gpu", weight=draw.choice((1, 2))), StepLimit("disk", concurrency=1))
    some = draw.choice((limits, limits[::-1], limits[:1]))
    return progressed(StepPlanned(id=step_hash("a"), name="a", limits=some))


def _ran(by: int = 0) -> Outcome:
    used = (LimitUsed("gpu", by=by),)
    return progressed(msgspec.structs.replace(step_run("a"), used=used))


RACES: dict[str, Callable[[Scene], Iterator[str]]] = {
    "D4": debounced,
    "B7": batched,
    "X6": cancelled,
    "S6": locked,
    "F5": seated,
    "Y1": limited,
}


def problems(race: str, seed: int) -> list[str]:
    """Play one interleaving of a race, and say what should not have come out."""
    scene = Scene(Random(f"{race}/{seed}"))
    return [*RACES[race](scene), *broken_everywhere(scene.bench.reader)]


def search(race: str, seeds: Iterable[int]) -> int:
    """Play so many. Raises AssertionError for the first that goes wrong; returns their number."""
    played = 0
    for seed in seeds:
        played += 1
        found = problems(race, seed)
        if found:
            again = f"python -m tests.flow.races 1 {race} {seed}"
            raise AssertionError(f"{race}, seed {seed} ({again}): {found}")
    return played


def main(arguments: list[str]) -> None:
    """Play each race so often, or one of them from a seed on."""
    count = int(arguments[0]) if arguments else 1_000
    races = arguments[1:2] or list(RACES)
    first = int(arguments[2]) if len(arguments) > 2 else 0
    for race in races:
        began = time.perf_counter()
        search(race, range(first, first + count))
        took = time.perf_counter() - began
        sys.stdout.write(f"{race}: {count} interleavings held in {took:.0f} s\n")


if __name__ == "__main__":
    main(sys.argv[1:])
