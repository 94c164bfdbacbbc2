"""How a server stands, by the REST API's second version: why a run waits, who is connected, what
does not move, whether functions rest."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest

from stepwell.server.api.app import api_app
from stepwell.server.query.v2.worker import WorkerAppV2, WorkerStatusV2, WorkerV2
from tests.unit.server.api.harness import Api, function, serving, step
from tests.unit.server.api.test_runs import progressed

NOWHERE = "01JQDAE4RQ0000000000000009"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        one = {"concurrency": [{"limit": 1}]}
        await made.register(function("a", event="x", **one), function("b", event="y"))
        yield made


async def data(api: Api, path: str) -> Any:
    answer = await api.http.get(f"/v2{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_why_a_run_waits_is_told_in_one_sentence_and_in_parts(api: Api) -> None:
    await api.send("x")
    (job,) = await api.jobs()
    api.clock.ms += 1
    await api.send("x")
    api.clock.ms += 1_000
    runs = await data(api, "/runs?order=ASC")
    first, second = [await data(api, f"/runs/{run['id']}/explain") for run in runs]
    (called,) = first["open"]
    assert (first["status"], called["status"]) == ("RUNNING", "RUNNING")
    assert first["text"] == f"{called['name']} {called['text']}"
    (queued,) = second["open"]
    assert (queued["status"], queued["reason"]) == ("QUEUED", "limit")
    assert f"1 of 1, by run {runs[0]['id']}" in second["text"]
    assert queued["since"] == runs[1]["queuedAt"]
    wait = {**step("ok?", op="WaitForEvent"), "name": "shop/ok", "opts": {"timeout": "1d"}}
    await api.answer(job, progressed(wait))
    (waiting,) = (await data(api, f"/runs/{runs[0]['id']}/explain"))["open"]
    assert (waiting["status"], waiting["stepOp"]) == ("WAITING", "WaitForEvent")
    assert "waits for an event shop/ok" in waiting["text"]
    gone = await api.http.get(f"/v2/runs/{NOWHERE}/explain")
    assert gone.status_code == 404


async def test_a_run_that_ended_has_nothing_open(api: Api) -> None:
    await api.send("y")
    (run,) = await data(api, "/runs")
    await api.http.post(f"/v2/runs/{run['id']}/cancel")
    told = await data(api, f"/runs/{run['id']}/explain")
    assert (told["open"], told["text"], told["status"]) == ([], "cancelled", "CANCELLED")


async def test_a_function_rests_and_goes_on(api: Api) -> None:
    path = "/v2/apps/shop/functions/b"
    paused = await api.http.post(f"{path}/pause", json={"running": "cancel"})
    assert paused.json()["data"] == {"function": "shop-b", "paused": True, "changed": True}
    assert (await data(api, "/apps/shop/functions/b"))["isPaused"] is True
    listed = await data(api, "/apps/shop/functions")
    assert {one["slug"] for one in listed if one.get("isPaused")} == {"shop-b"}
    event_id = await api.send("y")
    of_event = (await api.http.get(f"/v2/events/{event_id}/runs")).json()
    assert [one["reason"] for one in of_event["notStarted"]] == ["FunctionPaused"]
    for changed in (True, False):
        resumed = await api.http.post(f"{path}/resume")
        assert resumed.json()["data"]["changed"] is changed
    assert "isPaused" not in await data(api, "/apps/shop/functions/b")
    unknown = await api.http.post("/v2/apps/shop/functions/none/pause")
    assert unknown.status_code == 404


async def test_what_does_not_move_is_told(api: Api) -> None:
    await api.send("y")
    await api.register(function("a", event="x"))
    api.clock.ms += 1_000
    told = await data(api, "/doctor")
    assert told["stranded"] == []
    (waiting,) = told["waiting"]
    (run,) = await data(api, "/runs")
    assert (waiting["function"]["name"], waiting["reason"]) == ("shop-b", "function_gone")
    assert (waiting["runs"], waiting["oldestRunId"]) == (1, run["id"])


async def test_workers_are_told(api: Api) -> None:
    assert await data(api, "/workers") == []
    worker = WorkerV2(
        id="C1",
        instance_id="w1",
        apps=(WorkerAppV2("shop", 2, "v1"),),
        status=WorkerStatusV2.READY,
        connected_at="2025-03-28T02:48:57.367Z",
        last_heartbeat_at="2025-03-28T02:48:57.367Z",
        capacity=10,
        in_use=3,
    )
    several = [msgspec.structs.replace(worker, id=f"C{n}") for n in (1, 2, 3)]
    app = api_app(replace(api.deps, workers=lambda: several))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        first = (await http.get("/v2/workers?limit=2")).json()
        (told, _), cursor = first["data"], first["page"]["cursor"]
        rest = (await http.get(f"/v2/workers?cursor={cursor}")).json()
        assert [one["id"] for one in (*first["data"], *rest["data"])] == ["C1", "C2", "C3"]
        assert "cursor" not in rest["page"]
        assert (await http.get("/v2/workers?cursor=C9")).status_code == 400
    assert told["apps"] == [{"name": "shop", "functionCount": 2, "version": "v1"}]
    assert (told["status"], told["capacity"], told["inUse"]) == ("READY", 10, 3)


async def test_a_server_is_one_environment(api: Api) -> None:
    (only,) = await data(api, "/envs")
    assert (only["slug"], only["type"]) == ("dev", "DEV")


async def test_events_are_listed_and_told(api: Api) -> None:
    ids = []
    for n in range(3):
        api.clock.ms += 1
        ids.append(await api.send("y" if n else "x", n=n))
    assert [one["id"] for one in await data(api, "/events")] == ids[::-1]
    assert [one["id"] for one in await data(api, "/events?name=x")] == ids[:1]
    page = (await api.http.get("/v2/events?limit=2")).json()
    rest = await data(api, f"/events?limit=2&cursor={page['page']['cursor']}")
    assert [one["id"] for one in rest] == ids[:1]
    assert "data" not in rest[0]
    assert (await data(api, "/events?includeData=true"))[0]["data"] == {"n": 2}
    one = await data(api, f"/events/{ids[1]}")
    assert (one["name"], one["data"]) == ("y", {"n": 1})
    gone = await api.http.get(f"/v2/events/{NOWHERE}")
    assert gone.status_code == 404
