"""What the timeline makes of the rows of a run."""

from typing import Any

import msgspec
import pytest

from stepwell.server.engine.row.run import (
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
from stepwell.server.query.timeline import Rows, Span, SpanStatus, timeline

NOW = 1_743_130_137_000
RUN = Run("r1", "shop-a", "shop", ("e1",), NOW, RunStatus.RUNNING, NOW + 1)


def step(name: str, memo: bytes = b'{"data":1}', op: str = "StepRun", at: int = 0) -> Step:
    return Step("r1", f"hash-{name}", at, op, name, memo, NOW + at, NOW + at + 10)


def note(name: str, attempt: int, at: int, body: bytes = b'{"message":"bad"}') -> Note:
    return Note("r1", at, NOW + at, "retry", "", name, attempt, body)


def told(**rows: Any) -> Span:
    return timeline(Rows(rows.pop("run", RUN), **rows))


def test_steps_are_told_in_the_order_of_their_beginning() -> None:
    span = told(steps=[step("b", at=20), step("a", at=0)])
    assert [child.name for child in span.children] == ["a", "b"]
    first = span.children[0]
    assert (first.kind, first.status, first.output) == (
        "StepRun",
        "COMPLETED",
        msgspec.Raw(b'{"data":1}'),
    )
    assert (first.started_ms, first.ended_ms) == (NOW, NOW + 10)


def test_failed_attempts_belong_to_their_step_or_to_the_function() -> None:
    notes = [note("pay", 0, 5), note("", 1, 30), note("later", 0, 40)]
    span = told(steps=[step("pay")], notes=notes)
    pay, function, later = span.children
    assert [child.attempt for child in pay.children] == [0]
    assert (function.name, function.attempt, function.detail) == ("function", 1, "Error: bad")
    assert (later.name, later.kind) == ("later", "attempt")


def test_a_step_that_failed_for_good_says_why() -> None:
    (failed,) = told(steps=[step("x", b'{"error":{"message":"no","name":"E"}}')]).children
    assert (failed.status, failed.detail) == (SpanStatus.FAILED, "E: no")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (WaitKind.EVENT, "waits for an event go with async.x == 1, until 2025-03-28T03:"),
        (WaitKind.SIGNAL, "waits for the signal go, until"),
        (WaitKind.INVOKE, "waits for run go, until"),
    ],
)
def test_what_is_waited_for_is_said(kind: WaitKind, said: str) -> None:
    condition = "async.x == 1" if kind is WaitKind.EVENT else ""
    wait = Wait("r1", "h", kind, "go", NOW, NOW + 3_600_000, condition, label="ok?")
    span = told(waits=[wait])
    (waiting,) = span.children
    assert (waiting.name, waiting.status) == ("ok?", SpanStatus.WAITING)
    assert waiting.detail.startswith(said)
    assert span.detail == f"ok? {waiting.detail}"


def test_what_does_not_hold_a_run_up_is_not_told() -> None:
    waits = [Wait("r1", "h", kind, "go", NOW, NOW) for kind in (WaitKind.CANCEL, WaitKind.DEFER)]
    items = [Item("r1", "h", kind, NOW) for kind in (ItemKind.TIMEOUT, ItemKind.DEADLINE)]
    assert told(waits=waits, items=items).children == ()


def test_calls_to_come_and_calls_under_way() -> None:
    call = Item("r1", "", ItemKind.CALL, NOW + 5_000, "shop", attempt=1)
    (queued,) = told(items=[call]).children
    assert queued.status is SpanStatus.QUEUED
    assert queued.detail == "is to be called by app shop at 2025-03-28T02:49:02Z, attempt 2"
    lease = Lease("l", "r1", "", NOW + 6_000, NOW + 9_000)
    (called,) = told(items=[call], leases=[lease]).children
    assert (called.status, called.started_ms) == (SpanStatus.RUNNING, NOW + 6_000)
    targeted = Item("r1", "86f7e437faa5", ItemKind.CALL, NOW, "shop")
    fetch = Item("r1", "86f7e437faa5", ItemKind.GATEWAY, NOW, "@gateway")
    names = [child.name for child in told(items=[targeted, fetch]).children]
    assert names == ["step 86f7e437", "step 86f7e437"]
    slept = Item("r1", "h", ItemKind.SLEEP, NOW + 1_000, target=str(NOW), detail=b"nap")
    (nap,) = told(items=[slept]).children
    assert (nap.name, nap.detail) == ("nap", "sleeps until 2025-03-28T02:48:58Z")


def test_a_run_that_nothing_moves_is_sent_to_the_doctor() -> None:
    assert "stepwell doctor" in told().detail


@pytest.mark.parametrize(
    ("status", "output", "detail"),
    [
        (RunStatus.COMPLETED, b'"done"', ""),
        (RunStatus.FAILED, b'{"message":"no","name":"E"}', "E: no"),
        (RunStatus.CANCELLED, None, ""),
    ],
)
def test_an_ended_run(status: RunStatus, output: bytes | None, detail: str) -> None:
    run = msgspec.structs.replace(RUN, status=status, output=output, ended_ms=NOW + 9)
    span = told(run=run)
    assert (span.status, span.detail, span.ended_ms) == (status.name, detail, NOW + 9)
    assert span.output == (msgspec.UNSET if output is None else msgspec.Raw(output))
