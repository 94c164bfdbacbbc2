"""What a server has to do now and what it keeps, by the REST API."""

from collections.abc import Mapping

import pytest

from stepwell.server.api.deps import ProcessSeen
from stepwell.server.api.v1.apps import package_version
from stepwell.server.config import ServerConfig
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.store.port import RunFilter
from stepwell.wire.duration import format_instant
from tests.unit.server.api.harness import NOW_MS, Api, function, serving


async def told(api: Api) -> dict[str, tuple[int, int, str]]:
    """How many runs of each function wait and go on, and what keeps them."""
    answer = await api.http.get("/v2/load")
    assert answer.status_code == 200, answer.text
    return {
        one["function"]["name"]: (one["queued"], one["running"], one.get("reason", ""))
        for one in answer.json()["data"]
    }


async def test_what_waits_and_goes_on_is_told_by_function() -> None:
    async with serving() as api:
        await api.register(
            function("idle", event="never"), function("go", event="go"), function("rest", event="r")
        )
        await api.send("go")
        await api.send("r")
        await api.send("go")
        assert (await api.http.post("/v1/functions/shop-rest/pause", json={})).status_code == 200
        assert await told(api) == {"shop-go": (2, 0, "none"), "shop-rest": (1, 0, "paused")}
        (going, _) = (await api.http.get("/v2/load")).json()["data"]
        assert going["oldestQueuedAt"] == format_instant(NOW_MS)
        assert going["app"]["name"] == "shop"
        first = api.deps.reader.runs(RunFilter(functions=("shop-go",)))[0]
        object.__setattr__(api.deps, "under_way", lambda: [first])
        assert (await told(api))["shop-go"] == (1, 1, "none")


async def test_what_waits_is_counted_once_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as api:
        await api.register(function("go", event="go"))
        await api.send("go")
        looks: list[object] = []
        live = api.deps.reader.live

        def counted() -> Mapping[tuple[str, RunStatus], int]:
            looks.append(found := live())
            return found

        monkeypatch.setattr(api.deps.reader, "live", counted)
        for path in ("/v2/load", "/v2/apps/shop/functions/go/usage", "/metrics"):
            looks.clear()
            assert (await api.http.get(path)).status_code == 200
            assert len(looks) == 1, path


async def test_where_things_are_kept_and_how_long() -> None:
    seen = ProcessSeen(database_bytes=4096, log_bytes=7)
    kept = ServerConfig(persist=True, retention_ms=1_000)
    for config, database in ((None, "memory"), (kept, "sqlite")):
        async with serving(config) as api:
            object.__setattr__(api.deps, "process", lambda: seen)
            answer = await api.http.get("/v2/storage")
            assert answer.json()["data"] == {
                "database": database,
                "databaseBytes": 4096,
                "logBytes": 7,
                "retentionMs": config.retention_ms if config else 0,
            }


async def test_the_server_that_answers_says_whether_it_keeps_up() -> None:
    seen = ProcessSeen(
        began_ms=NOW_MS, connections=3, workers=1, stall_s=0.0384, stall_work_s=0.004
    )
    async with serving() as api:
        within_an_application = (await api.http.get("/v2/server")).json()["data"]
        object.__setattr__(api.deps, "process", lambda: seen)
        told = (await api.http.get("/v2/server")).json()["data"]
    assert within_an_application == {"version": package_version()}
    assert told == {
        "version": package_version(),
        "startedAt": format_instant(NOW_MS),
        "connections": 3,
        "workers": 1,
        "lateMs": {"longest": 38, "own": 4},
    }


async def used(api: Api) -> list[tuple[str, str, int, int, int]]:
    """Each limit of the function `go`: option, key, how much of how much, and what waits."""
    answer = await api.http.get("/v2/apps/shop/functions/go/usage")
    assert answer.status_code == 200, answer.text
    return [
        (one["option"], one.get("key", ""), one["inUse"], one["limit"], one["waiting"])
        for one in answer.json()["data"]["limits"]
    ]


async def test_limits_of_a_function_are_told_by_key_with_what_waits() -> None:
    async with serving() as api:
        limit = [{"limit": 1, "key": "event.data.user"}]
        await api.register(function("go", event="go", concurrency=limit))
        assert await used(api) == []
        for user in ("amy", "bob", "amy"):
            await api.send("go", user=user)
        assert await used(api) == [
            ("concurrency", '"amy"', 0, 1, 2),
            ("concurrency", '"bob"', 0, 1, 1),
        ]
        assert len(await api.jobs()) == 2
        assert await used(api) == [
            ("concurrency", '"amy"', 1, 1, 1),
            ("concurrency", '"bob"', 1, 1, 0),
        ]
        missing = await api.http.get("/v2/apps/shop/functions/none/usage")
        assert missing.status_code == 404


async def test_a_throttle_tells_when_the_next_run_may_start() -> None:
    async with serving() as api:
        throttle = {"limit": 1, "period": "1m"}
        await api.register(function("go", event="go", throttle=throttle))
        for _ in range(3):
            await api.send("go")
        assert len(await api.jobs()) == 1
        assert await used(api) == [("throttle", "", 1, 1, 2)]
        told = (await api.http.get("/v2/apps/shop/functions/go/usage")).json()["data"]
        assert told["limits"][0]["nextAt"] == format_instant(NOW_MS + 60_000)
        assert (told["load"]["queued"], told["load"]["reason"]) == (3, "limit")
