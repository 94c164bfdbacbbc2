"""A run that does not move says why: who is waited for, since when, and what to do."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from stepwell.server.api.app import api_app
from stepwell.server.drivers.port import LaneSeen
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.row.flow import Slot
from stepwell.testing.contract.store_world import World
from tests.contract.stores.test_memory import MemoryOpener
from tests.unit.server.api.harness import Api, function, serving

NOW = "2025-03-28T02:48:57.367Z"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        await made.register(function("a", event="x"), function("b", event="x"))
        yield made


async def asked(http: httpx.AsyncClient, path: str) -> Any:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_a_function_that_is_served_no_longer(api: Api) -> None:
    event_id = await api.send("x")
    assert (await asked(api.http, "/v1/doctor"))["waiting"] == []
    await api.register(function("b", event="x"), function("new-a", event="x"))
    api.clock.ms += 60_000
    await api.jobs()  # nobody can be given it, so it is put off
    (waiting,) = (await asked(api.http, "/v1/doctor"))["waiting"]
    assert (waiting["function"], waiting["reason"]) == ("shop-a", "function_gone")
    assert (waiting["runs"], waiting["since"]) == (1, NOW)
    assert waiting["text"].startswith(
        f"app shop no longer serves function shop-a since {NOW}: serve it again"
    )
    runs = await asked(api.http, f"/v1/events/{event_id}/runs")
    (run,) = [run for run in runs if run["function"] == "shop-a"]
    assert waiting["oldest"]["run_id"] == run["run_id"]
    told = await asked(api.http, f"/v1/runs/{run['run_id']}/timeline")
    assert "no longer serves function shop-a" in told["detail"]
    assert told["children"][0]["rest"]["reason"] == "function_gone"
    await api.register(function("a", event="x"), function("b", event="x"))
    assert (await asked(api.http, "/v1/doctor"))["waiting"] == []


KEYED = {"concurrency": [{"limit": 1, "key": "event.data.user"}]}


async def test_a_keyed_queue_of_a_function_that_is_served_no_longer(api: Api) -> None:
    await api.register(function("k", event="y", **KEYED), function("a", event="x"))
    await api.send("y")
    assert (await asked(api.http, "/v1/doctor"))["waiting"] == []
    await api.register(function("a", event="x"))
    for _ in range(2):
        (waiting,) = (await asked(api.http, "/v1/doctor"))["waiting"]
        assert (waiting["function"], waiting["reason"]) == ("shop-k", "function_gone")
        assert (waiting["runs"], waiting["since"]) == (1, NOW)
        await api.jobs()
    await api.register(function("k", event="y", **KEYED), function("a", event="x"))
    assert (await asked(api.http, "/v1/doctor"))["waiting"] == []


async def test_a_keyed_queue_of_an_app_that_nobody_serves(api: Api) -> None:
    await api.register(function("k", event="y", **KEYED))
    await api.send("y")
    deps = replace(api.deps, lane=lambda app: LaneSeen(0, 0, api.clock.ms))
    transport = httpx.ASGITransport(api_app(deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        (waiting,) = (await asked(http, "/v1/doctor"))["waiting"]
    assert waiting["text"] == f"nobody takes calls of app shop since {NOW}: start it"


@pytest.mark.parametrize("options", [{}, KEYED])
async def test_frozen_runs_of_a_paused_function(api: Api, options: dict[str, object]) -> None:
    await api.register(function("k", event="y", **options))
    await api.send("y")
    await api.http.post("/v1/functions/shop-k/pause", json={"running": "freeze"})
    for _ in range(2):
        (waiting,) = (await asked(api.http, "/v1/doctor"))["waiting"]
        assert (waiting["function"], waiting["reason"]) == ("shop-k", "paused")
        assert waiting["runs"] == 1
        assert "stepwell resume shop-k" in waiting["text"]
        await api.jobs()
    await api.http.post("/v1/functions/shop-k/resume")
    assert (await asked(api.http, "/v1/doctor"))["waiting"] == []


async def test_an_app_that_is_removed(api: Api) -> None:
    await api.send("x")
    await api.http.delete("/fn/remove?url=http://127.0.0.1:3000/api/inngest")
    found = (await asked(api.http, "/v1/doctor"))["waiting"]
    assert [one["reason"] for one in found] == ["app_unknown", "app_unknown"]


async def test_an_app_whose_workers_have_gone(api: Api) -> None:
    await api.send("x")
    lane = LaneSeen(0, 0, api.clock.ms)
    deps = replace(api.deps, lane=lambda app: lane)
    transport = httpx.ASGITransport(api_app(deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        found = (await asked(http, "/v1/doctor"))["waiting"]
    assert [one["text"] for one in found] == [
        f"nobody takes calls of app shop since {NOW}: start it"
    ] * 2


async def test_what_is_not_due_is_not_waited_for(api: Api) -> None:
    later = api.clock.ms + 30_000
    await api.http.post("/e/k", json={"name": "x", "data": {}, "ts": later})
    deps = replace(api.deps, lane=lambda app: LaneSeen(0, 0, api.clock.ms))
    transport = httpx.ASGITransport(api_app(deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await asked(http, "/v1/doctor"))["waiting"] == []


async def test_a_debounce_whose_function_is_gone(api: Api) -> None:
    held = function("c", event="y", debounce={"period": "1s"})
    await api.register(held, function("a", event="x"))
    await api.send("y")
    assert (await asked(api.http, "/v1/doctor"))["held"] == []
    await api.register(function("a", event="x"))
    (found,) = (await asked(api.http, "/v1/doctor"))["held"]
    assert (found["function"], found["events"]) == ("shop-c", 1)
    assert found["text"] == (
        f"1 event in a debounce since {NOW}: serve the function again under that id"
    )
    await api.register(held, function("a", event="x"))
    assert (await asked(api.http, "/v1/doctor"))["held"] == []


async def test_a_place_whose_run_is_not_there(api: Api) -> None:
    world = World(MemoryOpener())
    world.do(fact.SlotTaken(Slot("k", "R", api.clock.ms)))
    deps = replace(api.deps, reader=world.reader)
    transport = httpx.ASGITransport(api_app(deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        (old,) = (await asked(http, "/v1/doctor"))["lost"]
        (new,) = (await asked(http, "/v2/doctor"))["lost"]
    assert (old["key"], old["run_id"], old["since"]) == ("k", "R", NOW)
    assert (new["key"], new["runId"], new["since"]) == ("k", "R", NOW)
