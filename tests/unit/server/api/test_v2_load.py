"""What a server has to do now and what it keeps, by the REST API."""

from stepwell.server.api.deps import ProcessSeen
from stepwell.server.config import ServerConfig
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
