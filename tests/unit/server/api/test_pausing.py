"""Pausing a function by the API, and letting it go on."""

import pytest

from tests.unit.server.api.harness import function, serving


async def test_a_function_is_paused_and_resumed() -> None:
    async with serving() as api:
        await api.register(function("a", event="x"))
        answer = await api.http.post("/v1/functions/shop-a/pause")
        assert answer.json()["data"] == {"function": "shop-a", "paused": True, "changed": True}
        again = await api.http.post("/v1/functions/shop-a/pause", json={"running": "cancel"})
        assert again.json()["data"]["changed"] is False
        skipped = await api.send("x")
        told = (await api.http.get(f"/v1/events/{skipped}/runs")).json()
        assert [one["reason"] for one in told["not_started"]] == ["FunctionPaused"]
        answer = await api.http.post("/v1/functions/shop-a/resume")
        assert answer.json()["data"] == {"function": "shop-a", "paused": False, "changed": True}
        event = await api.send("x")
        assert len((await api.http.get(f"/v1/events/{event}/runs")).json()["data"]) == 1


async def test_what_was_skipped_may_be_replayed() -> None:
    async with serving() as api:
        await api.register(function("a", event="x"))
        replay = "/v1/functions/shop-a/replay"
        since = {"since": "2001-01-01T00:00:00Z"}
        await api.http.post("/v1/functions/shop-a/pause")
        skipped = await api.send("x")
        refused = await api.http.post(replay, json=since)
        assert refused.status_code == 409
        assert "is paused: let it go on first" in refused.json()["error"]
        await api.http.post("/v1/functions/shop-a/resume")
        later = {**since, "until": "2999-01-01T00:00:00Z", "reasons": ["FunctionPaused"]}
        api.clock.ms += 1
        told = (await api.http.post(replay, json=later)).json()["data"]
        assert told == {"function": "shop-a", "started": 1, "skipped": 0, "more": False}
        assert (await api.http.post(replay, json=since)).json()["data"]["started"] == 0
        seen = (await api.http.get(f"/v1/events/{skipped}/runs")).json()
        assert (len(seen["data"]), seen["not_started"]) == (1, [])


@pytest.mark.parametrize(
    ("body", "fix"),
    [
        ("{}", "since"),
        ('{"since": "soon"}', "since"),
        ('{"since": "2026-01-01T00:00:00Z", "until": "2025-01-01T00:00:00Z"}', "until must be"),
        ('{"since": "2026-01-01T00:00:00Z", "reasons": ["Bored"]}', "Bored"),
    ],
)
async def test_a_replay_that_makes_no_sense_is_refused(body: str, fix: str) -> None:
    async with serving() as api:
        await api.register(function("a", event="x"))
        answer = await api.http.post("/v1/functions/shop-a/replay", content=body)
        assert answer.status_code == 400
        assert fix in answer.json()["error"]
        unknown = await api.http.post(
            "/v1/functions/shop-b/replay", json={"since": "2026-01-01T00:00:00Z"}
        )
        assert unknown.status_code == 404


@pytest.mark.parametrize("body", ['{"running": "later"}', '{"runing": "cancel"}', "5"])
async def test_what_makes_no_sense_is_refused(body: str) -> None:
    async with serving() as api:
        await api.register(function("a", event="x"))
        answer = await api.http.post("/v1/functions/shop-a/pause", content=body)
        assert answer.status_code == 400
        assert '{"running": "freeze"}' in answer.json()["error"]
        unknown = await api.http.post("/v1/functions/shop-b/resume")
        assert unknown.status_code == 404
        assert "there is no function shop-b" in unknown.json()["error"]
