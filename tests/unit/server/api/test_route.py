"""Whatever a request carries is acted on or refused by name: nothing is quietly ignored."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator

import pytest
from starlette.routing import Route

from stepwell.server.api.app import ROUTES, routes_of
from stepwell.server.api.routing.route import BODY, NOTHING
from stepwell.server.api.v2.routes import ROUTES_V2
from tests.unit.server.api.harness import Api, function, serving

RUN = "01JQDAE4RQ0000000000000009"
SPOKEN_BY_SDKS = {
    # SDKs newer than the server send more than it knows, which must not stop them.
    "POST /v1/checkpoint/{run_id}/async",
    "POST /v1/checkpoint/group",
    "POST /v1/http/runs/{run_id}/async",
    "POST /mcp",
    "POST /v1/checkpoint",
    "POST /v1/checkpoint/{run_id}/steps",
    "POST /v1/http/runs/{run_id}/steps",
    "POST /v1/traces/userland",
    "POST /v1/realtime/token",
    "POST /v1/realtime/publish",
    "POST /v1/realtime/publish/tee",
    "POST /fn/register",
    "GET /v0/runs/{run_id}/batch",
    "GET /v0/runs/{run_id}/actions",
    "GET /dev",
}
BODIES = {
    "POST /v0/gql": {"query": "{ __typename }", "extra": 1},
    "POST /invoke/{slug:path}": {"data": {}, "extra": 1},
    "POST /v1/runs/{run_id}/rerun": {"extra": 1},
    "POST /v1/runs/{run_id}/metadata": {"metadata": [], "extra": 1},
    "POST /v2/runs/{run_id}/scores": [{"name": "x", "value": 1, "extra": 1}],
    "POST /v1/cancellations": {"extra": 1},
    "POST /v1/functions/{function_id}/pause": {"running": "cancel", "extra": 1},
    "POST /v1/functions/{function_id}/replay": {"since": "2030-01-01T00:00:00Z", "extra": 1},
    "POST /v1/signals": {"signal": "s", "extra": 1},
    "POST /v2/runs/{run_id}/rerun": {"extra": 1},
    "POST /v2/apps/{app_id}/functions/{function_id}/pause": {"extra": 1},
    "POST /v2/bulk": {"action": "cancel", "filter": {}, "extra": 1},
    "POST /v2/bulk/count": {"filter": {}, "extra": 1},
    "POST /v2/keys": {"name": "ci", "role": "read", "extra": 1},
    "POST /v2/limits/{limit}": {"concurrency": 1, "extra": 1},
    "POST /v2/apps": {"url": "http://127.0.0.1:1/x", "extra": 1},
    "POST /v2/events": {"name": "x", "extra": 1},
    "POST /v2/apps/{app_id}/functions/{function_id}/invoke": {"data": {}, "extra": 1},
    "POST /session": {"key": "swk_x", "extra": 1},
}
OPEN = {"GET /health", "POST /v0/telemetry"}
"""Probes and SDKs ask these; they answer the same whatever comes with the request."""
BY_TOKEN = {
    "GET /v1/realtime/sse",
    "GET /v1/http/runs/{run_id}/output",
    "GET /v1/checkpoint/{run_id}/output",
}
"""What a token opens: see `test_realtime.py` and the tests of durable endpoints."""


def _filled(path: str) -> str:
    filled = path.replace("{slug:path}", "shop-a").replace("{app_name}", "shop")
    filled = (
        filled.replace("{cancellation_id}", RUN).replace("{key_id}", RUN).replace("{bulk_id}", RUN)
    )
    filled = filled.replace("{app_id}", "shop").replace("{function_id}", "a")
    return filled.replace("{run_id}", RUN).replace("{event_id}", RUN)


ALL = [
    *((route.method, route.path, route.takes) for route in ROUTES),
    *((route.method, f"/v2{route.path}", route.takes) for route in ROUTES_V2),
    *(("POST", "/session", BODY), ("GET", "/session", NOTHING), ("DELETE", "/session", NOTHING)),
]
STRICT = [route for route in ALL if f"{route[0]} {route[1]}" not in SPOKEN_BY_SDKS]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        await made.register(function("a", event="x"))
        yield made


async def test_these_are_all_the_routes_there_are(api: Api) -> None:
    made = {
        f"{method} {route.path.removeprefix('/api')}"
        for route in routes_of(api.deps)
        if isinstance(route, Route)  # a socket is opened by a token
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert made - OPEN - BY_TOKEN == {f"{method} {path}" for method, path, _ in ALL}


def test_only_what_sdks_speak_may_carry_more() -> None:
    assert {f"{m} {p}" for m, p, takes in ALL if takes.others} == SPOKEN_BY_SDKS


@pytest.mark.parametrize("route", STRICT, ids=lambda route: f"{route[0]} {route[1]}")
async def test_an_unknown_parameter_is_refused_by_name(api: Api, route: tuple) -> None:
    method, path, _ = route
    answer = await api.http.request(method, f"{_filled(path)}?colour=red")
    assert answer.status_code == 400
    assert "query parameter 'colour' is not known here" in answer.text


@pytest.mark.parametrize("route", STRICT, ids=lambda route: f"{route[0]} {route[1]}")
async def test_a_body_is_read_or_refused(api: Api, route: tuple) -> None:
    method, path, takes = route
    body = BODIES[f"{method} {path}"] if takes.body else {"extra": 1}
    answer = await api.http.request(method, _filled(path), json=body)
    assert answer.status_code == 400
    named = "extra' is not known here" if takes.body else 'takes no body, got \'{"extra"'
    told = answer.json()
    assert named in (told["error"] if "error" in told else told["errors"][0]["message"])


@pytest.mark.parametrize("route", STRICT, ids=lambda route: f"{route[0]} {route[1]}")
async def test_a_parameter_that_may_come_once_comes_once(api: Api, route: tuple) -> None:
    method, path, takes = route
    for name in takes.one:
        answer = await api.http.request(method, f"{_filled(path)}?{name}=1&{name}=2")
        assert answer.status_code == 400
        assert f"query parameter '{name}' is given 2 times" in answer.text


async def test_the_nearest_name_is_told(api: Api) -> None:
    answer = await api.http.get("/v1/runs?functions=shop-a")
    assert "did you mean 'function'?" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/v2/runs?includeOutput=maybe", "/v1/events?internal=maybe"])
async def test_yes_and_no_are_written_so(api: Api, path: str) -> None:
    answer = await api.http.get(path)
    assert answer.status_code == 400
    assert "write true or false" in answer.text


@pytest.mark.parametrize("limit", ["many", "-1", "1.5", "1e9", "9" * 10])
@pytest.mark.parametrize("path", ["/v1/events", "/v1/runs", "/v1/cancellations", "/v2/runs"])
async def test_a_limit_is_a_number(api: Api, path: str, limit: str) -> None:
    answer = await api.http.get(f"{path}?limit={limit}")
    assert answer.status_code == 400
    assert f"Invalid limit query parameter: '{limit}'; write a number" in answer.text


async def test_a_limit_of_v1_may_be_nothing_or_too_much(api: Api) -> None:
    for limit in ("", "0", "1000"):
        assert (await api.http.get(f"/v1/events?limit={limit}")).status_code == 200


@pytest.mark.parametrize("path", ["/v2/runs", "/v2/events"])
async def test_a_cursor_that_is_nested_too_deeply_is_refused(api: Api, path: str) -> None:
    deep = urlsafe_b64encode(b'{"x":' + b"[" * 9_000).decode()
    answer = await api.http.get(f"{path}?cursor={deep}")
    assert (answer.status_code, "Cursor is invalid" in answer.text) == (400, True)


async def test_an_empty_body_is_none(api: Api) -> None:
    sent = await api.http.post("/invoke/shop-a", json={"data": {}})
    run_id = sent.json()["run_id"]
    answer = await api.http.post(f"/v2/runs/{run_id}/cancel", json={})
    assert answer.status_code == 200


async def test_an_invocation_with_an_id_counts_once(api: Api) -> None:
    first, second, other = [
        (await api.http.post("/invoke/shop-a", json={"data": {"n": n}, "id": id_})).json()
        for n, id_ in ((1, "order-1"), (2, "order-1"), (3, "order-2"))
    ]
    assert first == second
    assert other["run_id"] != first["run_id"]
    event = (await api.http.get(f"/v1/events/{first['id']}")).json()["data"]
    assert (event["id"], event["data"]["n"]) == ("order-1", 1)


async def test_v2_filters_by_app_and_function(api: Api) -> None:
    await api.register(function("a", event="x", app="other"), app="other")
    await api.register(function("a", event="x"), function("b", event="x"))
    await api.send("x")

    async def named(query: str) -> set[str]:
        answer = await api.http.get(f"/v2/runs?{query}")
        assert answer.status_code == 200, answer.text
        return {run["function"]["name"] for run in answer.json()["data"]}

    assert await named("") == {"shop-a", "shop-b", "other-a"}
    assert await named("appId=shop") == {"shop-a", "shop-b"}
    (run,) = (await api.http.get("/v2/runs?appId[]=other")).json()["data"]
    assert await named(f"appId={run['app']['id']}") == {"other-a"}
    assert await named("appId=shop&functionId=b") == {"shop-b"}
    assert await named("appId=shop&functionId=shop-b&functionId=a") == {"shop-a", "shop-b"}
    assert await named(f"appId=other&functionId={run['function']['id']}") == {"other-a"}
    refused = await api.http.get("/v2/runs?functionId=a")
    assert refused.status_code == 400
    assert "appId is required" in refused.json()["errors"][0]["message"]
