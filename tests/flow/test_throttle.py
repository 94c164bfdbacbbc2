"""Throttle: starts per period, in order, whatever else happens."""

from random import Random

import pytest

from stepwell.server.engine.message.input import CancelAsked, LeaseLost
from stepwell.wire.failure import Failure
from stepwell.wire.function_config import Concurrency, Throttle
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import Sleep, StepError
from tests.bench import NOW_MS, progressed, step_run
from tests.flow.flow_bench import MINUTE, SECOND, FlowBench, controlled


def starts(bench: FlowBench, until_ms: int, step_ms: int = 500) -> list[int]:
    """When first calls began, in seconds after the beginning; every call returns at once."""
    found: list[int] = []
    while bench.now_ms < NOW_MS + until_ms:
        for job in bench.claim():
            found.append((bench.now_ms - NOW_MS) // 1000)
            bench.finish(job)
        bench.now_ms = min(bench.now_ms + step_ms, NOW_MS + until_ms)
    return found


def test_T1_limit_and_burst_at_once_then_evenly(bench: FlowBench) -> None:
    bench.register(controlled(throttle=Throttle(2, "6s", 1)))
    for _ in range(6):
        bench.send("go")
    assert starts(bench, 30_000) == [0, 0, 0, 3, 6, 9]


def test_T1_nobody_asks_before_the_time(bench: FlowBench) -> None:
    bench.register(controlled(throttle=Throttle(1, "1m")))
    for _ in range(3):
        bench.send("go")
    bench.finish(bench.job())
    assert bench.claim() == []
    bench.claim()
    assert bench.next_due_ms == NOW_MS + MINUTE
    bench.now_ms = NOW_MS + MINUTE - 1
    assert bench.claim() == []
    bench.now_ms = NOW_MS + MINUTE
    assert len(bench.claim()) == 1


@pytest.mark.parametrize("key", ["", "event.data.user"])
def test_T2_keys_are_throttled_each_by_itself(bench: FlowBench, key: str) -> None:
    bench.register(controlled(throttle=Throttle(1, "10s", key=key)))
    for user in "aabb":
        bench.send("go", {"user": user})
    expected = [0, 0, 10, 10] if key else [0, 10, 20, 30]
    assert starts(bench, 40_000) == expected


def test_T3_retries_sleeps_and_steps_are_not_throttled(bench: FlowBench) -> None:
    bench.register(controlled(throttle=Throttle(1, "1h")))
    bench.send("go")
    bench.reply(bench.job(), progressed(step_run("a")))
    failure = Failure(name="E", message="m")
    failing = StepError(id=step_hash("b"), name="b", failure=failure)
    bench.reply(bench.job(), progressed(failing))
    bench.pass_time(60 * SECOND)
    bench.reply(bench.job(), progressed(Sleep(id=step_hash("n"), name="n", until="10s")))
    bench.pass_time(10 * SECOND)
    bench.claim(capacity=0)
    bench.finish(bench.job())


def test_T4_a_key_that_cannot_be_had_shares_one_bucket(bench: FlowBench) -> None:
    bench.register(controlled(throttle=Throttle(1, "10s", key="int(event.data.user)")))
    for user in "ab":
        bench.send("go", {"user": user})
    assert starts(bench, 15_000) == [0, 10]


def test_T5_a_restart_does_not_move_the_next_start(bench: FlowBench) -> None:
    bench.register(controlled(throttle=Throttle(7, "10s")))
    for _ in range(9):
        bench.send("go")
    assert len(bench.claim()) == 7
    for _ in range(3):
        bench.restart()
        bench.submit(CancelAsked("none"))
    again = bench.claim()
    assert len(again) == 7, "the calls of the process that died are begun again, without a token"
    bench.claim()
    expected = NOW_MS + 1_429
    assert bench.next_due_ms == expected
    bench.now_ms = expected - 1
    assert bench.claim() == []
    bench.now_ms = expected
    assert len(bench.claim()) == 1


def test_T7_a_new_limit_counts_from_now_and_what_was_used_stays_used(bench: FlowBench) -> None:
    bench.deploy(controlled(throttle=Throttle(1, "10s")))
    for _ in range(4):
        bench.send("go")
    bench.finish(bench.job())
    bench.deploy(controlled(throttle=Throttle(1, "2s")))
    assert starts(bench, 30_000) == [10, 12, 14]


def test_T8_a_run_cancelled_while_it_waits_takes_no_token(bench: FlowBench) -> None:
    bench.register(controlled(throttle=Throttle(1, "10s")))
    sent = [bench.send("go") for _ in range(3)]
    bench.finish(bench.job())
    (waiting,) = bench.runs_of(sent[1])
    assert bench.claim() == []
    bench.submit(CancelAsked(waiting.id))
    assert starts(bench, 30_000) == [10]


def test_T9_with_concurrency_the_token_is_taken_once_when_the_call_begins(bench: FlowBench) -> None:
    bench.register(controlled(throttle=Throttle(1, "10s"), concurrency=(Concurrency(1),)))
    bench.send("go")
    (job,) = bench.claim()
    bench.send("go")
    bench.at(25_000)
    assert bench.claim() == []
    bench.submit(LeaseLost(job.lease.id, job.run.id, job.lease.key))
    for _ in range(2):
        bench.finish(bench.job())
    assert all(run.ended for run in bench.runs())
    assert bench.now_ms == NOW_MS + 25_000


def test_a_thousand_waiting_starts_cost_one_look_at_a_time(bench: FlowBench) -> None:
    bench.register(
        controlled(throttle=Throttle(1, "1s"), concurrency=(Concurrency(5, "event.data.n"),))
    )
    for number in range(120):
        bench.send("go", {"n": number})
    bench.claim()
    bench.claim()
    for second in range(1, 6):
        bench.at(second * SECOND)
        assert len(bench.claim()) == 1
        assert len(bench.records) < 20


@pytest.mark.parametrize("key", ["", "event.data.user"])
def test_T6_however_many_ask_the_gaps_are_those_of_all_together(bench: FlowBench, key: str) -> None:
    """Three pumps ask in turn, at moments of their own; one of them dies now and then."""
    draw = Random(6)
    bench.register(controlled(throttle=Throttle(2, "2s", 1, key)))
    for _ in range(120):
        bench.send("go", {"user": "amy"})
    begun: dict[str, int] = {}
    while len(begun) < 120:
        for _ in range(3):
            for job in bench.claim(capacity=draw.randrange(1, 40)):
                begun.setdefault(job.run.id, bench.now_ms)
            bench.pass_time(draw.randrange(120))
        if draw.random() < 0.05:
            # What was under way is called again, and is no start.
            bench.restart()
    for place, at_ms in enumerate(sorted(begun.values())):
        assert at_ms - NOW_MS >= max(place - 2, 0) * SECOND
