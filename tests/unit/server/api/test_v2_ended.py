"""What became of runs that ended lately, by the REST API: alike errors together, and durations."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell.server.engine.message.input import Broke, Returned
from stepwell.server.store import ended_counts
from stepwell.server.store.counting import HOUR_MS, MINUTE_MS
from stepwell.wire.duration import format_instant
from stepwell.wire.failure import Failure, encode_failure
from tests.unit.server.api.harness import NOW_MS, Api, function, serving


def failed(name: str, message: str) -> Broke:
    failure = Failure(name, message)
    return Broke(failure, encode_failure(failure), None, True)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """Two apps, of whose runs some failed and some took their time."""
    async with serving() as made:
        await made.register(function("pay", event="pay"), function("say", event="say"))
        await made.register(function("mail", event="mail", app="post"), app="post")
        for message in ("order 7 is gone", "order 12 is gone", "no network"):
            await run(made, "pay", failed("ValueError", message))
        for took_ms in (100, 200, 900):
            await run(made, "say", Returned(b"1"), took_ms)
        yield made


async def run(api: Api, name: str, outcome: Broke | Returned, took_ms: int = 10) -> None:
    await api.send(name)
    (job,) = await api.jobs()
    api.clock.ms += took_ms
    await api.answer(job, outcome)


async def listed(api: Api, path: str) -> list[dict[str, Any]]:
    answer = await api.http.get(f"/v2/{path}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_alike_errors_are_told_together_the_most_frequent_first(api: Api) -> None:
    often, once = await listed(api, "failures")
    assert (often["count"], often["name"], often["message"]) == (
        2,
        "ValueError",
        "order 12 is gone",
    )
    assert (often["function"]["name"], often["app"]["name"]) == ("shop-pay", "shop")
    assert often["firstAt"] == format_instant(NOW_MS + 10)
    assert often["lastAt"] == format_instant(NOW_MS + 20)
    latest = (await api.http.get(f"/v2/runs/{often['runId']}")).json()["data"]
    assert latest["output"]["message"] == "order 12 is gone"
    assert (once["count"], once["message"]) == (1, "no network")


async def test_durations_are_told_the_slowest_function_first(api: Api) -> None:
    (say,) = await listed(api, "durations")
    assert (say["runs"], say["medianMs"], say["slowMs"]) == (3, 200, 900)
    assert say["function"]["name"] == "shop-say"


async def test_only_what_is_asked_for_is_looked_at(api: Api) -> None:
    assert len(await listed(api, "failures?appId=shop&functionId=pay&limit=1")) == 1
    assert await listed(api, "failures?appId=post") == []
    assert await listed(api, "durations?appId=shop&functionId=pay") == []
    api.clock.ms += 25 * HOUR_MS
    assert await listed(api, "failures") == await listed(api, "durations") == []
    refused = await api.http.get("/v2/failures?from=2999-01-01T00:00:00Z")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["message"] == "from must not be in the future"


async def test_what_failed_and_took_long_is_told_in_pages(api: Api) -> None:
    await run(api, "pay", Returned(b"1"))
    for path, count in (("failures", 2), ("durations", 2)):
        whole = await listed(api, path)
        assert len(whole) == count
        first = (await api.http.get(f"/v2/{path}?limit=1")).json()
        assert (first["data"], first["page"]["hasMore"]) == (whole[:1], True)
        second = (await api.http.get(f"/v2/{path}?cursor={first['page']['cursor']}")).json()
        assert (second["data"], second["page"].get("hasMore", False)) == (whole[1:], False)


async def test_failures_count_from_the_minute_on_and_durations_from_the_hour(api: Api) -> None:
    begun = NOW_MS - NOW_MS % HOUR_MS + HOUR_MS
    for minute in (10, 50, 71):
        api.clock.ms = begun + minute * MINUTE_MS
        await run(api, "pay", failed("OSError", "gone"))
        await run(api, "pay", Returned(b"1"))
    api.clock.ms = begun + 80 * MINUTE_MS
    counts: dict[int, tuple[int, int]] = {}
    for minute in (10, 11, 60, 72):
        since = format_instant(begun + minute * MINUTE_MS + 1)
        failures = await listed(api, f"failures?from={since}")
        took = await listed(api, f"durations?from={since}")
        counts[minute] = (sum(one["count"] for one in failures), sum(o["runs"] for o in took))
    assert counts == {10: (3, 3), 11: (2, 3), 60: (1, 1), 72: (0, 1)}
    # Minutes are kept for two days.
    api.clock.ms = begun + 3 * 24 * HOUR_MS
    since = format_instant(begun + 11 * MINUTE_MS)
    (one,) = await listed(api, f"failures?from={since}&functionId=pay&appId=shop")
    assert one["count"] == 3


async def test_many_kinds_of_errors_are_told_apart_up_to_a_number(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_counts, "KINDS_MAX", 3)
    for name in ("a", "b", "c", "b"):
        await run(api, "pay", failed(f"Kind{name}", "gone"))
    told = {(one["name"], one["message"]): one["count"] for one in await listed(api, "failures")}
    assert told == {
        ("ValueError", "order 12 is gone"): 2,
        ("ValueError", "no network"): 1,
        ("Kinda", "gone"): 1,
        ("Others", "Errors of more kinds than are told apart"): 3,
    }
