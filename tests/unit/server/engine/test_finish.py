"""A run ends: what is kept of it, and who hears (http.md 6.12, server.md 3.10)."""

import json

import msgspec
import pytest

from stepwell.server.engine.message.action import Announce, Topic
from stepwell.server.engine.message.input import CancelAsked, Outcome
from stepwell.server.engine.row.run import EventRow, RunStatus, WaitKind
from stepwell.wire.event import decode_event, encode_event
from stepwell.wire.failure import Failure
from stepwell.wire.function_config import Trigger
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import DeferAbort, DeferAdd, SyncRunComplete, WaitForEvent
from tests.bench import Bench, broke, function, given_, progressed, returned, step_run

FAILED = "inngest/function.failed"
FINISHED = "inngest/function.finished"
CANCELLED = "inngest/function.cancelled"
LISTENERS = [
    function("failed", event=FAILED, condition="event.data.function_id == 'shop-work'"),
    function("finished", event=FINISHED),
    function("cancelled", event=CANCELLED),
]


def heard() -> Bench:
    bench = Bench()
    bench.begin(function(event="go", retries=0), *LISTENERS, data={"k": 1})
    return bench


def functions_of(bench: Bench) -> list[str]:
    return sorted(run.function for run in bench.runs())


def test_a_completed_run_is_told_of_once() -> None:
    bench = heard()
    run = bench.answer(returned({"x": 1}))
    (told,) = bench.emitted(FINISHED)
    assert (told["function_id"], told["run_id"]) == ("shop-work", run.id)
    assert (told["result"], told["_inngest"]) == ({"x": 1}, {"status": "Completed"})
    assert "error" not in told
    assert "correlation_id" not in told
    assert told["event"]["data"] == {"k": 1}  # type: ignore[index]
    assert told["event"]["user"] == {}  # type: ignore[index]
    assert functions_of(bench) == ["shop-finished", "shop-work"]


def test_a_failed_run_is_told_of_as_failed_and_as_finished() -> None:
    bench = heard()
    failure = Failure(name="TypeError", message="nope", stack="at x", cause=msgspec.Raw(b'{"n":1}'))
    sent = b'{"__serialized":true,"message":"nope","name":"TypeError"}'
    outcome = given_.Broke(failure, sent, None, True, "invalid status code: 400")
    run = bench.answer(outcome)
    (failed,), (finished,) = bench.emitted(FAILED), bench.emitted(FINISHED)
    assert failed["error"] == {
        "cause": {"n": 1},
        "error": "NonRetriableError",
        "message": "nope",
        "name": "TypeError",
        "stack": "at x",
    }
    assert failed["result"] == {"__serialized": True, "message": "nope", "name": "TypeError"}
    assert failed["_inngest"] == {"status": "Failed"}
    assert finished["error"] == failed["error"]
    stored = next(e for e in bench.store.disk.events.values() if e.name == FAILED)
    assert json.loads(stored.body)["id"] == run.id
    assert functions_of(bench) == ["shop-failed", "shop-finished", "shop-work"]


def test_an_exhausted_run_says_what_the_status_was() -> None:
    bench = heard()
    bench.answer(broke())
    (failed,) = bench.emitted(FAILED)
    assert failed["error"]["error"] == "status 500"  # type: ignore[index]


def test_a_cancelled_run_has_neither_result_nor_error() -> None:
    bench = heard()
    work = next(run for run in bench.runs())
    bench.submit(CancelAsked(work.id))
    (told,) = bench.emitted(CANCELLED)
    assert not {"result", "error"} & told.keys()
    assert told["_inngest"] == {"status": "Cancelled"}
    assert len(bench.emitted(FINISHED)) == 1
    assert Announce(Topic.RUN_CANCELLED, work.id) in bench.actions
    assert functions_of(bench) == ["shop-cancelled", "shop-finished", "shop-work"]


def test_runs_that_listen_to_ends_end_silently() -> None:
    bench = heard()
    bench.answer(broke())
    for job in bench.claim():
        bench.reply(job, broke("handler", no_retry=True))
    assert len(bench.emitted(FAILED)) == 1
    assert len(bench.emitted(FINISHED)) == 1
    assert len(bench.runs()) == 3


def test_where_nobody_listens_nothing_is_stored() -> None:
    bench = Bench()
    bench.begin(function(event="go", retries=0))
    bench.answer(broke())
    assert [event.name for event in bench.store.disk.events.values()] == ["go"]


def test_a_run_that_waits_for_the_end_of_another_hears_it() -> None:
    bench = Bench()
    bench.register(function("a", event="go"), function("b", event="other"))
    bench.send("go")
    wait = WaitForEvent(
        id="w", name="w", event=FINISHED, timeout="1h", condition="async.data.result == 7.0"
    )
    waiter = bench.answer(progressed(wait))
    bench.send("other")
    bench.answer(returned(6))
    assert bench.memos(waiter.id) == {}
    bench.send("other")
    bench.answer(returned(7))
    assert list(bench.memos(waiter.id)) == ["w"]


def test_a_wait_opened_in_the_same_commit_hears_the_end_too() -> None:
    bench = Bench()
    bench.register(function("a", event="go"), function("b", event="go"))
    bench.send("go")
    jobs = {job.run.function: job for job in bench.claim()}
    wait = WaitForEvent(id="w", name="w", event=FINISHED, timeout="1h")
    first, second = jobs["shop-a"], jobs["shop-b"]
    bench.submit_all(
        [
            given_.ReplyReceived(first.lease.id, first.run.id, "", progressed(wait)),
            given_.ReplyReceived(second.lease.id, second.run.id, "", returned(1)),
        ]
    )
    assert list(bench.memos(first.run.id)) == ["w"]


def test_many_ends_of_one_decision_are_looked_up_together() -> None:
    """One event cancels fifty runs, and every end is heard."""
    from stepwell.wire.function_config import Cancel

    bench = Bench()
    work = function(event="go", cancel=(Cancel(event="stop"),))
    bench.register(work, *LISTENERS)
    for _ in range(50):
        bench.send("go")
    bench.send("stop")
    assert bench.looks <= 8
    assert len(bench.emitted(CANCELLED)) == 50
    assert functions_of(bench).count("shop-cancelled") == 50


@pytest.mark.parametrize(
    ("outcome", "output"),
    [
        (returned(None), b"null"),
        (given_.Returned(b""), b"null"),
        (
            progressed(SyncRunComplete(id="s", data=msgspec.Raw(b'{"status":200}'))),
            b'{"status":200}',
        ),
    ],
)
def test_the_output_is_always_json(outcome: Outcome, output: bytes) -> None:
    bench = Bench()
    bench.begin()
    run = bench.answer(outcome)
    assert (run.status, run.output) == (RunStatus.COMPLETED, output)


def test_a_run_that_ends_before_it_began_began_when_it_ended() -> None:
    bench = Bench()
    run = bench.begin()
    bench.pass_time(5)
    bench.submit(CancelAsked(run.id))
    ended = bench.run(run.id)
    assert (ended.started_ms, ended.ended_ms) == (bench.now_ms, bench.now_ms)


# -- deferrals ----------------------------------------------------------------------------

SCHEDULE = "inngest/deferred.schedule"


def in_session(bench: Bench, name: str, session: str) -> EventRow:
    """An event that belongs to a session."""
    event = bench.event(name)
    decoded = decode_event(event.body)
    meta = msgspec.Raw(msgspec.json.encode({"sessions": {"visit": session}}))
    body = encode_event(msgspec.structs.replace(decoded, meta=meta))
    return msgspec.structs.replace(event, body=body)


def test_what_is_told_about_a_run_belongs_to_the_sessions_of_its_event() -> None:
    bench = Bench()
    later = function("later", event=SCHEDULE)
    bench.register(function(event="go", retries=0), later, *LISTENERS)
    for session, outcome in (("v1", returned()), ("v2", broke())):
        bench.submit(given_.EventsReceived((in_session(bench, "go", session),)))
        bench.answer(progressed(defer("d"), step_run("a")))
        bench.answer(outcome)
        while jobs := bench.claim():
            for job in jobs:
                bench.reply(job, returned())
    told = [json.loads(e.body) for e in bench.store.disk.events.values() if e.name != "go"]
    metas = {(one["name"], one["meta"]["sessions"]["visit"]) for one in told}
    assert metas == {
        *((FINISHED, "v1"), (SCHEDULE, "v1")),
        *((FINISHED, "v2"), (FAILED, "v2"), (SCHEDULE, "v2")),
    }


def test_a_run_without_sessions_is_told_of_without_meta() -> None:
    bench = heard()
    bench.answer(returned())
    assert all(b'"meta"' not in event.body for event in bench.store.disk.events.values())


def defer(name: str, slug: str = "shop-later") -> DeferAdd:
    return DeferAdd(
        id=step_hash(name), name=name, function_slug=slug, input=msgspec.Raw(b'{"q":1}')
    )


def deferring() -> Bench:
    condition = "event.data._inngest.fn_slug == 'shop-later'"
    later = function("later", triggers=(Trigger(event=SCHEDULE, expression=condition),))
    bench = Bench()
    bench.begin(function(event="go"), later)
    return bench


def test_what_is_too_much_to_defer_is_dropped_and_the_run_goes_on() -> None:
    mib = 1024 * 1024
    bench = deferring()
    large = [
        DeferAdd(
            id=step_hash(name),
            name=name,
            function_slug="shop-later",
            input=msgspec.Raw(b'{"q":"%s"}' % (b"x" * size)),
        )
        for name, size in (("too large", 4 * mib), ("fits", 3 * mib), ("one more", 2 * mib))
    ]
    bench.answer(progressed(*large, step_run("a")))
    assert bench.answer(returned()).status is RunStatus.COMPLETED
    assert [len(str(told["q"])) for told in bench.emitted(SCHEDULE)] == [3 * mib]


def test_what_was_deferred_is_started_when_the_run_has_ended() -> None:
    bench = deferring()
    bench.answer(progressed(defer("d"), step_run("a")))
    bench.answer(progressed(defer("d"), defer("other", "shop-nobody"), step_run("b")))
    assert functions_of(bench) == ["shop-work"]
    run = bench.answer(returned())
    told = bench.emitted(SCHEDULE)
    assert len(told) == 2
    ours = next(t for t in told if t["_inngest"]["fn_slug"] == "shop-later")  # type: ignore[index]
    assert ours["q"] == 1
    assert ours["_inngest"]["parent_run_id"] == run.id  # type: ignore[index]
    assert functions_of(bench) == ["shop-later", "shop-work"]


def test_what_was_taken_back_stays_so_although_a_replay_reports_it_again() -> None:
    bench = deferring()
    bench.answer(progressed(defer("d"), defer("e"), step_run("a")))
    abort = DeferAbort(id=step_hash("d:abort"), target_id=step_hash("d"))
    bench.answer(progressed(defer("d"), abort, step_run("b")))
    bench.answer(progressed(defer("d"), defer("e"), abort, step_run("c")))
    bench.answer(returned())
    assert len(bench.emitted(SCHEDULE)) == 1


def test_what_was_deferred_is_started_however_the_run_ends() -> None:
    bench = deferring()
    bench.answer(progressed(defer("d"), step_run("a")))
    bench.answer(broke(no_retry=True))
    assert len(bench.emitted(SCHEDULE)) == 1

    bench = deferring()
    bench.answer(progressed(defer("d"), step_run("a")))
    (run,) = bench.runs()
    bench.submit(given_.CancelAsked(run.id))
    assert len(bench.emitted(SCHEDULE)) == 1


def test_calls_are_told_of_what_the_run_has_deferred() -> None:
    bench = deferring()
    bench.answer(progressed(defer("d"), defer("e"), step_run("a")))
    abort = DeferAbort(id=step_hash("d:abort"), target_id=step_hash("d"))
    bench.answer(progressed(abort, step_run("b")))
    (job,) = bench.claim()
    assert dict(job.defers) == {step_hash("d"): False, step_hash("e"): True}


@pytest.mark.parametrize(
    ("meta", "visit"),
    [
        (None, "v1"),
        ({"sessions": {"visit": "own"}}, "own"),
        ({"propagated_sessions": {"visit": "inherited"}}, "inherited"),
        ({"sessions": {"visit": None}, "propagated_sessions": {"visit": "v1"}}, None),
        ({"sessions": 5}, "v1"),
    ],
)
def test_the_sessions_a_deferral_brings_decide_over_those_of_its_run(
    meta: dict[str, object] | None, visit: str | None
) -> None:
    bench = Bench()
    bench.register(function(event="go"), function("later", event=SCHEDULE))
    bench.submit(given_.EventsReceived((in_session(bench, "go", "v1"),)))
    raw = None if meta is None else msgspec.Raw(msgspec.json.encode(meta))
    bench.answer(progressed(msgspec.structs.replace(defer("d"), meta=raw), step_run("a")))
    bench.answer(returned())
    (event,) = (e for e in bench.store.disk.events.values() if e.name == SCHEDULE)
    told = json.loads(event.body).get("meta", {}).get("sessions", {})
    assert told.get("visit") == visit


def test_deferrals_alone_are_no_progress_and_too_many_are_dropped() -> None:
    bench = deferring()
    (run,) = bench.runs()
    bench.answer(progressed(*(defer(str(n)) for n in range(25))))
    assert len(bench.waits(run.id, WaitKind.DEFER)) == 20
    item = bench.item(run.id)
    assert item is not None
    assert item.due_ms == bench.now_ms + 1_000


def test_a_deferral_does_not_take_the_place_of_a_wait() -> None:
    bench = deferring()
    (run,) = bench.runs()
    wait = WaitForEvent(id=step_hash("d"), name="w", event="news", timeout="1h")
    bench.answer(progressed(wait, defer("d")))
    assert [w.kind for w in bench.waits(run.id)] == [WaitKind.EVENT]
    bench.pass_time(3_600_000)
    bench.claim()
    assert bench.memos(run.id) == {"w": None}
