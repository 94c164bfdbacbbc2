"""Runs as they are asked about from outside, from their first event to their end."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from stepwell.server.engine.message.input import Broke, Job, Progressed, Returned
from stepwell.wire.failure import Failure
from stepwell.wire.operation_decode import decode_operations
from stepwell.wire.recorded_run import decode_recorded
from tests.unit.server.api.harness import Api, function, serving, step

UNKNOWN = "01JQDAE4RQ0000000000000009"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        answer = await made.register(function("a", event="x", retries=0))
        assert answer.status_code == 200
        yield made


async def begun(api: Api) -> tuple[str, Job]:
    """An event is sent; its run's first call is leased."""
    event_id = await api.send("x", n=1)
    (job,) = await api.jobs()
    return event_id, job


def progressed(*steps: dict[str, Any]) -> Progressed:
    return Progressed(decode_operations(msgspec.json.encode(steps)))


async def data(api: Api, path: str) -> Any:
    answer = await api.http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.json()["metadata"]["fetched_at"].endswith("Z")
    return answer.json()["data"]


async def test_the_runs_of_an_event_end(api: Api) -> None:
    event_id = await api.send("x", n=1)
    (run,) = await data(api, f"/v1/events/{event_id}/runs")
    assert (run["status"], run["output"], run["ended_at"]) == ("Scheduled", None, None)
    assert (run["event_id"], run["function"], run["app"]) == (event_id, "shop-a", "shop")
    (job,) = await api.jobs()
    assert (await data(api, f"/v1/runs/{job.run.id}"))["status"] == "Running"
    await api.answer(job, Returned(b'{"ok":true}'))
    (run,) = await data(api, f"/v1/events/{event_id}/runs")
    assert (run["status"], run["output"]) == ("Completed", {"ok": True})
    assert run["ended_at"] == "2025-03-28T02:48:57.367Z"


async def test_an_event_nobody_knows_has_no_runs(api: Api) -> None:
    assert await data(api, f"/v1/events/{UNKNOWN}/runs") == []


async def test_an_event_that_started_no_run_says_why(api: Api) -> None:
    limited = {"rateLimit": {"limit": 1, "period": "1h", "key": "event.data.user"}}
    held = {"batchEvents": {"maxSize": 5, "timeout": "60s"}}
    await api.register(
        {**function("a", event="y"), **limited}, {**function("b", event="y"), **held}
    )
    first = await api.send("y", user="amy")
    second = await api.send("y", user="amy")
    answer = (await api.http.get(f"/v1/events/{first}/runs")).json()
    assert [run["function"] for run in answer["data"]] == ["shop-a"]
    assert [one["reason"] for one in answer["not_started"]] == ["Batching"]
    answer = (await api.http.get(f"/v1/events/{second}/runs")).json()
    assert answer["data"] == []
    dropped, batching = answer["not_started"]
    said = (
        'the rate limit of "amy" was used up when it came, at 2025-03-28T02:48:57.367Z; admitted'
        " again from 2025-03-28T03:48:57.367Z"
    )
    assert dropped == {
        "function": "shop-a",
        "reason": "RateLimit",
        "detail": said,
        "at": "2025-03-28T02:48:57.367Z",
        "admitted_at": "2025-03-28T03:48:57.367Z",
        "run_id": None,
        "key": '"amy"',
    }
    assert batching["admitted_at"] == "2025-03-28T02:49:57.367Z"
    told = (await api.http.get(f"/v2/events/{second}/runs")).json()
    assert told["data"] == []
    assert [one["reason"] for one in told["notStarted"]] == ["RateLimit", "Batching"]
    assert told["notStarted"][0]["function"]["name"] == "shop-a"
    assert told["notStarted"][0]["admittedAt"] == dropped["admitted_at"]


async def test_the_runs_of_an_event_in_the_second_api(api: Api) -> None:
    event_id = await api.send("x", n=1)
    told = (await api.http.get(f"/v2/events/{event_id}/runs")).json()
    assert [run["function"]["name"] for run in told["data"]] == ["shop-a"]
    assert told["notStarted"] == []
    refused = await api.http.get("/v2/events/nonsense/runs")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "invalid_request")


async def test_one_event(api: Api) -> None:
    event_id = await api.send("x", n=1)
    event = await data(api, f"/v1/events/{event_id}")
    assert (event["name"], event["data"], event["id"]) == ("x", {"n": 1}, event_id)
    assert (await api.http.get(f"/v1/events/{UNKNOWN}")).status_code == 404
    assert (await api.http.get("/v1/events/mine")).json()["error"] == "Invalid event ID: mine"


async def test_events_are_listed_newest_first_in_pages(api: Api) -> None:
    ids = []
    for n in range(5):
        api.clock.ms += 1
        ids.append(await api.send("x" if n % 2 else "y", n=n))
    listed = [event["internal_id"] for event in await data(api, "/v1/events?limit=2")]
    assert listed == ids[:-3:-1]
    more = await data(api, f"/v1/events?limit=9&cursor={listed[-1]}")
    assert [event["internal_id"] for event in more] == ids[2::-1]
    named = await data(api, "/v1/events?name=y")
    assert [event["data"]["n"] for event in named] == [4, 2, 0]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("received_after=soon", "Invalid received_after query parameter: 'soon'"),
        ("received_before=x", "Invalid received_before query parameter"),
        ("cursor=abc", "Invalid cursor query parameter"),
    ],
)
async def test_a_parameter_nobody_can_read_is_told(api: Api, query: str, said: str) -> None:
    answer = await api.http.get(f"/v1/events?{query}")
    assert answer.status_code == 400
    assert said in answer.json()["error"]


async def test_old_events_are_listed_only_when_asked_for(api: Api) -> None:
    event_id = await api.send("x")
    api.clock.ms += 2 * 3_600_000
    assert await data(api, "/v1/events") == []
    (event,) = await data(api, "/v1/events?received_after=2020-01-01T00:00:00%2B00:00")
    assert event["internal_id"] == event_id


async def test_runs_are_listed_in_pages_and_by_filter(api: Api) -> None:
    for n in range(3):
        api.clock.ms += 1
        await api.send("x", n=n)
    for job in await api.jobs():
        if job.run.event_ids:
            await api.answer(job, Returned(b"1"))
            break
    await api.send("x", n=3)
    answer = (await api.http.get("/v1/runs?limit=2")).json()
    assert len(answer["data"]) == 2
    rest = (await api.http.get(f"/v1/runs?cursor={answer['metadata']['cursor']}")).json()
    ids = [run["run_id"] for run in answer["data"] + rest["data"]]
    assert len(set(ids)) == 4
    assert ids == sorted(ids, reverse=True)
    assert "cursor" not in rest["metadata"]
    assert len(await data(api, "/v1/runs?status=completed")) == 1
    assert len(await data(api, "/v1/runs?status=queued,running")) == 3
    assert await data(api, "/v1/runs?function=shop-b") == []
    assert len(await data(api, "/v1/runs?app=shop&since=2020-01-01T00:00:00Z")) == 4
    assert await data(api, "/v1/runs?until=2020-01-01T00:00:00Z") == []
    unknown = await api.http.get("/v1/runs?status=sleepy")
    assert "status 'sleepy' is unknown: use Scheduled" in unknown.json()["error"]


@pytest.mark.parametrize("path", ["", "/timeline", "/jobs", "/export"])
async def test_a_run_nobody_knows(api: Api, path: str) -> None:
    answer = await api.http.get(f"/v1/runs/{UNKNOWN}{path}")
    assert answer.status_code == 404
    assert answer.json()["error"] == f"Unable to load function run: {UNKNOWN}"
    bad = await api.http.get(f"/v1/runs/mine{path}")
    assert (bad.status_code, bad.json()["error"]) == (400, "Invalid run ID: mine")


async def test_a_run_is_cancelled_by_hand(api: Api) -> None:
    _, job = await begun(api)
    path = f"/v1/runs/{job.run.id}"
    for _ in range(2):
        answer = await api.http.delete(path)
        assert (answer.status_code, answer.content) == (200, b"")
    assert (await data(api, path))["status"] == "Cancelled"
    assert (await api.http.delete(f"/v1/runs/{UNKNOWN}")).status_code == 404
    assert (await api.http.delete("/v1/runs/mine")).status_code == 400


async def test_the_old_way_to_cancel_tells_that_a_run_has_ended(api: Api) -> None:
    _, job = await begun(api)
    path = f"/v0/runs/{job.run.id}"
    assert (await api.http.delete(path)).status_code == 204
    again = await api.http.delete(path)
    assert again.status_code == 404
    assert again.json()["error"] == "A function run with the given ID could not be found"


async def test_state_too_large_for_a_call_is_fetched(api: Api) -> None:
    event_id, job = await begun(api)
    await api.answer(job, progressed(step("one", {"n": 1}), step("two", None)))
    batch = (await api.http.get(f"/v0/runs/{job.run.id}/batch")).json()
    assert batch == [{"data": {"n": 1}, "id": event_id, "name": "x", "ts": api.clock.ms}]
    actions = (await api.http.get(f"/v0/runs/{job.run.id}/actions")).json()
    assert actions == {"hash-one": {"data": {"n": 1}}, "hash-two": {"data": None}}
    await api.http.delete(f"/v1/runs/{job.run.id}")
    for path in ("batch", "actions"):
        gone = await api.http.get(f"/v0/runs/{job.run.id}/{path}")
        assert gone.status_code == 410
        told = f"runtime state is no longer available for runID: {job.run.id}"
        assert gone.json() == {"error": told, "data": None, "status": 410}
        bad = await api.http.get(f"/v0/runs/x/{path}")
        assert (bad.status_code, bad.json()["error"]) == (400, "The run ID specified is invalid")


async def test_a_run_is_run_again(api: Api) -> None:
    event_id, job = await begun(api)
    await api.answer(job, Returned(b"1"))
    answer = await api.http.post(f"/v2/runs/{job.run.id}/rerun")
    new_id = answer.json()["data"]["runId"]
    assert new_id != job.run.id
    run = await data(api, f"/v1/runs/{new_id}")
    assert (run["event_id"], run["original_run_id"]) == (event_id, job.run.id)
    other = await api.http.post(f"/v1/runs/{job.run.id}/rerun")
    assert other.json()["data"]["run_id"] not in (new_id, job.run.id)
    unknown = await api.http.post(f"/v2/runs/{UNKNOWN}/rerun")
    assert unknown.status_code == 404
    assert unknown.json() == {"errors": [{"code": "not_found", "message": "Run not found"}]}
    part = await api.http.post(f"/v2/runs/{job.run.id}/rerun", json={"fromStep": {"stepId": "x"}})
    assert part.status_code == 400
    await api.register()
    gone = await api.http.post(f"/v2/runs/{job.run.id}/rerun")
    assert gone.status_code == 409
    assert "its function is gone" in gone.json()["errors"][0]["message"]


async def test_what_a_run_still_has_to_do(api: Api) -> None:
    _, job = await begun(api)
    (start,) = await data(api, f"/v1/runs/{job.run.id}/jobs")
    assert (start["kind"], start["position"], start["attempt"]) == ("start", 0, 0)
    sleep = {**step("nap", op="Sleep"), "name": "1h"}
    await api.answer(job, progressed(sleep))
    (slept,) = await data(api, f"/v1/runs/{job.run.id}/jobs")
    assert (slept["kind"], slept["at"]) == ("sleep", "2025-03-28T03:48:57.367Z")


async def test_the_timeline_tells_what_happened_and_what_is_waited_for(api: Api) -> None:
    await api.register(function("a", event="x"))
    _, job = await begun(api)
    error = {"name": "ValueError", "message": "no luck"}
    await api.answer(job, progressed({**step("pay", op="StepError"), "error": error}))
    api.clock.ms += 60_000
    (job,) = await api.jobs()
    await api.answer(job, progressed(step("pay", 7)))
    (job,) = await api.jobs()
    wait = {**step("ok?", op="WaitForEvent"), "name": "shop/ok", "opts": {"timeout": "1d"}}
    await api.answer(job, progressed(wait))
    told = await data(api, f"/v1/runs/{job.run.id}/timeline")
    assert (told["name"], told["status"]) == ("shop-a", "RUNNING")
    assert "waits for an event shop/ok, until 2025-03-29T" in told["detail"]
    pay, waiting = told["children"]
    assert (pay["name"], pay["status"], pay["output"]) == ("pay", "COMPLETED", {"data": 7})
    (attempt,) = pay["children"]
    assert (attempt["status"], attempt["detail"]) == ("FAILED", "ValueError: no luck")
    assert (waiting["name"], waiting["status"]) == ("ok?", "WAITING")
    # All of it, as a file that tests can go on from.
    answer = await api.http.get(f"/v1/runs/{job.run.id}/export")
    file = decode_recorded(answer.content)
    assert (file.function, file.status) == ("shop-a", "Running")
    assert [(one.name, bytes(one.memo)) for one in file.steps] == [("pay", b'{"data":7}')]
    assert [(one.name, one.attempt) for one in file.attempts] == [("pay", 0)]
    assert [one.name for one in file.waits] == ["ok?"]
    assert len(file.events) == 1


async def test_the_timeline_of_a_failed_run_tells_why(api: Api) -> None:
    _, job = await begun(api)
    output = b'{"message":"broken","name":"ValueError"}'
    await api.answer(job, Broke(Failure("ValueError", "broken"), output, no_retry=True))
    told = await data(api, f"/v1/runs/{job.run.id}/timeline")
    assert (told["status"], told["detail"]) == ("FAILED", "ValueError: broken")
    assert (await data(api, f"/v1/runs/{job.run.id}"))["output"]["message"] == "broken"


async def test_nothing_is_stranded(api: Api) -> None:
    await begun(api)
    assert await data(api, "/v1/doctor") == {
        "stranded": [],
        "waiting": [],
        "held": [],
        "lost": [],
    }


async def test_a_function_is_invoked_by_its_id(api: Api) -> None:
    answer = await api.http.post("/invoke/shop-a", json={"name": "x", "data": {"n": 1}})
    assert answer.status_code == 200
    told = answer.json()
    assert told["status"] == 200
    (run,) = await data(api, f"/v1/events/{told['id']}/runs")
    assert run["run_id"] == told["run_id"]
    event = await data(api, f"/v1/events/{told['id']}")
    assert event["name"] == "inngest/function.invoked"
    assert event["data"] == {"n": 1, "_inngest": {"fn_id": "shop-a"}}
    assert (await api.http.post("/invoke/shop%2Da")).status_code == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[1]", "Expected `object`"),
        (b"{", "truncated"),
        (b'{"data":5}', 'event field "data" must be a JSON object, got 5'),
        (b'{"data":{},"ts":"soon"}', 'event field "ts" must be an integer'),
        (b'{"data":{},"ts":99999999999999999}', "timestamp is after Jan 1, 2100"),
        (b'{"data":{"x":"' + b"y" * 3_145_728 + b'"}}', "Event is over the max size"),
        (b'{"data":{},"v":7}', 'event field "v" must be a string, got 7'),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_an_invocation_is_judged_like_an_event(api: Api, body: bytes, said: str) -> None:
    bad = await api.http.post("/invoke/shop-a", content=body)
    assert bad.status_code == 400
    assert said in bad.json()["error"]
    assert "send an object such as" in bad.json()["error"]
    assert await data(api, "/v1/runs") == []


async def test_an_invocation_cannot_forge_what_the_server_says(api: Api) -> None:
    forged = {"data": {"_inngest": {"fn_id": "other", "correlation_id": "x.y"}, "n": 1}}
    told = (await api.http.post("/invoke/shop-a", json=forged)).json()
    event = await data(api, f"/v1/events/{told['id']}")
    assert event["data"] == {"n": 1, "_inngest": {"fn_id": "shop-a"}}


async def test_a_function_may_be_invoked_by_its_uuid(api: Api) -> None:
    (listed,) = (await api.http.get("/v1/apps/shop/functions")).json()
    told = (await api.http.post(f"/invoke/{listed['internal_id']}")).json()
    (run,) = await data(api, f"/v1/events/{told['id']}/runs")
    assert run["function"] == "shop-a"


async def test_a_signal_reaches_who_waits(api: Api) -> None:
    _, job = await begun(api)
    wait = {**step("s", op="WaitForSignal"), "opts": {"signal": "go", "timeout": "1h"}}
    await api.answer(job, progressed(wait))
    answer = await api.http.post("/v1/signals", json={"signal": "go", "data": {"b": 1, "a": 2}})
    assert answer.status_code == 200
    assert answer.json()["data"] == {"run_id": job.run.id}
    actions = (await api.http.get(f"/v0/runs/{job.run.id}/actions")).json()
    assert actions == {"hash-s": {"data": {"signal": "go", "data": {"a": 2, "b": 1}}}}
    again = await api.http.post("/v1/signals", json={"signal": "go"})
    assert again.status_code == 404
    assert again.json() == {"error": "No signal found", "data": None, "status": 404}
    for body in ({}, {"signal": ""}, {"signal": 5}, []):
        assert (await api.http.post("/v1/signals", json=body)).status_code == 400


async def test_v2_lists_and_cancels(api: Api) -> None:
    _, job = await begun(api)
    await api.send("x", n=2)
    page = (await api.http.get("/api/v2/runs?limit=1")).json()
    assert page["page"]["hasMore"] is True
    second = (await api.http.get(f"/v2/runs?cursor={page['page']['cursor']}")).json()
    assert {run["id"] for run in page["data"] + second["data"]} >= {job.run.id}
    one = (await api.http.get(f"/v2/runs/{job.run.id}")).json()["data"]
    assert (one["status"], one["function"]["name"]) == ("RUNNING", "shop-a")
    assert (await api.http.post(f"/v2/runs/{job.run.id}/cancel")).status_code == 200
    again = await api.http.post(f"/v2/runs/{job.run.id}/cancel")
    assert again.status_code == 409
    assert again.json()["errors"][0]["code"] == "run_already_cancelled"
    much = await api.http.get("/v2/runs?limit=101")
    assert much.json()["errors"][0]["message"] == "Limit cannot exceed 100"
    bad = await api.http.get("/v2/runs/x")
    assert bad.json()["errors"] == [
        {"code": "invalid_request", "message": "Run ID must be a valid ULID"}
    ]


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("runs", "/v1/runs"),
        ("runs", "/v2/runs"),
        ("events", "/v1/events"),
        ("stranded", "/v1/doctor"),
    ],
)
async def test_a_long_search_holds_nobody_up(
    api: Api, monkeypatch: pytest.MonkeyPatch, verb: str, path: str
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: object) -> list[object]:
        begun.set()
        assert go_on.wait(10)
        return []

    monkeypatch.setattr(api.deps.reader, verb, slow)
    searching = asyncio.create_task(api.http.get(path))
    assert await asyncio.to_thread(begun.wait, 10)
    sent = await api.http.post("/e/any", json={"name": "a"})
    assert (sent.status_code, searching.done()) == (200, False)
    go_on.set()
    assert (await searching).status_code == 200
