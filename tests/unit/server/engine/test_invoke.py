"""Another function's run as a step (server.md 4.4): started with the wait, heard at every end."""

import json

import msgspec
import pytest

from stepwell.server.engine.message.input import InvokeAsked, Outcome, Verdict
from stepwell.server.engine.row.run import Run, RunStatus, WaitKind
from stepwell.server.engine.rules import DAY_MS
from stepwell.wire.identifier import function_uuid, step_hash
from stepwell.wire.operation import InvokeFunction
from tests.bench import Bench, broke, function, planned, progressed, returned, step_run

I = step_hash("i")  # noqa: E741 - the step's name


def invoking(timeout: str = "", *, retries: int = 0) -> tuple[Bench, Run, Run]:
    bench = Bench()
    parent = bench.begin(function("parent", event="go"), function("child", retries=retries))
    operation = InvokeFunction(
        id=I,
        name="i",
        function_id="shop-child",
        data=msgspec.Raw(b'{"a":1}'),
        user=msgspec.Raw(b'{"u":2}'),
        v="3",
        timeout=timeout,
    )
    bench.answer(progressed(operation))
    child = next(run for run in bench.runs() if run.function == "shop-child")
    return bench, bench.run(parent.id), child


def test_the_child_is_told_who_invoked_it() -> None:
    bench, parent, child = invoking("1h")
    assert child.parent == f"{parent.id}.{I}"
    event = bench.store.disk.events[child.event_ids[0]]
    body = json.loads(event.body)
    assert (body["name"], body["user"], body["v"]) == ("inngest/function.invoked", {"u": 2}, "3")
    assert body["data"]["a"] == 1
    internal = body["data"]["_inngest"]
    assert internal["fn_id"] == "shop-child"
    assert internal["correlation_id"] == child.parent
    assert internal["expire"] == bench.now_ms + 3_600_000
    (wait,) = bench.waits(parent.id, WaitKind.INVOKE)
    assert (wait.name, wait.until_ms) == (child.id, bench.now_ms + 3_600_000)


@pytest.mark.parametrize(
    ("outcome", "memo"),
    [
        (returned({"x": 1}), {"data": {"x": 1}}),
        (returned(None), {"data": None}),
        (
            broke("no", no_retry=True),
            {"error": {"error": "NonRetriableError", "message": "no", "name": "ValueError"}},
        ),
        (
            broke("no"),
            {"error": {"error": "status 500", "message": "no", "name": "ValueError"}},
        ),
    ],
)
def test_the_parent_hears_how_the_child_ended(outcome: Outcome, memo: object) -> None:
    bench, parent, _child = invoking()
    bench.answer(outcome)
    assert bench.memos(parent.id) == {"i": memo}
    assert not bench.waits(parent.id)
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_a_cancelled_child_is_an_error() -> None:
    from stepwell.server.engine.message.input import CancelAsked

    bench, parent, child = invoking()
    bench.submit(CancelAsked(child.id))
    assert bench.memos(parent.id) == {
        "i": {"error": {"message": "function cancelled", "name": "Error"}}
    }


def test_time_ends_the_step_but_not_the_child() -> None:
    bench, parent, child = invoking("1m")
    job = bench.job()
    bench.pass_time(60_000)
    bench.submit_extension(job)
    bench.claim()
    memo = bench.memos(parent.id)["i"]
    assert isinstance(memo, dict)
    assert memo["error"]["name"] == "InngestInvokeTimeoutError"
    assert bench.status(child.id) is not RunStatus.CANCELLED
    bench.reply(job, returned("late"))
    assert bench.status(child.id) is RunStatus.COMPLETED
    assert len(bench.steps(parent.id)) == 1


def test_without_a_timeout_the_parent_waits_a_year() -> None:
    bench, parent, _child = invoking()
    assert bench.waits(parent.id)[0].until_ms == bench.now_ms + 365 * DAY_MS


def test_a_function_may_be_named_by_its_uuid() -> None:
    bench = Bench()
    bench.begin(function("parent", event="go"), function("child"))
    operation = InvokeFunction(id=I, name="i", function_id=function_uuid("shop-child"))
    bench.answer(progressed(operation))
    child = bench.job()
    assert child.run.function == "shop-child"
    event = bench.store.disk.events[child.run.event_ids[0]]
    assert json.loads(event.body)["data"]["_inngest"]["fn_id"] == "shop-child"
    assert bench.catalog.named(function_uuid("shop-nobody")) is None


def test_nobody_of_that_name() -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(InvokeFunction(id=I, name="i", function_id="shop-nobody")))
    assert bench.memos(run.id) == {
        "i": {
            "error": {
                "message": "could not find function with ID: shop-nobody",
                "name": "Error",
            }
        }
    }
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_the_child_and_the_parents_time_end_in_one_claim() -> None:
    """The parent's time-out and the loss that ends the child fall due together: one of them counts,
    and the step is saved once."""
    from stepwell.server.engine.rules import Rules

    bench = Bench(Rules(losses_max=1))
    parent = bench.begin(function("parent", event="go"), function("child", retries=0))
    wait = InvokeFunction(id=I, name="i", function_id="shop-child", timeout="1m")
    bench.answer(progressed(wait))
    bench.job()
    bench.pass_time(60_000)
    bench.claim()
    saved = [r for r in bench.records if type(r).__name__ == "StepSaved"]
    assert len(saved) == 1
    assert len(bench.steps(parent.id)) == 1


def test_an_invocation_beside_others_is_waited_for_with_them() -> None:
    bench = Bench()
    parent = bench.begin(function("parent", event="go"), function("child"))
    invoke = InvokeFunction(id=I, name="i", function_id="shop-child")
    bench.answer(progressed(invoke, planned("a")))
    jobs = {job.run.function: job for job in bench.claim()}
    bench.reply(jobs["shop-parent"], progressed(step_run("a")))
    assert bench.claim() == []
    bench.reply(jobs["shop-child"], returned(1))
    assert bench.job().run.id == parent.id


def test_somebody_outside_may_invoke_too_and_twice_is_once() -> None:
    bench = Bench()
    bench.register(function("child"))
    event = bench.event("inngest/function.invoked", {"a": 1})
    first = bench.submit(InvokeAsked(event, "shop-child"))
    again = bench.submit(InvokeAsked(event, "shop-child"))
    assert (first.verdict, again.verdict) == (Verdict.APPLIED, Verdict.ALREADY)  # type: ignore[union-attr]
    assert [run.id for run in bench.runs()] == [first.subject]  # type: ignore[union-attr]
    nobody = bench.submit(InvokeAsked(event, "nobody"))
    assert nobody.verdict is Verdict.GONE  # type: ignore[union-attr]
    assert nobody.reason == "could not find function with ID: nobody"  # type: ignore[union-attr]
