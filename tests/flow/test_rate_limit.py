"""Rate limits and idempotency: what is too much starts no run, and says so."""

import msgspec
import pytest

from stepwell.server.engine.message.input import Done, InvokeAsked, Verdict
from stepwell.server.engine.row.flow import KeyKind
from stepwell.server.engine.row.run import RunStatus
from stepwell.wire.function_config import Debounce, RateLimit, Singleton
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import InvokeFunction
from tests.bench import APP, NOW_MS, function, given_, progressed
from tests.flow.flow_bench import DAY, HOUR, MINUTE, SECOND, FlowBench, controlled

PER_USER = "event.data.user"


@pytest.mark.parametrize(
    ("limit", "period", "at_once", "interval_ms"),
    [
        (1, "1m", 1, MINUTE),
        (5, "1h", 1, 12 * MINUTE),
        (20, "1h", 3, 3 * MINUTE),
        (100, "1m", 11, 600),
    ],
)
def test_R1_a_tenth_at_once_then_evenly(
    bench: FlowBench, limit: int, period: str, at_once: int, interval_ms: int
) -> None:
    bench.register(controlled(rate_limit=RateLimit(limit, period)))
    first = [bench.send("go") for _ in range(at_once + 2)]
    assert bench.started(*first) == [True] * at_once + [False] * 2
    bench.pass_time(interval_ms - 1)
    assert not bench.started(bench.send("go"))[0]
    bench.pass_time(1)
    assert bench.started(bench.send("go"), bench.send("go")) == [True, False]


def test_R2_the_exact_window_admits_all_of_it_at_once(bench: FlowBench) -> None:
    bench.register(controlled(rate_limit=RateLimit(3, "1m", algorithm="window")))
    sent: list[str] = []
    for second in (0, 10, 20, 59):
        bench.at(second * SECOND)
        sent.append(bench.send("go"))
    assert bench.started(*sent) == [True, True, True, False]
    (dropped,) = bench.drops(sent[3])
    assert dropped.until_ms == NOW_MS + MINUTE
    bench.at(MINUTE - 1)
    assert not bench.started(bench.send("go"))[0]
    bench.at(MINUTE)
    assert bench.started(bench.send("go"), bench.send("go")) == [True, False]
    bench.restart()
    bench.at(MINUTE + 10 * SECOND)
    assert bench.started(bench.send("go"), bench.send("go")) == [True, False]


def test_R3_a_drop_is_recorded_with_its_reason_and_when_it_would_be_admitted(
    bench: FlowBench,
) -> None:
    bench.register(controlled(rate_limit=RateLimit(1, "1m", PER_USER)))
    bench.send("go", {"user": "a"})
    bench.pass_time(10 * SECOND)
    event = bench.send("go", {"user": "a"})
    (dropped,) = bench.drops(event)
    assert (dropped.reason.value, dropped.function) == ("RateLimit", f"{APP}-work")
    assert (dropped.at_ms, dropped.until_ms) == (bench.now_ms, NOW_MS + MINUTE)
    assert dropped.key.endswith(':"a"')
    assert bench.reader.event(event) is not None
    bench.now_ms = dropped.until_ms - 1
    assert not bench.started(bench.send("go", {"user": "a"}))[0]
    bench.now_ms = dropped.until_ms
    assert bench.started(bench.send("go", {"user": "a"}))[0]


@pytest.mark.parametrize("data", [{}, {"user": False}])
def test_R4_a_key_that_is_false_or_missing_is_not_limited(bench: FlowBench, data: object) -> None:
    bench.register(controlled(rate_limit=RateLimit(1, "1m", PER_USER)))
    assert bench.started(*(bench.send("go", data) for _ in range(3))) == [True] * 3


def test_R5_two_events_of_one_commit_share_the_limit(bench: FlowBench) -> None:
    bench.register(controlled(rate_limit=RateLimit(1, "1m")))
    events = [bench.event("go") for _ in range(3)]
    inputs = [given_.EventsReceived((events[0], events[1])), given_.EventsReceived((events[2],))]
    bench.submit_all([*inputs])
    assert bench.started(*(event.id for event in events)) == [True, False, False]


def test_R6_an_event_sent_again_does_not_use_the_limit_again(bench: FlowBench) -> None:
    bench.register(controlled(rate_limit=RateLimit(2, "1m", algorithm="window")))
    event = bench.event("go", key="order-1")
    bench.submit(given_.EventsReceived((event,), fresh=False))
    bench.restart()
    bench.submit(given_.EventsReceived((event,), fresh=False))
    again = bench.send("go", key="order-1")
    assert bench.started(event.id, again) == [True, False]
    assert bench.started(bench.send("go"), bench.send("go")) == [True, False]


@pytest.mark.parametrize(("after", "starts"), [(DAY - SECOND, False), (DAY + SECOND, True)])
def test_R7_idempotency_holds_for_a_day(bench: FlowBench, after: int, starts: bool) -> None:
    bench.register(
        controlled("one", idempotency="event.data.id", rate_limit=RateLimit(1, "1s")),
        controlled("two", idempotency="event.data.id"),
    )
    event = bench.send("go", {"id": 7})
    assert len(bench.runs_of(event)) == 2
    bench.at(after)
    again = bench.send("go", {"id": 7})
    assert len(bench.runs_of(again)) == (2 if starts else 0)
    assert set(bench.reasons(again)) == (set() if starts else {"Idempotency"})
    assert len(bench.runs_of(bench.send("go", {"id": 8}))) == 2


def test_R8_a_limited_invocation_fails_its_step(bench: FlowBench) -> None:
    bench.register(function("parent", event="begin"), controlled(rate_limit=RateLimit(1, "1m")))
    bench.send("go")
    work = bench.job()
    event = bench.send("begin")
    invoke = InvokeFunction(id=step_hash("child"), name="child", function_id=f"{APP}-work")
    bench.reply(bench.job(), progressed(invoke))
    (run,) = bench.runs_of(event)
    memo = bench.memos(run.id)["child"]
    assert isinstance(memo, dict)
    assert memo["error"]["message"] == "invoked function is rate limited"
    assert bench.answer(given_.Returned(b"1")).status is RunStatus.COMPLETED
    bench.finish(work)


def test_an_invocation_by_hand_is_told_that_it_is_limited(bench: FlowBench) -> None:
    bench.register(controlled(rate_limit=RateLimit(1, "1m")))
    answers = [
        bench.submit(InvokeAsked(bench.event("inngest/function.invoked"), f"{APP}-work"))
        for _ in range(2)
    ]
    assert isinstance(answers[0], Done)
    assert answers[0].verdict is Verdict.APPLIED
    assert answers[1] == Done(Verdict.REFUSED, "", "invoked function is rate limited")


def test_an_invocation_that_is_asked_for_twice_counts_once(bench: FlowBench) -> None:
    """Whoever heard no answer asks again; what was put off or refused has no run to be known by."""
    bench.register(
        controlled("limited", rate_limit=RateLimit(1, "1m")),
        controlled("held", debounce=Debounce("5s")),
    )
    bench.submit(InvokeAsked(bench.event("x"), f"{APP}-limited"))
    for function_id in (f"{APP}-limited", f"{APP}-held"):
        asked = InvokeAsked(bench.event("x"), function_id)
        bench.submit(asked)
        for _ in range(2):
            answer = bench.submit(asked)
            assert isinstance(answer, Done)
            assert answer.verdict is Verdict.ALREADY
            bench.restart()
    bench.tick_to(6 * SECOND)
    assert len(bench.runs()) == 2


def test_R9_the_limit_is_used_before_debouncing(bench: FlowBench) -> None:
    bench.register(
        controlled(rate_limit=RateLimit(2, "1h", algorithm="window"), debounce=Debounce("5s"))
    )
    sent = [bench.send("go") for _ in range(3)]
    assert [bench.reasons(event) for event in sent] == [["Debounce"], [], ["RateLimit"]]
    bench.tick_to(6 * SECOND)
    assert bench.started(*sent) == [False, True, False]


def test_many_invocations_at_once_are_each_judged(bench: FlowBench) -> None:
    limited = controlled(rate_limit=RateLimit(1, "1h", PER_USER))
    bench.register(function("parent", event="begin"), limited)
    bench.send("begin")
    invocations = [
        InvokeFunction(
            id=step_hash(str(number)),
            function_id=limited.slug,
            data=msgspec.Raw(b'{"user":%d}' % number),
        )
        for number in range(40)
    ]
    bench.reply(bench.job(), progressed(*invocations))
    assert len(bench.runs()) == 1 + len(invocations)


def test_reruns_are_not_limited(bench: FlowBench) -> None:
    bench.register(controlled(rate_limit=RateLimit(1, "1h")))
    (run,) = bench.runs_of(bench.send("go"))
    answer = bench.submit(given_.RerunAsked(run.id))
    assert isinstance(answer, Done)
    assert answer.verdict is Verdict.APPLIED


def test_a_spent_key_is_forgotten(bench: FlowBench) -> None:
    bench.register(controlled(rate_limit=RateLimit(1, "1m", PER_USER)))
    for number in range(5):
        bench.send("go", {"user": number})
    asked = given_.PruneAsked(bench.now_ms, 10)
    bench.submit(asked)
    assert not bench.started(bench.send("go", {"user": 1}))[0]
    bench.pass_time(2 * HOUR)
    bench.submit(asked)
    assert bench.reader.flow_keys(KeyKind.RATE) == []


def test_a_singleton_that_refuses_has_used_the_limit(bench: FlowBench) -> None:
    bench.register(
        controlled(rate_limit=RateLimit(2, "1h", algorithm="window"), singleton=Singleton("skip"))
    )
    reasons = [bench.reasons(bench.send("go")) for _ in range(3)]
    assert reasons == [[], ["Singleton"], ["RateLimit"]]
