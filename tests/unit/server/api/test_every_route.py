"""Every route there is, from the server's own list, stands in a table that says what opens it; and
with each kind of key it answers as the table says. What declared routes need is asked in
`test_access.py`; here is what is open to a key in the path, a token in the URL, a session or
anybody."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.routing import BaseRoute, Route, WebSocketRoute

from stepwell.server.api.app import ROOTS, ROUTES, WITH_TOKEN, routes_of
from stepwell.server.api.v2.routes import ROUTES_V2
from stepwell.server.engine.row.key import Role
from stepwell.server.gateway.gateway import Gateway
from stepwell.server.gateway.http_endpoint import ConnectApi
from stepwell.server.query.run_object import ACCOUNT_ID, ENVIRONMENT_ID
from stepwell.server.realtime.minter import Minter
from stepwell.wire.realtime import TopicPlace
from tests.unit.server.api.harness import BEARER, KEYS, Api, serving
from tests.unit.server.api.test_access import NEEDED, key_of

RUN = "01JQDAE4RQ0000000000000001"
OPEN = {("GET", "/health"), ("POST", "/v0/telemetry")}
SESSION = {(method, "/session") for method in ("GET", "POST", "DELETE")}
TOKENS = {
    *(("GET", path) for path, _ in WITH_TOKEN),
    ("WEBSOCKET", "/v1/realtime/connect"),
}
CONNECT = {
    ("POST", "/v0/connect/start"),
    ("POST", "/v0/connect/flush"),
    ("GET", "/v0/connect/envs/{env}/conns"),
    ("GET", "/v0/connect/envs/{env}/groups/{group}"),
}
UPGRADE = {("GET", "/v0/connect"), ("WEBSOCKET", "/v0/connect")}
"""A worker shows its token in its first message: tests of the gateway."""


def listed(routes: Iterable[BaseRoute]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for route in routes:
        if isinstance(route, WebSocketRoute):
            found.append(("WEBSOCKET", route.path))
        else:
            assert isinstance(route, Route)
            found += [(method, route.path) for method in (route.methods or ()) if method != "HEAD"]
    return found


@asynccontextmanager
async def workers(api: Api) -> AsyncIterator[tuple[ConnectApi, httpx.AsyncClient]]:
    """What workers ask, beside the API."""

    def nothing(*_: Any) -> bool:
        return False

    now_ms = api.clock.now_ms
    gateway = Gateway(
        api.ledger,
        now_ms,
        secret=b"s",
        on_slots=nothing,
        on_app=nothing,
        had_work=lambda _, told: told(False),
    )
    connect = ConnectApi(
        gateway,
        secret=b"s",
        now_ms=now_ms,
        may_ask=api.deps.access.may_ask,
        gateway_port=lambda: None,
    )
    transport = httpx.ASGITransport(connect.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield connect, http


async def test_every_route_stands_in_one_table() -> None:
    async with serving(KEYS) as api, workers(api) as (connect, _):
        served = listed(routes_of(api.deps))
        of_workers = listed(connect.app.routes)
    declared = [(one.method, one.path) for one in ROUTES]
    declared += [(one.method, root + one.path) for one in ROUTES_V2 for root in ROOTS]
    assert len(declared) == len(NEEDED)
    tables = [*declared, *OPEN, *SESSION, *TOKENS]
    assert sorted(served) == sorted(tables)
    assert len(set(served)) == len(served)
    assert set(of_workers) == CONNECT | UPGRADE


@pytest.mark.parametrize(("method", "path"), sorted(OPEN))
async def test_what_is_open_tells_nothing(method: str, path: str) -> None:
    async with serving(KEYS) as api:
        for headers in ({}, {"authorization": "Bearer nonsense"}, BEARER):
            answer = await api.http.request(method, path, headers=headers)
            assert answer.status_code == 200
            assert answer.content in (b"", b'{"status":200,"message":"OK"}')


@pytest.mark.parametrize(("method", "path"), sorted(CONNECT))
async def test_what_workers_ask_takes_the_signing_key(
    method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "stepwell")
    place = path.format(env="dev", group="g")
    async with serving(KEYS) as api, workers(api) as (_, http):
        strangers: list[dict[str, str]] = [{}, {"authorization": "Bearer nonsense"}]
        strangers += [(await key_of(api, role.name.lower()))[1] for role in Role]
        for headers in strangers:
            answer = await http.request(method, place, headers=headers)
            assert (answer.status_code, answer.text) == (401, "Authentication failed\n")
        answer = await http.request(method, place, headers=BEARER)
        assert answer.status_code in (200, 400, 404)


@pytest.mark.parametrize("path", sorted(path for method, path in TOKENS if method == "GET"))
async def test_what_a_token_opens_no_key_opens(path: str) -> None:
    place = path.format(run_id=RUN)
    async with serving(KEYS) as api:
        _, admin = await key_of(api, "admin")
        # Nor does a token that others signed, or one of another kind.
        others = Minter.of(("other",), b"", ACCOUNT_ID, ENVIRONMENT_ID)
        topics, now_ms = [TopicPlace(RUN, "no output")], api.clock.ms
        made = others.mint(topics, now_ms=now_ms, token_id=RUN)
        keys = [*KEYS.signing_keys, admin["authorization"].removeprefix("Bearer "), made, "x", ""]
        if path.endswith("/output"):
            keys.append(api.deps.tokens.mint(topics, now_ms=now_ms, token_id=RUN))
        for token in keys:
            answer = await api.http.get(place, params={"token": token})
            assert answer.status_code == 401
            assert answer.json()["error"].startswith("Not authenticated")


async def test_a_session_is_given_for_a_key_alone() -> None:
    async with serving(KEYS) as api:
        _, reader = await key_of(api, "read")
        key = reader["authorization"].removeprefix("Bearer ")
        assert (await api.http.get("/session")).status_code == 401
        for wrong in ("", "nonsense", "k1", "swk_no"):
            answer = await api.http.post("/session", json={"key": wrong})
            assert answer.status_code == 401, wrong
        for right, role in ((key, "read"), ("abcd", "admin")):
            answer = await api.http.post("/session", json={"key": right})
            assert (answer.status_code, answer.json()["data"]["role"]) == (200, role)
            assert (await api.http.get("/session")).json()["data"]["role"] == role
        assert (await api.http.delete("/session")).status_code == 204
        api.http.cookies.clear()
        assert (await api.http.get("/session")).status_code == 401


async def test_events_take_an_event_key_and_no_other() -> None:
    async with serving(KEYS) as api:
        _, admin = await key_of(api, "admin")
        key = admin["authorization"].removeprefix("Bearer ")
        for place in ("/e/k1", "/e/k2"):
            assert (await api.http.post(place, json={"name": "a"})).status_code == 200
        for place in (
            "/e/",
            "/e/nonsense",
            f"/e/{key}",
            *(f"/e/{one}" for one in KEYS.signing_keys),
        ):
            answer = await api.http.post(place, json={"name": "a"}, headers=BEARER)
            assert answer.status_code == 401, place
        # Nor does it open anything else.
        answer = await api.http.get("/v2/runs", headers={"authorization": "Bearer k1"})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2/nothing", 404, "not_found"),
        ("POST", "/v2/env/webhooks", 404, "not_found"),
        ("PUT", "/v2/runs", 405, "api_error"),
        ("GET", "/v2/runs?limt=5", 400, "invalid_request"),
        ("POST", "/v2/events?x=1", 400, "invalid_request"),
    ],
)
async def test_what_is_not_there_is_told_with_its_status(
    method: str, path: str, status: int, code: str
) -> None:
    async with serving(KEYS) as api:
        answer = await api.http.request(method, path, headers=BEARER)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
