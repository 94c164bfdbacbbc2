"""Sleeps, waits for events, waits for signals: opened once, ended once, in time (server.md 4.2 to
4.5)."""

import pytest

from stepwell.server.engine.message.action import Warn
from stepwell.server.engine.message.input import (
    Done,
    EventsReceived,
    ReplyReceived,
    SignalSent,
    Verdict,
)
from stepwell.server.engine.row.run import MAIN, RunStatus, WaitKind
from stepwell.server.engine.rules import DAY_MS, Rules
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import Operation, Sleep, WaitForEvent, WaitForSignal
from tests.bench import Bench, function, names, planned, progressed, returned, step_run

W = step_hash("w")


def waiting(condition: str = "", timeout: str = "1h", data: object = None) -> Bench:
    bench = Bench()
    bench.begin(data=data)
    operation = WaitForEvent(id=W, name="w", event="news", timeout=timeout, condition=condition)
    bench.answer(progressed(operation))
    return bench


def only(bench: Bench) -> str:
    return bench.runs()[0].id


# -- sleep ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "after_ms"),
    [
        ("1h30m", 5_400_000),
        ("250ms", 250),
        ("", 0),
        ("0", 0),
        ("2020-01-01T00:00:00Z", 0),
        ("2027-01-15T08:00:10Z", 10_000),
    ],
)
def test_a_sleep_ends_on_time(until: str, after_ms: int) -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(Sleep(id=W, name="z", until=until)))
    if after_ms:
        bench.pass_time(after_ms - 1)
        assert bench.claim() == []
        assert bench.memos(run.id) == {}
        bench.pass_time(1)
    assert bench.claim() == [], "the sleep ends in one commit"
    assert bench.memos(run.id) == {"z": None}
    step = bench.steps(run.id)[0]
    assert (step.op, step.ended_ms - step.began_ms) == ("Sleep", after_ms)
    assert bench.answer(returned()).status is RunStatus.COMPLETED


@pytest.mark.parametrize(
    ("operation", "word"),
    [
        (Sleep(id=W, name="z", until="367d"), b"InngestErrTimeoutTooLong"),
        (Sleep(id=W, name="z", until="9999-01-01T00:00:00Z"), b"InngestErrTimeoutTooLong"),
        (Sleep(id=W, name="z", until="soon"), b"InvalidDuration"),
        (WaitForEvent(id=W, event="x", timeout="367d"), b"InngestErrTimeoutTooLong"),
        (WaitForEvent(id=W, event="x", timeout="soon"), b"InvalidDuration"),
        (WaitForEvent(id=W, event="x", timeout="1h", condition="("), b"InvalidExpression"),
        (WaitForSignal(id=W, signal="x", timeout="367d"), b"InngestErrTimeoutTooLong"),
        (WaitForSignal(id=W, signal="x", timeout="soon"), b"InvalidDuration"),
    ],
)
def test_what_cannot_be_waited_for_fails_the_run_at_once(operation: Operation, word: bytes) -> None:
    bench = Bench()
    run = bench.begin()
    ended = bench.answer(progressed(operation))
    assert ended.status is RunStatus.FAILED
    assert word in (ended.output or b"")
    assert not bench.items(run.id)
    assert not bench.waits(run.id)


# -- events ----------------------------------------------------------------------------


def test_a_matching_event_ends_the_wait_and_is_what_the_run_is_told() -> None:
    bench = waiting("async.data.id == event.data.id", data={"id": 7})
    bench.send("other", {"id": 7})
    bench.send("news", {"id": 8})
    assert bench.claim() == []
    bench.send("news", {"id": 7})
    run_id = only(bench)
    memo = bench.memos(run_id)["w"]
    assert isinstance(memo, dict)
    assert (memo["name"], memo["data"], memo["user"]) == ("news", {"id": 7}, {})
    assert not bench.waits(run_id)
    assert set(bench.items(run_id)) == {MAIN}
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def warnings_of(bench: Bench) -> str:
    return "; ".join(action.text for action in bench.actions if isinstance(action, Warn))


@pytest.mark.parametrize(
    ("condition", "word"),
    [
        ('"approved"', "gives a string, never true or false"),
        ("async.data.n + 1.0", "gives a "),
        ("async.name == 'old'", "can never be true"),
        ("event.data.name", "gives a string"),
    ],
)
def test_a_wait_that_nothing_can_end_is_told_of_when_it_begins(condition: str, word: str) -> None:
    bench = waiting(condition, data={"name": "x"})
    assert word in warnings_of(bench)
    assert f'run {only(bench)} waits in step "w"' in warnings_of(bench)
    assert bench.waits(only(bench)), "as the official server, it waits all the same"


@pytest.mark.parametrize(
    ("condition", "data", "word"),
    [
        ("async.data.approved", {"approved": "yes"}, "it gives a string, not true or false"),
        ("int(async.data.n) > 1", {"n": "x"}, "int"),
        ("async.data.approved", {}, ""),
        ("async.data.user && async.data.user.vip", {"user": None}, ""),
        ("async.data.note", {"note": ""}, ""),
    ],
)
def test_a_condition_that_cannot_be_judged_is_told_of(
    condition: str, data: dict[str, object], word: str
) -> None:
    bench = waiting(condition)
    assert warnings_of(bench) == ""
    bench.send("news", data)
    assert bench.waits(only(bench)), "that is no match"
    assert (word in warnings_of(bench)) if word else warnings_of(bench) == ""


def test_time_ends_the_wait_with_nothing() -> None:
    bench = waiting(timeout="1h")
    bench.pass_time(3_600_000)
    bench.claim()
    assert bench.memos(only(bench)) == {"w": None}
    bench.send("news")
    assert len(bench.steps(only(bench))) == 1
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_an_event_at_the_last_moment_comes_too_late() -> None:
    bench = waiting(timeout="1h")
    bench.pass_time(3_600_000)
    bench.send("news")
    assert bench.memos(only(bench)) == {}
    bench.claim()
    assert bench.memos(only(bench)) == {"w": None}


def test_without_a_timeout_a_wait_ends_at_once() -> None:
    bench = waiting(timeout="")
    assert bench.memos(only(bench)) == {"w": None}
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_an_event_that_came_before_is_not_waited_for() -> None:
    bench = Bench()
    run = bench.begin()
    bench.send("news")
    bench.answer(progressed(WaitForEvent(id=W, name="w", event="news", timeout="1h")))
    assert bench.memos(run.id) == {}


def test_the_runs_own_event_does_not_end_its_wait() -> None:
    """Even where the event is met late, because there was too much to do."""
    bench = Bench(Rules(starts_per_decision_max=0))
    bench.register(function(event="go"))
    event_id = bench.send("go")
    bench.claim()
    (run,) = bench.reader.runs_of_event(event_id)
    wait = WaitForEvent(id=W, name="w", event="go", timeout="1h")
    bench.answer(progressed(wait))
    assert bench.memos(run.id) == {}


def test_one_event_ends_every_wait_it_matches() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    for _ in range(25):
        bench.send("go")
    for job in bench.claim():
        bench.reply(job, progressed(WaitForEvent(id=W, name="w", event="news", timeout="1h")))
    bench.send("news", {"x": 1})
    assert bench.looks <= 5, "what many waits need is asked for together"
    assert all(list(bench.memos(run.id)) == ["w"] for run in bench.runs())
    assert len(bench.claim()) == 25


@pytest.mark.parametrize("count", [1, 4, 5, 6, 23])
def test_more_waits_than_one_decision_may_end_are_ended_by_the_next(count: int) -> None:
    bench = Bench(Rules(waits_per_decision_max=5))
    bench.register(function(event="go"))
    for _ in range(count):
        bench.send("go")
    for job in bench.claim():
        bench.reply(job, progressed(WaitForEvent(id=W, name="w", event="news", timeout="1h")))
    bench.send("news")
    assert names(bench.records).count("WaitClosed") == min(count, 5)
    for _ in range(count // 5 + 1):
        bench.claim(capacity=0)
        assert names(bench.records).count("WaitClosed") <= 5
    assert all(list(bench.memos(run.id)) == ["w"] for run in bench.runs())
    assert [item for item in bench.store.disk.items if item.key != MAIN] == []


def test_pages_of_waits_pass_over_what_others_ended_meanwhile() -> None:
    bench = Bench(Rules(waits_per_decision_max=2))
    bench.register(function(event="go"))
    for _ in range(7):
        bench.send("go")
    jobs = bench.claim()
    for job in jobs:
        bench.reply(job, progressed(WaitForEvent(id=W, name="w", event="news", timeout="1h")))
    first, second = bench.event("news", {"n": 1}), bench.event("news", {"n": 2})
    from stepwell.server.engine.message.input import EventsReceived

    bench.submit_all([EventsReceived((first,)), EventsReceived((second,))])
    for _ in range(8):
        bench.claim(capacity=0)
    told = [bench.memos(run.id)["w"] for run in bench.runs()]
    assert {memo["data"]["n"] for memo in told} <= {1, 2}  # type: ignore[index]
    assert len(told) == 7


def test_who_begins_to_wait_between_two_pages_waits_for_another_event() -> None:
    bench = Bench(Rules(waits_per_decision_max=1))
    bench.register(function(event="go"))
    for _ in range(3):
        bench.send("go")
    first, *rest = bench.claim()
    wait = progressed(WaitForEvent(id=W, name="w", event="news", timeout="1h"))
    bench.reply(first, wait)
    bench.send("news")
    bench.pass_time(5)
    for job in rest:
        bench.reply(job, wait)
    for _ in range(5):
        bench.claim(capacity=0)
    assert sorted(len(bench.steps(run.id)) for run in bench.runs()) == [0, 0, 1]


def test_a_wait_reported_again_is_the_same_wait() -> None:
    bench = Bench()
    run = bench.begin()
    wait = WaitForEvent(id=W, name="w", event="news", timeout="1h")
    bench.answer(progressed(wait, planned("a")))
    bench.pass_time(60_000)
    opened = bench.waits(run.id)
    bench.reply(bench.job(), progressed(step_run("a", mode="race"), wait))
    assert bench.waits(run.id) == opened


# -- signals ----------------------------------------------------------------------------


def listen(bench: Bench, name: str = "w", conflict: str = "fail", timeout: str = "") -> None:
    operation = WaitForSignal(
        id=step_hash(name), name=name, signal="bell", conflict=conflict, timeout=timeout
    )
    bench.answer(progressed(operation))


def ring(bench: Bench, data: bytes = b"5") -> Done:
    answer = bench.submit(SignalSent("bell", data))
    assert isinstance(answer, Done)
    return answer


def test_a_signal_ends_the_wait_once() -> None:
    bench = Bench()
    run = bench.begin()
    assert ring(bench) == Done(Verdict.GONE, reason="No signal found")
    listen(bench)
    assert bench.waits(run.id)[0].until_ms == bench.now_ms + 365 * DAY_MS
    assert ring(bench, b'{"x":1}') == Done(Verdict.APPLIED, run.id)
    assert bench.memos(run.id) == {"w": {"data": {"data": {"x": 1}, "signal": "bell"}}}
    assert ring(bench).verdict is Verdict.GONE
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_a_second_waiter_fails_unless_it_replaces() -> None:
    bench = Bench()
    first = bench.begin()
    listen(bench, timeout="1h")
    (second,) = bench.reader.runs_of_event(bench.send("go"))
    listen(bench)
    failed = bench.run(second.id)
    assert failed.status is RunStatus.FAILED
    assert b"Signal conflict" in (failed.output or b"")

    (third,) = bench.reader.runs_of_event(bench.send("go"))
    listen(bench, conflict="replace")
    assert bench.waits(first.id) == []
    assert bench.run(first.id).parts == 1
    assert ring(bench).subject == third.id
    # Whoever was replaced hears nothing until its own time is up, and then nothing came.
    bench.pass_time(3_600_000)
    bench.claim()
    assert bench.memos(first.id) == {"w": None}
    assert bench.status(first.id) is RunStatus.RUNNING


def test_two_in_one_commit_see_each_other() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    bench.send("go")
    bench.send("go")
    replies = [
        ReplyReceived(
            job.lease.id,
            job.run.id,
            MAIN,
            progressed(WaitForSignal(id=W, name="w", signal="bell")),
        )
        for job in bench.claim()
    ]
    bench.submit_all([*replies, SignalSent("bell", b"1"), SignalSent("bell", b"2")])
    assert sorted(run.status.name for run in bench.runs()) == ["FAILED", "RUNNING"]
    assert [len(bench.steps(run.id)) for run in bench.runs()].count(1) == 1
    assert bench.waits(bench.runs()[0].id, WaitKind.SIGNAL) == []


def test_a_wait_that_ended_earlier_in_the_commit_is_not_replaced() -> None:
    """The store still shows it when the signal is looked up; the view knows better."""
    from stepwell.server.engine.message.input import WorkAsked
    from tests.bench import SEED

    bench = Bench()
    first = bench.begin()
    listen(bench, timeout="1m")
    bench.send("go")
    job = bench.job()
    bench.pass_time(60_000)
    operation = WaitForSignal(id=W, name="w", signal="bell", conflict="replace")
    asked = WorkAsked(SEED, (("shop", 5),), 10, 60_000)
    bench.submit_all([asked, ReplyReceived(job.lease.id, job.run.id, MAIN, progressed(operation))])
    assert names(bench.records).count("WaitClosed") == 1
    assert bench.run(first.id).parts == 0
    assert ring(bench).subject == job.run.id


# -- looking back -----------------------------------------------------------------------------


def looking_back(timeout: str = "1h", condition: str = "") -> WaitForEvent:
    return WaitForEvent(
        id=W, name="w", event="news", timeout=timeout, condition=condition, look_back=True
    )


def test_a_wait_may_look_back_to_the_start_of_its_run() -> None:
    bench = Bench()
    bench.send("news", {"n": 1})
    bench.pass_time(1)
    run = bench.begin()
    bench.pass_time(1)
    bench.send("news", {"n": 2})
    bench.send("news", {"n": 3})
    bench.answer(progressed(looking_back(condition="async.data.n > 2")))
    memo = bench.memos(run.id)["w"]
    assert isinstance(memo, dict)
    assert memo["data"] == {"n": 3}
    assert bench.waits(run.id) == []
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_looking_back_sees_what_came_earlier_in_the_commit() -> None:
    bench = Bench()
    run = bench.begin()
    job = bench.job()
    bench.submit_all(
        [
            EventsReceived((bench.event("news", {"n": 1}),)),
            ReplyReceived(job.lease.id, run.id, MAIN, progressed(looking_back())),
        ]
    )
    assert list(bench.memos(run.id)) == ["w"]


def test_looking_back_in_vain_is_waiting() -> None:
    bench = Bench()
    run = bench.begin()
    bench.send("other")
    bench.answer(progressed(looking_back()))
    assert len(bench.waits(run.id)) == 1
    bench.send("news")
    assert list(bench.memos(run.id)) == ["w"]


def test_looking_back_meets_each_event_once_in_a_run() -> None:
    """A function that takes message after message is not given the first one for ever."""
    bench = Bench()
    run = bench.begin()
    for number in range(3):
        bench.send("news", {"n": number})
    taken: list[object] = []
    for number in range(4):
        operation = WaitForEvent(
            id=step_hash(f"w{number}"),
            name=f"w{number}",
            event="news",
            timeout="1h",
            look_back=True,
        )
        bench.answer(progressed(operation))
        memo = bench.memos(run.id).get(f"w{number}")
        taken.append(memo["data"] if isinstance(memo, dict) else memo)
    assert taken == [{"n": 0}, {"n": 1}, {"n": 2}, None]
    assert len(bench.waits(run.id)) == 1
    bench.send("news", {"n": 3})
    assert str(bench.memos(run.id)["w3"]).count("'n': 3") == 1


def test_looking_back_goes_on_beyond_what_is_loaded_at_once() -> None:
    bench = Bench()
    run = bench.begin()
    bench.submit(EventsReceived(tuple(bench.event("news", {"n": n}) for n in range(3_500))))
    bench.answer(progressed(looking_back(condition="async.data.n == 3400")))
    memo = bench.memos(run.id)["w"]
    assert isinstance(memo, dict)
    assert memo["data"] == {"n": 3_400}


def test_a_condition_may_ask_for_the_time() -> None:
    bench = Bench()
    run = bench.begin()
    condition = "date(async.data.until) > now()"
    bench.answer(
        progressed(WaitForEvent(id=W, name="w", event="offer", timeout="1h", condition=condition))
    )
    bench.send("offer", {"until": "2020-01-01T00:00:00Z"})
    assert bench.memos(run.id) == {}
    bench.send("offer", {"until": "2100-01-01T00:00:00Z"})
    assert list(bench.memos(run.id)) == ["w"]


def test_an_expression_that_does_not_compile_is_told_with_its_fault() -> None:
    bench = Bench()
    bench.begin()
    operation = WaitForEvent(id=W, name="w", event="x", timeout="1h", condition="nobody.x == 1")
    ended = bench.answer(progressed(operation))
    for part in (b"InvalidExpression", b"failed to compile", b"nobody", b"use event, async"):
        assert part in (ended.output or b"")
