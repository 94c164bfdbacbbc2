"""Counts of runs over time, by the REST API's second version."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell.server.store.counting import MINUTE_MS
from stepwell.wire.duration import format_instant
from tests.unit.server.api.harness import NOW_MS, Api, function, serving

HOUR = "2025-03-28T02:00:00Z"
MINUTE = NOW_MS - NOW_MS % MINUTE_MS


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """Two apps; four runs of the first, of which one is cancelled a minute later."""
    async with serving() as made:
        await made.register(function("a", event="x"), function("b", event="y"))
        await made.register(function("c", event="z", app="mail"), app="mail")
        for name in ("x", "x", "x", "y", "z"):
            await made.send(name)
        made.clock.ms += MINUTE_MS
        runs = (await made.http.get("/v2/runs?appId=shop&functionId=a")).json()["data"]
        await made.http.post(f"/v2/runs/{runs[0]['id']}/cancel")
        yield made


async def listed(api: Api, query: str = "") -> dict[str, Any]:
    answer = await api.http.get(f"/v2/counts{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def told(api: Api, query: str = "") -> list[tuple[str, dict[str, int]]]:
    """What is counted, by minute or whatever it is told apart by, without what is nothing."""
    found: list[tuple[str, dict[str, int]]] = []
    for one in (await listed(api, query))["data"]:
        name = one.get("function", one.get("app", {"name": one["at"]}))["name"]
        found.append((name, {status: n for status, n in one["counts"].items() if n}))
    return found


async def test_runs_are_counted_by_the_hour_and_by_the_minute(api: Api) -> None:
    (whole,) = (await listed(api))["data"]
    counts = {"QUEUED": 5, "RUNNING": 1, "COMPLETED": 0, "FAILED": 0, "CANCELLED": 1}
    assert whole == {"at": HOUR, "counts": counts}
    assert await told(api, "?resolution=minute") == [
        (format_instant(MINUTE), {"QUEUED": 5}),
        (format_instant(MINUTE + MINUTE_MS), {"RUNNING": 1, "CANCELLED": 1}),
    ]


async def test_counts_are_told_apart_by_app_and_function(api: Api) -> None:
    assert await told(api, "?by=app") == [
        ("mail", {"QUEUED": 1}),
        ("shop", {"QUEUED": 4, "RUNNING": 1, "CANCELLED": 1}),
    ]
    assert await told(api, "?by=function") == [
        ("mail-c", {"QUEUED": 1}),
        ("shop-a", {"QUEUED": 3, "RUNNING": 1, "CANCELLED": 1}),
        ("shop-b", {"QUEUED": 1}),
    ]
    first = (await listed(api, "?by=function"))["data"][0]
    (function,) = (await api.http.get("/v2/apps/mail/functions")).json()["data"]
    assert first["function"]["id"] == function["id"]
    assert first["app"] == {"id": function["app"]["id"], "name": "mail"}


async def test_only_what_is_asked_for_is_counted(api: Api) -> None:
    (one,) = (await listed(api, "?status=CANCELLED&appId=shop&functionId=a"))["data"]
    assert one["counts"] == {"CANCELLED": 1}
    assert await told(api, "?appId=mail") == [(HOUR, {"QUEUED": 1})]
    assert await told(api, "?appId=none") == []
    after = f"?resolution=minute&from={format_instant(api.clock.ms)}"
    (later,) = await told(api, after)
    assert later == (format_instant(MINUTE + MINUTE_MS), {"RUNNING": 1, "CANCELLED": 1})
    before = f"?resolution=minute&until={format_instant(MINUTE + MINUTE_MS)}"
    assert await told(api, before) == [(format_instant(MINUTE), {"QUEUED": 5})]
    # The hour that `from` is in counts whole.
    assert len(await told(api, f"?from={format_instant(api.clock.ms)}")) == 1


async def test_counts_come_in_pages(api: Api) -> None:
    found: list[str] = []
    cursor = ""
    while True:
        page = await listed(api, f"?by=function&limit=1&cursor={cursor}")
        found += [one["function"]["name"] for one in page["data"]]
        cursor = page["page"].get("cursor", "")
        if not cursor:
            break
    assert found == ["mail-c", "shop-a", "shop-b"]
    assert "hasMore" not in page["page"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?cursor=x", "Cursor is invalid"),
        ("?cursor=Wy0xLCIiLCIiXQ==", "Cursor is invalid"),
        ("?resolution=day", "write one of minute, hour"),
        ("?by=status", "write one of time, app, function"),
        ("?functionId=a", "appId is required"),
        ("?from=2030-01-01T00:00:00Z", "from must be before until"),
        ("?limit=1501", "Limit cannot exceed 1500"),
    ],
)
async def test_what_cannot_be_counted_is_refused(api: Api, query: str, said: str) -> None:
    answer = await api.http.get(f"/v2/counts{query}")
    assert answer.status_code == 400
    assert said in answer.json()["errors"][0]["message"]
