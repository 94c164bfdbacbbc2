"""Who may ask what."""

import re

import msgspec
import pytest

from stepwell.server.api.access.role import SIGNING
from stepwell.server.api.app import ROOTS, ROUTES
from stepwell.server.api.v2.routes import ROUTES_V2
from stepwell.server.engine.row.key import Role
from tests.unit.server.api.harness import BEARER, KEYS, Api, function, registration, serving

_ID = "01JQDAE4RQ0000000000000001"


def _filled(path: str) -> str:
    return re.sub(r"{\w*id}", _ID, re.sub(r"{(slug:path|app_name)}", "shop", path))


NEEDED = {
    **{(one.method, _filled(one.path)): one.needs for one in ROUTES},
    **{(one.method, root + _filled(one.path)): one.needs for one in ROUTES_V2 for root in ROOTS},
}


async def key_of(api: Api, role: str, name: str = "") -> tuple[str, dict[str, str]]:
    """A new key of this role: its id, and the header that shows it."""
    body = {"name": name or f"may {role}", "role": role}
    answer = await api.http.post("/v2/keys", json=body, headers=BEARER)
    assert answer.status_code == 200, answer.text
    made = answer.json()["data"]
    return made["id"], {"authorization": f"Bearer {made['key']}"}


@pytest.mark.parametrize(
    ("method", "path"), [one for one in NEEDED if not one[1].startswith("/api/")]
)
async def test_every_route_asks_for_the_key_it_needs(method: str, path: str) -> None:
    # At both its places, where it has two.
    places = [place for place in (path, f"/api{path}") if (method, place) in NEEDED]
    async with serving(msgspec.structs.replace(KEYS, api_rate=0)) as api:
        api.deps.feed.close()  # a stream of changes ends once it has said that it is ready
        keys = {role: (await key_of(api, role.name.lower()))[1] for role in Role}
        for place in places:
            await _asked_with_each(api, method, place, keys)


async def _asked_with_each(
    api: Api, method: str, path: str, keys: dict[Role, dict[str, str]]
) -> None:
    needed = NEEDED[method, path]
    strangers = ({}, {"authorization": "Bearer nonsense"}, {"authorization": "Bearer swk_no"})
    for headers in strangers:
        answer = await api.http.request(method, path, headers=headers)
        assert (answer.status_code, answer.text) == (401, "Authentication failed\n")
        assert "send the signing key" in answer.headers["www-authenticate"]
        assert answer.headers["x-inngest-server-kind"] == "cloud"
    for role, headers in keys.items():
        answer = await api.http.request(method, path, headers=headers)
        assert (answer.status_code == 403) == (role < needed), (role, answer.text)
        assert answer.status_code not in (401, 500)
        if role < needed:
            assert "takes" in answer.text
    answer = await api.http.request(method, path, headers=BEARER)
    assert answer.status_code not in (401, 403, 500)


OFFICIAL = """
GET /v1/events
GET /v1/events/{id}
GET /v1/events/{id}/runs
GET /v1/runs/{id}
DELETE /v1/runs/{id}
GET /v1/runs/{id}/jobs
POST /v1/runs/{id}/metadata
POST /v1/signals
GET /v1/apps/{id}/functions
POST /v1/cancellations
GET /v1/cancellations
DELETE /v1/cancellations/{id}
GET /v1/prom/{id}
POST /v1/traces/userland
POST /v1/realtime/token
GET /v1/realtime/connect
GET /v1/realtime/sse
POST /v1/realtime/publish
POST /v1/realtime/publish/tee
POST /v1/checkpoint
POST /v1/checkpoint/{id}/steps
POST /v1/checkpoint/{id}/async
GET /v1/http/runs/{id}/output
GET /v2/health
GET /v2/account
GET /v2/envs
GET /v2/keys/events
GET /v2/keys/signing
GET /v2/apps
GET /v2/apps/{id}
GET /v2/apps/{id}/functions
GET /v2/apps/{id}/functions/{id}
GET /v2/apps/{id}/functions/{id}/runs
POST /v2/apps/{id}/functions/{id}/invoke
POST /v2/events
GET /v2/runs
GET /v2/runs/{id}
GET /v2/runs/{id}/trace
GET /v2/events/{id}/runs
POST /v2/runs/{id}/rerun
POST /v2/runs/{id}/cancel
POST /v2/runs/{id}/scores
GET /v2/operations
"""
"""The routes of the official server's REST APIs."""

WITH_TOKEN = """
GET /v1/http/runs/{id}/output
GET /v1/realtime/connect
GET /v1/realtime/sse
"""
"""Those that a token opens, and no key: `test_realtime.py`."""


def test_every_official_route_is_served() -> None:
    """What is served is asked with the right, a wrong, a missing and another role's key above."""

    def lines(text: str) -> set[str]:
        return {line for line in text.splitlines() if line}

    served = {re.sub(r"{\w+}", "{id}", f"{one.method} {one.path}") for one in ROUTES}
    served |= {re.sub(r"{\w+}", "{id}", f"{one.method} /v2{one.path}") for one in ROUTES_V2}
    assert lines(OFFICIAL) - served == lines(WITH_TOKEN)


async def test_keys_of_the_settings_are_told_to_few() -> None:
    async with serving(KEYS) as api:
        _, admin = await key_of(api, "admin")
        events = (await api.http.get("/v2/keys/events", headers=admin)).json()["data"]
        assert [one["key"] for one in events] == ["k1", "k2"]
        assert events[0] == {"name": "event key 1", "environment": "production", "key": "k1"}
        # Who may do everything may not become the one that signs.
        assert (await api.http.get("/v2/keys/signing", headers=admin)).status_code == 403
        signing = (await api.http.get("/v2/keys/signing", headers=BEARER)).json()["data"]
        assert [one["key"] for one in signing] == [*KEYS.signing_keys]
        told = (await api.http.get("/v2/account", headers=admin)).json()["data"]
        assert told["name"] == "Stepwell"


def test_what_each_role_may() -> None:
    def routes(needed: int) -> set[str]:
        return {f"{one.method} {one.path}" for one in ROUTES_V2 if one.needs == needed}

    assert routes(Role.ADMIN) == {
        "GET /keys",
        "POST /keys",
        "DELETE /keys/{key_id}",
        "GET /keys/events",
        "GET /audit",
        "POST /apps",
        "DELETE /apps/{app_id}",
    }
    assert routes(SIGNING) == {"GET /keys/signing"}
    counts = {"POST /bulk/count"}
    assert all(one.startswith("GET ") for one in routes(Role.READ) - counts)
    assert "POST /runs/{run_id}/cancel" in routes(Role.OPERATE)
    signed = {f"{one.method} {one.path}" for one in ROUTES if one.needs == SIGNING}
    assert {"POST /fn/register", "DELETE /fn/remove", "DELETE /v0/runs/{run_id}"} <= signed


async def test_the_log_says_once_that_an_app_has_another_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(KEYS) as api:
        for _ in range(3):
            await api.register(function("a", event="x"))
        await api.http.get("/v2/runs")
    (record,) = caplog.records
    told = record.getMessage()
    assert (record.levelname, told) == (
        "WARNING",
        "/fn/register is refused to 127.0.0.1: it takes the signing key",
    )


async def test_a_revoked_key_opens_nothing() -> None:
    async with serving(KEYS) as api:
        id_, headers = await key_of(api, "read")
        assert (await api.http.get("/v2/runs", headers=headers)).status_code == 200
        revoked = await api.http.delete(f"/v2/keys/{id_}", headers=BEARER)
        assert revoked.json()["data"]["revokedAt"].endswith("Z")
        assert (await api.http.get("/v2/runs", headers=headers)).status_code == 401
        unknown = await api.http.delete(f"/v2/keys/{_ID}", headers=BEARER)
        assert unknown.status_code == 404
        listed = (await api.http.get("/v2/keys", headers=BEARER)).json()["data"]
        assert [(one["id"], one["role"], one["createdBy"]) for one in listed] == [
            (id_, "read", "signing key")
        ]
        assert "swk_" not in str(listed)
        assert headers["authorization"][-20:] not in repr(api.deps.reader.api_keys("", 9))


async def test_a_key_counts_in_development_too() -> None:
    async with serving() as api:
        _, headers = await key_of(api, "read")
        assert (await api.http.get("/v2/keys", headers=headers)).status_code == 403
        assert (await api.http.get("/v2/keys")).status_code == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "", "role": "read"}, "length >= 1"),
        ({"name": "ci"}, "missing required field `role`"),
        ({"name": "ci", "role": "root"}, "Invalid enum value 'root'"),
        ({"name": "c" * 101, "role": "read"}, "length <= 100"),
    ],
)
async def test_a_key_nobody_can_make(body: dict[str, str], said: str) -> None:
    async with serving() as api:
        answer = await api.http.post("/v2/keys", json=body)
        assert answer.status_code == 400
        assert said in answer.json()["errors"][0]["message"]


async def test_what_is_changed_is_written_down() -> None:
    async with serving(KEYS) as api:
        registered = await api.http.post(
            "/fn/register", json=registration(function("a", event="x")), headers=BEARER
        )
        assert registered.status_code == 200
        id_, headers = await key_of(api, "operate", "ann")
        started = await api.http.post(
            "/v2/apps/shop/functions/a/invoke", json={"data": {}}, headers=headers
        )
        run_id = started.json()["data"]["runId"]
        for _ in range(2):
            api.clock.ms += 1
            await api.http.post(f"/v2/runs/{run_id}/cancel", headers=headers)
        api.clock.ms += 1
        await api.http.post(
            "/v1/functions/shop-a/pause", json={"running": "cancel"}, headers=headers
        )
        listed = (await api.http.get("/v2/audit", headers=BEARER)).json()["data"]
        told = [
            (one["by"], one.get("keyId"), one["operation"], one["target"], one.get("refused"))
            for one in listed
        ]
        path = f"/v2/runs/{run_id}/cancel"
        assert told == [
            (
                "ann",
                id_,
                "pause_function",
                "/v1/functions/shop-a/pause",
                None,
            ),
            ("ann", id_, "cancel_run", path, 409),
            ("ann", id_, "cancel_run", path, None),
            ("signing key", None, "create_key", "/v2/keys", None),
        ]
        assert msgspec.json.decode(listed[0]["asked"]) == {"running": "cancel"}
        page = await api.http.get("/v2/audit?limit=3", headers=BEARER)
        cursor = page.json()["page"]["cursor"]
        rest = await api.http.get(f"/v2/audit?cursor={cursor}", headers=BEARER)
        assert [one["operation"] for one in rest.json()["data"]] == ["create_key"]


async def test_who_asks_too_often_is_told_when_to_ask_again() -> None:
    async with serving(msgspec.structs.replace(KEYS, api_rate=2)) as api:
        _, one = await key_of(api, "read")
        _, other = await key_of(api, "read")
        answers = [await api.http.get("/v2/runs", headers=one) for _ in range(9)]
        assert [answer.status_code for answer in answers] == [200] * 8 + [429]
        assert answers[-1].headers["retry-after"] == "1"
        assert answers[-1].json()["errors"][0]["code"] == "rate_limited"
        assert (await api.http.get("/v2/runs", headers=other)).status_code == 200
        strangers = [await api.http.get("/v1/runs") for _ in range(9)]
        assert [answer.status_code for answer in strangers] == [401] * 8 + [429]
        for _ in range(20):
            assert (await api.http.get("/v1/runs", headers=BEARER)).status_code == 200
        api.clock.ms += 500
        assert (await api.http.get("/v2/runs", headers=one)).status_code == 200


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
