"""Who may ask what."""

import re

import pytest

from stepwell.server.api.app import ROOTS, ROUTES
from stepwell.server.api.v2.routes import ROUTES_V2
from tests.unit.server.api.harness import BEARER, KEYS, registration, serving

_ID = "01JQDAE4RQ0000000000000001"


def _filled(path: str) -> str:
    return re.sub(r"{\w*id}", _ID, re.sub(r"{(slug:path|app_name)}", "shop", path))


GUARDED = [
    *((route.method, _filled(route.path)) for route in ROUTES),
    *((route.method, root + _filled(route.path)) for route in ROUTES_V2 for root in ROOTS),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_without_a_key_nothing_is_open(method: str, path: str) -> None:
    async with serving(KEYS) as api:
        for headers in ({}, {"authorization": "Bearer nonsense"}, {"authorization": "Bearer"}):
            answer = await api.http.request(method, path, headers=headers)
            assert (answer.status_code, answer.text) == (401, "Authentication failed\n")
            assert "send the signing key" in answer.headers["www-authenticate"]
            assert answer.headers["x-inngest-server-kind"] == "cloud"
        answer = await api.http.request(method, path, headers=BEARER)
        assert answer.status_code not in (401, 403)


@pytest.mark.parametrize(
    "token",
    [
        "12345678",
        "signkey-test-12345678",
        "signkey-prod-12345678",
        "b2ed992186a5cb19f6668aade821f502c1d00970dfd0e35128d51bac4649916c",
        "signkey-test-b2ed992186a5cb19f6668aade821f502c1d00970dfd0e35128d51bac4649916c",
        "abcd",
    ],
)
async def test_every_form_of_either_key_opens(token: str) -> None:
    async with serving(KEYS) as api:
        headers = {"authorization": f"Bearer {token}"}
        assert (await api.http.get("/v1/runs", headers=headers)).status_code == 200


async def test_health_is_open_and_telemetry_is_thrown_away() -> None:
    async with serving(KEYS) as api:
        health = await api.http.get("/health")
        assert (health.status_code, health.json()) == (200, {"status": 200, "message": "OK"})
        assert (await api.http.post("/v0/telemetry", json={})).status_code == 200


async def test_a_web_page_of_elsewhere_cannot_steer_a_development_server() -> None:
    async with serving() as api:
        evil = {"origin": "https://evil.example"}
        answer = await api.http.post("/fn/register", json=registration(), headers=evil)
        assert answer.status_code == 401
        same = {"origin": "http://test"}
        answer = await api.http.post("/fn/register", json=registration(), headers=same)
        assert answer.status_code == 200


async def test_what_does_not_exist_is_said_not_to() -> None:
    async with serving(KEYS) as api:
        answer = await api.http.get("/v1/nothing", headers=BEARER)
        assert answer.status_code == 404
        assert answer.json() == {
            "error": "there is nothing at /v1/nothing",
            "data": None,
            "status": 404,
        }
        wrong = await api.http.put("/v1/runs", headers=BEARER)
        assert wrong.status_code == 405
        trailing = await api.http.get("/v1/runs/", headers=BEARER)
        assert trailing.status_code in (400, 404)
