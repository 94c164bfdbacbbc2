"""The laws of flow control over whatever users do, with a process that dies at every commit.

L1  never more calls, or runs, under a key than its limit;
L2  no place without a run that has not ended, no hold without its timer; in the end neither;
L3  every event starts a run, or leaves a record why not, or is held;
L4  a call that is due and has not begun, though somebody asked for it, waits for a limit that
    is full, and `why` names it;
L5  a process that dies changes nothing at all: two benches that are told the same, of which one
    dies now and then, have the same rows throughout. It dies between calls, and inside calls,
    between any two of their commits, when whoever makes them lives on and says so.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stepwell.server.engine.message.action import Wake
from stepwell.server.engine.message.input import (
    CancelAsked,
    FunctionPaused,
    FunctionResumed,
    Input,
    Job,
    LeaseExtended,
    Outcome,
    ReplayAsked,
    StepsCheckpointed,
)
from stepwell.server.engine.row.flow import DropReason, KeyKind
from stepwell.server.engine.row.run import FunctionRow, ItemKind
from stepwell.server.flow.plan import NO_PLAN
from stepwell.server.query.room import rests
from stepwell.testing.simulation.invariant import broken_everywhere
from stepwell.wire.function_config import (
    Backlog,
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    Fairness,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
)
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import Sleep
from tests.bench import APP, broke, progressed, returned, step_run
from tests.flow.flow_bench import FlowBench, controlled

FN = f"{APP}-work"
KEY = "event.data.k"
MORE = 1 + int(10 * float(os.environ.get("STEPWELL_SIM_MINUTES", "0")))
"""How thoroughly to look: ten times as long for every minute given to simulation."""
SETTLING_MS = 40 * 60_000
LATE = st.sampled_from((0, 0, 0, 1_500))
KEYS = st.lists(st.integers(0, 2), min_size=1, max_size=4)

OUTCOMES: dict[str, Callable[[], Outcome]] = {
    "returned": returned,
    "step": lambda: progressed(step_run("a")),
    "another step": lambda: progressed(step_run("b")),
    "sleep": lambda: progressed(Sleep(id=step_hash("n"), name="n", until="3s")),
    "failed": broke,
}

MEDDLING: dict[str, Callable[[str], Input]] = {
    "stop": CancelAsked,
    "cancel": CancelAsked,
    "pause": lambda _: FunctionPaused(FN),
    "pause and cancel": lambda _: FunctionPaused(FN, "cancel"),
    "resume": lambda _: FunctionResumed(FN),
    "replay": lambda _: ReplayAsked(FN, 0, 0, tuple(DropReason), 100),
}


def options(key: st.SearchStrategy[str]) -> dict[str, st.SearchStrategy[Any]]:
    """Each control, as it may be."""
    few = st.integers(1, 2)
    limits = st.builds(Concurrency, few, key).map(lambda one: (one,))
    mode, full = st.sampled_from(("skip", "cancel")), st.sampled_from(("", "cancel"))
    collect, timeout = st.sampled_from(("", "all")), st.sampled_from(("", "5s"))
    return {
        "concurrency": limits,
        "run_concurrency": limits,
        "throttle": st.builds(Throttle, few, st.just("4s"), st.just(1), key),
        "priority": st.just(Priority("event.data.k * 2")),
        "timeouts": st.builds(Timeouts, st.sampled_from(("", "20s")), st.just("1m")),
        "backlog": st.builds(Backlog, st.integers(1, 3), key, full),
        "rate_limit": st.builds(RateLimit, few, st.just("20s"), key),
        "debounce": st.builds(Debounce, st.just("2s"), key, timeout, collect),
        "singleton": st.builds(Singleton, mode, key, few),
        "batch": st.builds(Batch, st.integers(2, 3), st.just("2s"), key),
        "cancel": st.just((Cancel("stop"),)),
        "fairness": st.just(Fairness(KEY, "1 + event.data.k")),
    }


ALONE = ("debounce", "singleton", "priority", "cancel")
"""What a batch cannot be combined with."""


def controls(key: st.SearchStrategy[str], *, fair: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Up to three controls that may stand beside each other."""
    known = options(key)
    if not fair:
        del known["fairness"]
    names = st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=3, unique=True)
    chosen = names.filter(lambda some: "batch" not in some or not set(ALONE).intersection(some))
    return chosen.flatmap(lambda some: st.fixed_dictionaries({one: known[one] for one in some}))


class Laws(RuleBasedStateMachine):
    """One bench, whose function has any controls with any keys."""

    keys: st.SearchStrategy[str] = st.sampled_from(("", KEY, "event.data.k > 0"))

    def __init__(self) -> None:
        super().__init__()
        self.benches = [FlowBench.over("memory", Path())]
        self.jobs: list[dict[tuple[str, str], Job]] = [{} for _ in self.benches]
        self.sent: list[str] = []
        self.places: set[str] = set()

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.function: FunctionRow = controlled(**self.drawn(data))
        for bench in self.benches:
            bench.register(self.function)

    def drawn(self, data: st.DataObject) -> dict[str, Any]:
        """The controls of the function."""
        return data.draw(controls(self.keys, fair=True))

    # -- what happens ---------------------------------------------------------------------------

    @rule(ks=KEYS, late_ms=LATE, asked=st.booleans())
    def send(self, ks: list[int], late_ms: int, asked: bool) -> None:
        for k in ks:
            for bench in self.benches:
                event = bench.send("go", {"k": k}, ts=bench.now_ms - late_ms)
            self.sent.append(event)
        if asked:
            self.claim()

    @rule(ms=st.sampled_from((1, 400, 1_000, 3_000, 30_000)))
    def wait(self, ms: int) -> None:
        for bench in self.benches:
            bench.pass_time(ms)

    @rule()
    def claim(self) -> None:
        """Somebody asks until there is nothing left to have."""
        for bench, jobs in zip(self.benches, self.jobs, strict=True):
            while found := [*bench.claim(), *_woken(bench)]:
                jobs.update({(job.run.id, job.item.key): job for job in found if job})
            self.judge_rest(bench)

    @rule(capacity=st.integers(0, 1))
    def ask(self, capacity: int) -> None:
        """Somebody asks who has little room."""
        if len(self.benches) > 1:
            return
        found = self.benches[0].claim(capacity=capacity)
        self.jobs[0].update({(job.run.id, job.item.key): job for job in found})

    @precondition(lambda self: self.jobs[0])
    @rule(place=st.integers(0, 9), outcome=st.sampled_from(sorted(OUTCOMES)))
    def answer(self, place: int, outcome: str) -> None:
        slot = sorted(self.jobs[0])[place % len(self.jobs[0])]
        for bench, jobs in zip(self.benches, self.jobs, strict=True):
            bench.reply(jobs.pop(slot), OUTCOMES[outcome]())

    @rule(what=st.sampled_from(sorted(MEDDLING)), place=st.integers(0, 9))
    def meddle(self, what: str, place: int) -> None:
        going = sorted(run.id for run in self.benches[0].runs() if not run.ended)
        run_id = going[place % len(going)] if going else "nobody"
        for bench in self.benches:
            if what == "stop":
                bench.send("stop")
            else:
                bench.submit(MEDDLING[what](run_id))

    @precondition(lambda self: self.jobs[0])
    @rule(place=st.integers(0, 9), name=st.sampled_from("cd"))
    def checkpoint(self, place: int, name: str) -> None:
        """A call saves a step and goes on."""
        slot = sorted(self.jobs[0])[place % len(self.jobs[0])]
        for bench, jobs in zip(self.benches, self.jobs, strict=True):
            lease = jobs[slot].lease
            bench.submit(StepsCheckpointed(lease.id, *slot, (step_run(name),)))

    @rule()
    def die(self) -> None:
        """The process dies, after whatever was committed last, and its calls with it."""
        self.benches[0].restart()
        self.jobs[0].clear()

    # -- what must hold -------------------------------------------------------------------------

    @invariant()
    def L1_limits_hold(self) -> None:
        for bench in self.benches:
            config = bench.catalog.listing(FN)
            if config is None:
                return
            counts: dict[str, int] = {}
            for key in (key for lease in bench.leases() for key in lease.keys):
                counts[key] = counts.get(key, 0) + 1
            for key in self.places:
                counts[key] = len(bench.reader.slots(key))
            for key, count in counts.items():
                assert count <= _limit(bench, key), f"{count} under {key}"

    @invariant()
    def L2_places_are_those_of_runs(self) -> None:
        for bench in self.benches:
            runs = bench.runs()
            going = [run for run in runs if not run.ended]
            self.places |= {key for run in going for key in run.places}
            for key in self.places:
                mine = {run.id for run in going if key in run.places}
                assert {slot.run_id for slot in bench.reader.slots(key)} == mine, key
            for hold in bench.open_holds():
                timers = bench.reader.items(hold.key)
                assert [item.due_ms for item in timers] == [hold.due_ms], hold
            assert broken_everywhere(bench.reader) == []

    @invariant()
    def L3_every_event_is_accounted_for(self) -> None:
        for bench in self.benches:
            assert bench.all_accounted(FN, *self.sent)

    def judge_rest(self, bench: FlowBench) -> None:
        """L4, once nobody was given any more."""
        listing, paused = bench.catalog.listing(FN), FN in bench.catalog.paused
        for run in bench.runs():
            if run.ended or paused:
                continue
            items = bench.reader.items(run.id)
            begun = {lease.key for lease in bench.reader.leases(run.id)}
            told = rests(bench.reader, run, listing, bench.now_ms, items)
            for item in items:
                due = item.kind is ItemKind.CALL and item.due_ms <= bench.now_ms
                if due and item.key not in begun:
                    assert item.key in told, f"{item} of {run} waits for nothing"

    def teardown(self) -> None:
        """In the end nothing has a place, and nothing is held."""
        if not hasattr(self, "function"):
            return
        for bench, jobs in zip(self.benches, self.jobs, strict=True):
            bench.submit(FunctionResumed(FN))
            end_ms = bench.now_ms + SETTLING_MS
            while bench.now_ms < end_ms:
                begun = [*jobs.values(), *bench.claim()]
                jobs.clear()
                for job in begun:
                    bench.finish(job)
                if not begun:
                    if all(run.ended for run in bench.runs()) and not bench.open_holds():
                        break
                    bench.pass_time(2_000)
            assert all(run.ended for run in bench.runs()), bench.runs()
            assert bench.open_holds() == []
            assert all(bench.reader.slots(key) == [] for key in self.places)
            assert bench.all_accounted(FN, *self.sent)


IN_TURNS = ("concurrency", "run_concurrency", "throttle", "priority")


class Twins(Laws):
    """L5. What makes calls wait has no keys where there is more of it than one: the order in which
    lanes have their turns is not kept, and need not be."""

    def __init__(self) -> None:
        super().__init__()
        self.benches.append(FlowBench.over("memory", Path()))
        self.jobs.append({})

    def drawn(self, data: st.DataObject) -> dict[str, Any]:
        """Controls whose calls begin in one order."""
        found = data.draw(controls(self.keys, fair=False))
        if sum(name in found for name in IN_TURNS) > 1:
            found = data.draw(controls(st.just(""), fair=False))
        return found

    @rule()
    def die(self) -> None:
        """The process dies; whoever was at work says so to the next one."""
        self.benches[0].restart()
        for job in self.jobs[0].values():
            lease = job.lease
            asked = LeaseExtended(lease.id, lease.run_id, lease.key, 60_000)
            self.benches[0].submit(asked)

    @invariant()
    def L5_a_death_changes_nothing(self) -> None:
        one, other = (_seen(bench, self.places) for bench in self.benches)
        assert one == other


def _seen(bench: FlowBench, places: set[str]) -> list[object]:
    """Everything that does not depend on who is at work."""
    return [
        [(run.id, run.status, run.event_ids, run.places) for run in bench.runs()],
        [bench.drops(event) for event in sorted(bench.store.disk.events)],
        bench.open_holds(),
        {key: bench.reader.slots(key) for key in sorted(places)},
        [sorted(bench.reader.flow_keys(kind), key=lambda row: row.id) for kind in KeyKind],
        sorted((i.run_id, i.key, i.kind, i.due_ms, i.attempt) for i in bench.store.disk.items),
        sorted((lease.run_id, lease.key) for lease in bench.leases()),
        sorted(
            (step.run_id, step.id) for run in bench.runs() for step in bench.reader.steps(run.id)
        ),
    ]


def _woken(bench: FlowBench) -> list[None]:
    """Something if what the engine did itself wakes the pump at once."""
    due = [action.due_ms for action in bench.actions if isinstance(action, Wake)]
    return [None for at_ms in due if at_ms <= bench.now_ms]


def _limit(bench: FlowBench, key: str) -> int:
    listing = bench.catalog.listing(FN)
    plan = (listing.plan if listing is not None else None) or NO_PLAN
    match key.partition(":")[0]:
        case "concurrency":
            return plan.steps[0].limit
        case "run-concurrency":
            return plan.runs[0].limit
        case "singleton":
            return plan.singleton.limit if plan.singleton is not None else 0
        case _:
            return plan.backlog.limit if plan.backlog is not None else 0


FAST = settings(
    max_examples=60 * MORE,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

TestLaws = Laws.TestCase
TestLaws.settings = FAST
TestTwins = Twins.TestCase
TestTwins.settings = FAST
