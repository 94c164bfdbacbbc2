"""Schedules by the REST API: what comes next, what was, what was missed, and in which zone."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell.server.engine.message.input import FunctionPaused
from tests.unit.server.api.harness import NOW_MS, Api, function, serving

MINUTE_MS = 60_000


def on(*crons: str, fn_id: str = "tick") -> dict[str, Any]:
    made = function(fn_id, event="x")
    made["triggers"] = [{"cron": cron} for cron in crons]
    return made


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        made.clock.ms = NOW_MS - NOW_MS % MINUTE_MS
        yield made


async def listed(api: Api, query: str = "") -> list[dict[str, Any]]:
    answer = await api.http.get(f"/api/v2/crons{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_a_schedule_says_when_it_comes_next_and_nothing_of_what_was_before_it(
    api: Api,
) -> None:
    await api.register(on("* * * * *"))
    (told,) = await listed(api)
    assert (told["function"]["name"], told["schedule"], told["zone"]) == (
        "shop-tick",
        "* * * * *",
        "UTC",
    )
    assert told["nextAt"] == "2025-03-28T02:49:00Z"
    assert "recent" not in told
    assert "clockChange" not in told


async def test_what_was_missed_is_told_between_what_ran(api: Api) -> None:
    await api.register(on("* * * * *"))
    api.clock.ms += MINUTE_MS
    await api.jobs()
    api.clock.ms += 4 * MINUTE_MS
    late = [one.get("missed", False) for one in (await listed(api))[0]["recent"]]
    assert late == [True, True, False]  # for a minute the last two may still begin
    await api.jobs()
    recent = (await listed(api))[0]["recent"]
    assert [(one["at"][14:16], one.get("missed", False)) for one in recent] == [
        ("53", False),
        ("52", True),
        ("51", True),
        ("50", True),
        ("49", False),
    ]
    assert recent[0]["status"] == "QUEUED"
    answer = await api.http.get(f"/api/v2/runs/{recent[0]['runId']}")
    assert answer.json()["data"]["trigger"]["cron"] == "* * * * *"


async def test_two_schedules_that_coincide_missed_nothing(api: Api) -> None:
    await api.register(on("* * * * *", "*/1 * * * *"))
    api.clock.ms += MINUTE_MS
    await api.jobs()
    both = await listed(api)
    assert [len(one["recent"]) for one in both] == [1, 1]
    assert both[0]["recent"][0]["runId"] == both[1]["recent"][0]["runId"]


async def test_a_zone_says_when_its_clocks_change_and_a_paused_function_that_it_rests(
    api: Api,
) -> None:
    await api.register(on("TZ=Europe/Paris 30 2 * * *"))
    await api.ledger.submit(FunctionPaused("shop-tick", "freeze"))
    (told,) = await listed(api)
    assert told["zone"] == "Europe/Paris"
    assert told["clockChange"] == {"at": "2025-03-30T01:00:00Z", "minutes": 60}
    assert told["isPaused"] is True


async def test_schedules_come_in_pages(api: Api) -> None:
    await api.register(on("0 1 * * *", "0 2 * * *"), on("0 3 * * *", fn_id="other"))
    first = (await api.http.get("/api/v2/crons?limit=2")).json()
    assert [one["schedule"] for one in first["data"]] == ["0 3 * * *", "0 1 * * *"]
    cursor = first["page"]["cursor"]
    second = (await api.http.get("/api/v2/crons", params={"limit": 2, "cursor": cursor})).json()
    assert [one["schedule"] for one in second["data"]] == ["0 2 * * *"]
    assert second["page"] == {"limit": 2}
