"""Durable endpoints tell what they do, and whoever asked them gets the answer in the end."""

import asyncio
import base64
from typing import Any

import jwt
import pytest

from stepwell.server.api.sdk import endpoint_runs
from stepwell.server.engine.message.input import Progressed
from stepwell.server.engine.row.run import MAIN, RunStatus
from stepwell.wire.endpoint import SILENT_MS
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation_decode import decode_operations
from tests.unit.server.api.harness import BEARER, KEYS, NOW_MS, Api, serving, step, text

RUN = "01JQDAE4RQ0000000000000001"
APP = "shop"
COMPLETE = step_hash("complete")
ANSWER = {
    "status": 201,
    "headers": {"x-a": "b", "content-length": "9"},
    "body": "made",
    "version": 2,
}


def called(**more: Any) -> dict[str, Any]:
    return {
        "domain": f"http://{APP}",
        "method": "POST",
        "path": "/orders",
        "ip": "127.0.0.1",
        "content_type": "application/json",
        "query_params": "a=1",
        "body": base64.b64encode(b"{}").decode(),
        "fn": "order",
        **more,
    }


def new_run(*steps: dict[str, Any], run_id: str = RUN, **more: Any) -> dict[str, Any]:
    event = {"name": "inngest/http.request", "data": called(**more)}
    return {"run_id": run_id, "event": event, "steps": steps, "request_version": 2, "retries": 3}


def done(answer: object = ANSWER) -> dict[str, Any]:
    return {"id": COMPLETE, "op": "RunComplete", "data": answer}


async def begun(api: Api, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await api.http.post("/v1/checkpoint", json=new_run(*steps, **more))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


async def report(api: Api, *steps: dict[str, Any], run_id: str = RUN) -> int:
    body = {"run_id": run_id, "steps": steps}
    return (await api.http.post(f"/v1/checkpoint/{run_id}/steps", json=body)).status_code


async def output(api: Api, token: str, run_id: str = RUN) -> Any:
    return await api.http.get(f"/v1/http/runs/{run_id}/output?token={token}")


def status(api: Api) -> RunStatus:
    run = api.deps.reader.run(RUN)
    assert run is not None
    return run.status


async def test_a_run_that_needs_no_wait_is_never_called() -> None:
    async with serving() as api:
        told = await begun(api, step("a", 1))
        assert told["run_id"] == RUN
        stream = jwt.decode(told["realtime_token"], options={"verify_signature": False})
        assert [one["name"] for one in stream["topics"]] == ["$stream"]
        assert status(api) is RunStatus.RUNNING
        assert await api.jobs() == []
        assert await report(api, step("b", 2)) == 200
        assert await report(api, done()) == 200
        assert status(api) is RunStatus.COMPLETED
        assert await report(api, done()) == 200  # its answer was lost, and it comes again
        answer = await output(api, told["token"])
        assert (answer.status_code, answer.text, answer.headers["x-a"]) == (201, "made", "b")
        assert answer.headers["access-control-allow-origin"] == "*"
        run = (await api.http.get(f"/v1/runs/{RUN}")).json()["data"]
        assert run["status"] == "Completed"
        (app,) = (await api.http.get("/v2/apps")).json()["data"]
        assert (app["name"], app["method"]) == (APP, "API")


async def test_a_first_report_that_comes_twice_begins_once() -> None:
    async with serving() as api:
        first = await begun(api, step("a", 1))
        assert (await begun(api, step("a", 1)))["fn_id"] == first["fn_id"]
        assert len(api.deps.reader.steps(RUN)) == 1
        other = await api.http.post("/v1/checkpoint", json=new_run(step("a"), fn="other"))
        assert (other.status_code, other.json()["error"]) == (409, "Run already exists")


async def test_a_run_that_must_wait_goes_on_in_the_background() -> None:
    async with serving() as api:
        sleep = {"id": "nap", "op": "Sleep", "name": "1s", "displayName": "nap"}
        told = await begun(api, step("a", 1))
        assert await report(api, sleep) == 200
        assert await api.jobs() == []
        api.clock.ms += 1_500
        await api.jobs()  # the sleep ends
        (job,) = [*await api.jobs()]
        assert (job.run.id, job.item.queue, job.run.version) == (RUN, APP, 2)
        waiting = asyncio.ensure_future(output(api, told["token"]))
        await api.answer(job, Progressed(decode_operations(text([done()]).encode())))
        api.deps.ends.hear(RUN)
        assert (await asyncio.wait_for(waiting, 10)).text == "made"


async def test_a_silent_endpoint_is_called() -> None:
    async with serving() as api:
        await begun(api, step("a", 1))
        api.clock.ms += SILENT_MS - 1
        assert await report(api, step("b", 2)) == 200
        api.clock.ms += SILENT_MS - 1
        assert await api.jobs() == []
        api.clock.ms += 2
        await api.jobs()  # the lease is taken back
        (job,) = await api.jobs()
        assert job.item.key == MAIN
        assert await report(api, step("c", 3)) == 409


async def test_an_endpoint_that_reports_no_step_is_not_silent() -> None:
    async with serving() as api:
        await begun(api, step("a", 1))
        api.clock.ms += SILENT_MS - 1
        assert await report(api) == 200
        api.clock.ms += SILENT_MS - 1
        assert await api.jobs() == []
        assert await api.jobs() == []
        assert await report(api, step("b", 2)) == 200


async def test_a_failure_of_the_handler_is_tried_again() -> None:
    async with serving() as api:
        error = {"name": "Error", "message": "no luck"}
        told = await begun(api, {"id": COMPLETE, "op": "StepError", "error": error})
        assert status(api) is RunStatus.RUNNING
        api.clock.ms += 3_600_000
        (job,) = await api.jobs()
        assert (job.item.attempt, job.item.key) == (1, MAIN)
        failed = {"id": COMPLETE, "op": "StepFailed", "error": error}
        await api.answer(job, Progressed(decode_operations(text([failed]).encode())))
        assert told["token"]


async def test_a_handler_that_fails_for_good_ends_the_run() -> None:
    async with serving() as api:
        stack, cause = "at app.py:7 in charge", {"message": "card 4111"}
        error = {"name": "Error", "message": "no luck", "stack": stack, "cause": cause}
        told = await begun(api, {"id": COMPLETE, "op": "StepFailed", "error": error})
        assert status(api) is RunStatus.FAILED
        answer = await output(api, told["token"])
        assert answer.status_code == 500
        # Whoever called may be anybody: where it was raised and why is not told.
        assert answer.json() == {"error": {"message": "no luck", "name": "Error"}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "Invalid request body"),
        (new_run(body="{}"), "Invalid request body"),
        (new_run(method=1), "Invalid request body"),
        (new_run(run_id="nonsense"), "Invalid run ID: nonsense"),
        (new_run({"id": "x", "op": "Nonsense"}), "steps: "),
    ],
)
async def test_what_begins_no_run(body: dict[str, Any], told: str) -> None:
    async with serving() as api:
        answer = await api.http.post("/v1/checkpoint", json=body)
        assert answer.status_code == 400
        assert told in answer.json()["error"]
        assert api.deps.reader.run(RUN) is None


async def test_visitors_do_not_choose_how_many_endpoints_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint_runs, "PATHS_MAX", 4)
    async with serving() as api:
        for n in range(7):
            await begun(api, done(), run_id=f"01JQDAE4RQ{n:016d}", fn="", path=f"/orders/{n}")
        names = {one.name for one in api.ledger.catalog.of_app(APP)}
        assert names == {*(f"POST /orders/{n}" for n in range(4)), "POST *"}


async def test_who_may_wait_for_an_output() -> None:
    async with serving(KEYS) as api:
        stranger = await api.http.post("/v1/checkpoint", json=new_run(step("a")))
        assert (stranger.status_code, stranger.text) == (401, "Authentication failed\n")
        made = await api.http.post("/v1/checkpoint", json=new_run(step("a")), headers=BEARER)
        told = made.json()["data"]
        other = f"{RUN[:-1]}2"
        for token, run_id in (("", RUN), (told["realtime_token"], RUN), (told["token"], other)):
            refused = await output(api, token, run_id)
            assert (refused.status_code, refused.json()["error"]) == (401, "Not authenticated")
        api.clock.ms = NOW_MS + 3_700_000
        assert (await output(api, told["token"])).status_code == 401
