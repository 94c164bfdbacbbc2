"""The laws of `decide`, over whatever peers can send: total, deterministic, idempotent, monotonic,
fenced, and none of it needs its actions. After every input the rows keep their invariant."""

import os
from typing import TypeAlias

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.server.engine.decide import needs
from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message.input import Done, Input, Job, Verdict, Work
from stepwell.server.engine.row.run import MAIN, EventRow, RunStatus
from stepwell.server.engine.rules import Rules
from stepwell.testing.simulation.invariant import broken_everywhere
from stepwell.testing.simulation.strategies import (
    EVENT_NAMES,
    SIGNALS,
    STEP_IDS,
    cancels,
    operations,
    outcomes,
    triggers,
)
from stepwell.wire.operation import Operation
from tests.bench import APP, SEED, Bench, app_row, function, names, returned

NAMES = ("one", "two", "three")
SLUGS = tuple(f"{APP}-{name}" for name in NAMES)
STEPS_MAX = 25
LAWS = 1 + int(10 * float(os.environ.get("STEPWELL_SIM_MINUTES", "0")))
"""How thoroughly to look: ten times as long for every minute given to simulation."""
RULES = Rules(steps_max=6, losses_max=3, starts_per_decision_max=4, waits_per_decision_max=2)
TIGHT = msgspec.structs.replace(RULES, steps_max=2, step_bytes_max=6, state_bytes_max=400)
"""Runs soon have more than they may."""
Snapshot: TypeAlias = tuple[object, ...]


def snapshot(bench: Bench) -> Snapshot:
    disk = bench.store.disk
    return (
        dict(disk.events),
        dict(disk.runs),
        list(disk.items),
        list(disk.waits),
        list(disk.steps),
        list(bench.leases()),
        dict(disk.apps),
        dict(disk.functions),
    )


class Peers:
    """Draws inputs that peers could cause in the present state of a bench."""

    def __init__(self, bench: Bench, data: st.DataObject) -> None:
        self.bench = bench
        self.data = data
        self.jobs: list[Job] = []
        self.deployments = 0

    def draw(self, strategy: st.SearchStrategy[Input]) -> Input:
        return self.data.draw(strategy)

    def lease(self) -> st.SearchStrategy[tuple[str, str, str]]:
        """A lease: one that was granted, now or before, or one that never was."""
        known = [self.slot(job) for job in self.jobs]
        mixed = st.tuples(
            st.sampled_from([SEED + "0000", "", *(job.lease.id for job in self.jobs)]),
            self.run_id(),
            st.sampled_from((MAIN, *STEP_IDS)),
        )
        return st.one_of(st.sampled_from(known), mixed) if known else mixed

    def run_id(self) -> st.SearchStrategy[str]:
        return st.sampled_from([*self.bench.store.disk.runs, "01K0000000000000000000NONE", ""])

    def operations(self) -> st.SearchStrategy[tuple[Operation, ...]]:
        return operations(SLUGS)

    def input(self) -> Input:
        """Anything, most often what moves a run on."""
        held = [job for job in self.jobs if self.bench.holds(job)]
        kind = self.data.draw(st.sampled_from(range(24)))
        if kind < 12 and held:
            return self.draw(self.reply(st.sampled_from(held).map(self.slot)))
        if kind < 15:
            return self.draw(self.events())
        return self.draw(self.rare()[kind % len(self.rare())])

    def reply(self, lease: st.SearchStrategy[tuple[str, str, str]]) -> st.SearchStrategy[Input]:
        return st.builds(lambda held, out: given_.ReplyReceived(*held, out), lease, outcomes(SLUGS))

    def events(self) -> st.SearchStrategy[Input]:
        return st.lists(self.one_event(), min_size=1, max_size=3).map(
            lambda some: given_.EventsReceived(tuple(some), fresh=False)
        )

    def one_event(self) -> st.SearchStrategy[EventRow]:
        return st.builds(
            self.event,
            st.sampled_from((*EVENT_NAMES, "go", "news", "stop")),
            st.integers(0, 6),
            st.sampled_from(("", "", "k1")),
        )

    def rare(self) -> list[st.SearchStrategy[Input]]:
        lease, ms = self.lease(), st.sampled_from((0, 1, 60_000))
        return [
            self.reply(lease),
            st.builds(
                lambda held, ops: given_.StepsCheckpointed(*held, ops), lease, self.operations()
            ),
            st.builds(lambda held, by: given_.LeaseExtended(*held, by), lease, ms),
            st.builds(lambda held, b: given_.LeaseLost(*held, begun=b), lease, st.booleans()),
            st.builds(given_.SignalSent, st.sampled_from(SIGNALS), st.just(b"1")),
            st.builds(given_.CancelAsked, self.run_id()),
            st.builds(given_.RerunAsked, self.run_id()),
            st.builds(given_.InvokeAsked, self.one_event(), st.sampled_from((*SLUGS, "nobody"))),
            st.builds(
                given_.PruneAsked, st.just(self.bench.now_ms + 1), st.sampled_from((0, 1, 50))
            ),
            self.deployment(),
            st.one_of(
                st.builds(given_.AppRemoved, st.sampled_from((APP, "x"))),
                st.builds(
                    given_.AppFailed, st.sampled_from((APP, "x")), st.just(""), st.just("down")
                ),
            ),
        ]

    @staticmethod
    def slot(job: Job) -> tuple[str, str, str]:
        return job.lease.id, job.lease.run_id, job.lease.key

    def event(self, name: str, number: int, key: str) -> EventRow:
        return self.bench.event(name, {"n": number, "k": number % 2}, key)

    def deployment(self) -> st.SearchStrategy[Input]:
        functions = st.lists(
            st.builds(
                lambda name, starts, stops, retries: function(
                    name, triggers=starts, cancel=stops, retries=retries
                ),
                st.sampled_from(NAMES),
                triggers(),
                cancels(),
                st.sampled_from((None, 0, 1)),
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda row: row.slug,
        )
        self.deployments += 1
        row = app_row(checksum=str(self.deployments))
        always = function("always", event="go", retries=1)
        return functions.map(lambda some: given_.AppRegistered(row, (always, *some)))

    def claim(self) -> None:
        """A pump asks. Jobs are remembered: their holders may speak at any time."""
        asked = given_.WorkAsked(SEED, ((APP, 5), ("@gateway", 5)), 10, 60_000)
        work = self.bench.submit(asked)
        assert isinstance(work, Work)
        self.jobs += work.jobs


def rules(data: st.DataObject) -> Rules:
    """Mostly roomy ones."""
    return data.draw(st.sampled_from((RULES, RULES, TIGHT)))


def live(data: st.DataObject, bench: Bench, judge: "Law") -> None:
    peers = Peers(bench, data)
    bench.submit(peers.draw(peers.deployment()))
    bench.submit(given_.EventsReceived((peers.event("go", 1, ""),)))
    peers.claim()
    for _ in range(data.draw(st.integers(1, STEPS_MAX))):
        bench.pass_time(data.draw(st.sampled_from((0, 0, 0, 1, 40_000, 86_400_000))))
        judge(bench, peers.input())
        if data.draw(st.booleans()):
            peers.claim()
        assert broken_everywhere(bench.reader) == []


class Law:
    """What is done with an input, and what is demanded of it."""

    def __call__(self, bench: Bench, given: Input) -> None:
        bench.submit(given)


@settings(max_examples=LAWS * 100, deadline=None)
@given(st.data())
def test_total_and_the_rows_keep_their_invariant(data: st.DataObject) -> None:
    live(data, Bench(rules(data)), Law())


class Deterministic(Law):
    def __call__(self, bench: Bench, given: Input) -> None:
        moment = bench.moment()
        assert needs(given, moment, bench.catalog) == needs(given, moment, bench.catalog)
        assert bench.foreseen(given, moment) == bench.foreseen(given, moment)
        bench.submit(given)


@settings(max_examples=LAWS * 40, deadline=None)
@given(st.data())
def test_deterministic(data: st.DataObject) -> None:
    live(data, Bench(rules(data)), Deterministic())


ASKS_FOR_MORE = (given_.RerunAsked, given_.PruneAsked)


class Idempotent(Law):
    def __call__(self, bench: Bench, given: Input) -> None:
        bench.submit(given)
        after, records = snapshot(bench), list(bench.records)
        if isinstance(given, ASKS_FOR_MORE):
            return
        again = bench.submit(given)
        assert snapshot(bench) == after, (given, records, bench.records)
        if isinstance(given, given_.ReplyReceived):
            assert isinstance(again, Done)
            assert again.verdict is not Verdict.APPLIED


@settings(max_examples=LAWS * 100, deadline=None)
@given(st.data())
def test_idempotent(data: st.DataObject) -> None:
    live(data, Bench(rules(data)), Idempotent())


class Monotonic(Law):
    def __call__(self, bench: Bench, given: Input) -> None:
        disk = bench.store.disk
        steps = {(step.run_id, step.id): step for step in disk.steps}
        ended = {run.id: run for run in disk.runs.values() if run.ended}
        bench.submit(given)
        now = {(step.run_id, step.id): step for step in disk.steps}
        for slot, step in steps.items():
            assert slot[0] not in disk.runs or now[slot] == step
        for run_id, run in ended.items():
            assert disk.runs.get(run_id, run) == run


@settings(max_examples=LAWS * 40, deadline=None)
@given(st.data())
def test_monotonic(data: st.DataObject) -> None:
    live(data, Bench(rules(data)), Monotonic())


class Fenced(Law):
    def __call__(self, bench: Bench, given: Input) -> None:
        if isinstance(given, given_.ReplyReceived | given_.StepsCheckpointed):
            held = bench.lease(given.run_id, given.key)
            decision = bench.foreseen(given)
            assert isinstance(decision.answer, Done)
            if held is not None and held.id != given.lease_id:
                assert decision.answer.verdict is Verdict.FENCED
            if decision.answer.verdict is not Verdict.APPLIED and decision.records:
                # Only a checkpoint of more than the run may have ends it, though it is refused.
                assert decision.answer.verdict is Verdict.REFUSED
                assert "RunFinished" in names(decision.records)
                assert "StepSaved" not in names(decision.records)
        bench.submit(given)


@settings(max_examples=LAWS * 40, deadline=None)
@given(st.data())
def test_fenced(data: st.DataObject) -> None:
    live(data, Bench(rules(data)), Fenced())


@settings(max_examples=LAWS * 60, deadline=None)
@given(st.data())
def test_everything_ends_without_a_single_action(data: st.DataObject) -> None:
    """The bench performs none. Time alone, and somebody who asks for work, bring every run home."""
    bench = Bench(rules(data))
    live(data, bench, Law())
    bench.register(*(function(name, event="never") for name in ("always", *NAMES)), checksum="z")
    for _ in range(300):
        for job in bench.claim():
            bench.reply(job, returned())
        going = [run for run in bench.runs() if not run.ended]
        if not going:
            break
        bench.pass_time(1_000 if bench.next_due_ms is None else 0)
        bench.now_ms = max(bench.now_ms, bench.next_due_ms or 0)
    assert all(run.status is not RunStatus.RUNNING for run in bench.runs())
    assert [run for run in bench.runs() if not run.ended] == []
