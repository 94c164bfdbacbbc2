"""What became of runs that ended lately, by the REST API: alike errors together, and durations."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell.server.api.v2 import ended
from stepwell.server.engine.message.input import Broke, Returned
from stepwell.server.query.v2 import ended as ended_v2
from stepwell.server.query.v2.ended import pattern_of
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
    later = format_instant(api.clock.ms)
    assert [one["runs"] for one in await listed(api, f"durations?from={later}")] == [1]
    api.clock.ms += 86_400_001
    assert await listed(api, "failures") == []
    refused = await api.http.get("/v2/failures?from=2999-01-01T00:00:00Z")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["message"] == "from must not be in the future"


async def test_what_was_not_looked_at_is_told_of(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "partial" not in (await api.http.get("/v2/failures")).json()["page"]
    monkeypatch.setattr(ended, "LOOKED_AT_MAX", 2)
    told = (await api.http.get("/v2/failures")).json()
    assert told["page"]["partial"] is True
    monkeypatch.undo()
    monkeypatch.setattr(ended_v2, "PAGE", 1)
    monkeypatch.setattr(ended, "until_late", lambda seconds: lambda: False)
    told = (await api.http.get("/v2/failures")).json()
    assert (told["page"]["partial"], [one["count"] for one in told["data"]]) == (True, [1])


@pytest.mark.parametrize(
    ("message", "shared"),
    [
        ("order 7 is gone", "order … is gone"),
        ("at 0x7f3a: 1.5 s\nand more", "at …: ….… s"),
        ("run 01HZZZZZZZZZZZZZZZZZZZZZZZ", "run …"),
        ("id 6f1c2d3e-0a1b-4c2d-8e3f-001122334455", "id …"),
        ("commit deadbeef01", "commit …"),
        ("the facade defaced", "the facade defaced"),
        ("", ""),
    ],
)
def test_what_messages_of_one_kind_share(message: str, shared: str) -> None:
    assert pattern_of(message) == shared
