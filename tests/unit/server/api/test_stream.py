"""What changes is told as it changes: each change once, its state last, and what was missed while a
client was away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest

from stepwell.server.api.feed import Feed, Kind
from stepwell.server.api.v2 import stream
from stepwell.server.config import ServerConfig
from stepwell.server.serving import Server
from tests.unit.server.api.harness import function, registration, step

CONFIG = ServerConfig(port=0, connect_gateway_port=0)


def test_a_feed_tells_each_change_once_and_in_order() -> None:
    feed = Feed("e", kept=5)
    for subject in ("r1", "r2", "r1"):
        feed.hear(Kind.RUN, subject)
    feed.hear(Kind.EVENT, "x")
    assert feed.since(0) == (4, ["r2", "r1"], ["x"], [])
    assert feed.since(3) == (4, [], ["x"], [])
    assert feed.since(4) == (4, [], [], [])
    for _ in range(3):
        feed.hear(Kind.RUN, "r3")
    assert feed.since(1) is None
    assert feed.since(2) == (7, ["r1", "r3"], ["x"], [])


@pytest.mark.parametrize(
    ("text", "place"),
    [("e-2", 2), ("e-7", 7), ("e-1", None), ("e-8", None), ("other-2", None), ("", None)],
)
def test_a_place_is_known_as_long_as_what_came_after_it(text: str, place: int | None) -> None:
    feed = Feed("e", kept=5)
    for n in range(7):
        feed.hear(Kind.RUN, f"r{n}")
    assert feed.place_of(text) == place


async def test_who_waits_is_woken_by_a_change_and_by_the_end() -> None:
    feed = Feed("e")
    waiting = [asyncio.create_task(feed.wait(0, 60)) for _ in range(2)]
    await asyncio.sleep(0)
    feed.hear(Kind.RUN, "r")
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    last = asyncio.create_task(feed.wait(1, 60))
    await asyncio.sleep(0)
    feed.close()
    await asyncio.wait_for(last, 5)
    await asyncio.wait_for(feed.wait(1, 60), 5)


class Listener:
    """A client of the stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def message(self) -> tuple[str, str, Any]:
        """The next message: its kind, its id and its data."""
        found: dict[str, str] = {}
        async for line in self._lines:
            if not line and found:
                return found["event"], found["id"], msgspec.json.decode(found["data"])
            name, _, value = line.partition(": ")
            if name:
                found[name] = value
        raise EOFError

    async def until(self, status: str) -> tuple[str, dict[str, Any]]:
        """The message in which some run has this status: its id, and that run."""
        while True:
            kind, id_, told = await asyncio.wait_for(self.message(), 10)
            assert kind == "changes"
            for run in told.get("runs", ()):
                if run["status"] == status:
                    return id_, run


@pytest.fixture
async def http(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setattr(stream, "PAUSE_S", 0.0)
    async with (
        Server(CONFIG) as server,
        httpx.AsyncClient(base_url=server.url, timeout=10) as client,
    ):
        body = registration(function("a", event="x"), function("b", event="y"))
        assert (await client.post("/fn/register", json=body)).status_code == 200
        yield client


@asynccontextmanager
async def listening(
    http: httpx.AsyncClient, query: str = "", **headers: str
) -> AsyncIterator[Listener]:
    path = f"/api/v2/stream?{query}"
    async with http.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Listener(answer)


async def test_a_run_is_told_from_its_start_to_its_end(http: httpx.AsyncClient) -> None:
    async with listening(http, "appId=shop&functionId=a&includeEvents=true") as listener:
        kind, first, _ = await listener.message()
        assert kind == "ready"
        await http.post("/e/k", json=[{"name": "y"}, {"name": "x", "data": {"n": 1}}])
        _, run = await listener.until("RUNNING")
        assert run["function"]["name"] == "shop-a"
        await http.post(f"/v2/runs/{run['id']}/cancel")
        _, ended = await listener.until("CANCELLED")
        assert (ended["id"], "output" in ended) == (run["id"], False)
    # Who comes back with the last id it saw is told what it missed; and nobody else's.
    last = {"last-event-id": first}
    async with listening(http, "includeEvents=true&runId=" + run["id"], **last) as again:
        assert (await again.message())[0] == "ready"
        _, _, missed = await again.message()
        assert [(one["id"], one["status"]) for one in missed["runs"]] == [(run["id"], "CANCELLED")]
        assert {one["name"] for one in missed["events"]} == {"x", "y"}
        assert "data" not in missed["events"][0]


async def test_lines_of_functions_are_told_once(http: httpx.AsyncClient) -> None:
    run_id = "01JQDAE4RQ0000000000000001"
    report = f"/v1/checkpoint/{run_id}/steps"
    called = {"domain": "http://site", "method": "GET", "path": "/", "fn": "pack"}
    event = {"name": "inngest/http.request", "data": called}
    body = {"run_id": run_id, "event": event, "steps": [step("a", 1), logs("old")]}
    await http.post("/v1/checkpoint", json=body)
    async with (
        listening(http, "includeLogs=true&appId=site") as listener,
        listening(http, "includeLogs=true&appId=shop") as elsewhere,
        listening(http) as without,
    ):
        for one in (listener, elsewhere, without):
            assert (await one.message())[0] == "ready"
        told: list[tuple[str, str]] = []
        while len(told) < 3:
            # Lines that come again with the next report are known already.
            body = {
                "run_id": run_id,
                "steps": [logs("old", *(f"n{n}" for n in range(len(told) + 1)))],
            }
            await http.post(report, json=body)
            _, _, changes = await listener.message()
            told += [(one["runId"], one["text"]) for one in changes.get("lines", ())]
        assert told == [(run_id, f"n{n}") for n in range(3)]
        await http.post("/e/k", json=[{"name": "x"}])
        for one in (elsewhere, without):
            _, _, changes = await one.message()
            assert "lines" not in changes


def logs(*texts: str) -> dict[str, Any]:
    lines = [{"at": at, "level": "info", "text": text} for at, text in enumerate(texts)]
    return {"id": "", "op": "Logs", "opts": {"lines": lines}}


async def test_who_was_away_for_too_long_is_told_to_begin_anew(http: httpx.AsyncClient) -> None:
    async with listening(http, "lastEventId=of-another-server-3") as listener:
        kind, id_, _ = await listener.message()
    assert kind == "reset"
    async with listening(http, f"lastEventId={id_}") as listener:
        assert (await listener.message())[0] == "ready"


async def test_nothing_is_missed_between_a_list_and_the_stream(http: httpx.AsyncClient) -> None:
    listed = await http.get("/api/v2/runs")
    await http.post("/e/k", json=[{"name": "x"}])
    query = f"lastEventId={listed.headers['x-stepwell-changes']}&includeEvents=true"
    async with listening(http, query) as listener:
        assert (await listener.message())[0] == "ready"
        _, _, changes = await listener.message()
        assert [event["name"] for event in changes["events"]] == ["x"]
    refused = await http.get("/api/v2/runs/nothing")
    assert refused.status_code >= 400
    assert "x-stepwell-changes" not in refused.headers


async def test_a_server_that_stops_ends_its_streams() -> None:
    async with Server(CONFIG) as server:
        client = httpx.AsyncClient(base_url=server.url, timeout=10)
        async with listening(client) as listener:
            await listener.message()
            stopping = asyncio.create_task(server.stop())
            with pytest.raises(EOFError):
                await asyncio.wait_for(listener.message(), 10)
        await client.aclose()
        await asyncio.wait_for(stopping, 10)


async def test_streams_are_bounded(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "STREAMS_MAX", 1)
    async with listening(http) as listener:
        await listener.message()
        refused = await http.get("/v2/stream")
        assert refused.status_code == 503
        assert "1 streams are open" in refused.json()["errors"][0]["message"]
