"""The dashboard's cookie: who gets one, what it opens, and when it opens nothing any more."""

import msgspec
import pytest

from stepwell.server.api.access.session import COOKIE, LIFE_S
from tests.unit.server.api.harness import BEARER, KEYS, Api, serving
from tests.unit.server.api.test_access import key_of

SIGNING = "signkey-test-12345678"


async def log_in(api: Api, key: str, **headers: str) -> int:
    answer = await api.http.post("/session", json={"key": key}, headers=headers)
    return answer.status_code


async def test_a_key_opens_what_its_role_may_and_no_more() -> None:
    async with serving(KEYS) as api:
        assert (await api.http.get("/v2/runs")).status_code == 401
        id_, headers = await key_of(api, "read", "ann")
        key = headers["authorization"].removeprefix("Bearer ")
        assert await log_in(api, key) == 200
        assert (await api.http.get("/v2/runs")).status_code == 200
        assert (await api.http.get("/v2/keys")).status_code == 403
        who = (await api.http.get("/session")).json()["data"]
        assert who == {"name": "ann", "role": "read", "byCookie": True}
        await api.http.delete(f"/v2/keys/{id_}", headers=BEARER)
        assert (await api.http.get("/v2/runs")).status_code == 401


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    async with serving(KEYS) as api:
        answer = await api.http.post(
            "/session", json={"key": SIGNING}, headers={"x-forwarded-proto": "https"}
        )
        cookie = answer.headers["set-cookie"].lower()
        for part in ("httponly", "samesite=strict", "secure", f"max-age={LIFE_S}", "path=/"):
            assert part in cookie
        assert SIGNING not in cookie


async def test_a_page_of_another_site_is_nobody() -> None:
    async with serving(KEYS) as api:
        assert await log_in(api, SIGNING, origin="http://elsewhere.example") == 403
        assert await log_in(api, SIGNING) == 200
        foreign = {"origin": "http://elsewhere.example"}
        answer = await api.http.post("/v2/runs/01JQDAE4RQ0000000000000001/cancel", headers=foreign)
        assert answer.status_code == 401
        own = {"origin": "http://test"}
        answer = await api.http.post("/v2/runs/01JQDAE4RQ0000000000000001/cancel", headers=own)
        assert answer.status_code == 404


async def test_a_session_ends_after_its_time_and_by_hand() -> None:
    async with serving(KEYS) as api:
        await log_in(api, SIGNING)
        api.clock.ms += LIFE_S * 1_000 - 1
        assert (await api.http.get("/v2/runs")).status_code == 200
        api.clock.ms += 1
        assert (await api.http.get("/v2/runs")).status_code == 401
        await log_in(api, SIGNING)
        assert (await api.http.delete("/session")).status_code == 204
        assert COOKIE not in api.http.cookies
        assert (await api.http.get("/v2/runs")).status_code == 401


@pytest.mark.parametrize("cookie", ["", "x", "signing.9999999999999.", "signing.x.00", ".."])
async def test_a_cookie_that_was_made_up_opens_nothing(cookie: str) -> None:
    async with serving(KEYS) as api:
        headers = {"cookie": f"{COOKIE}={cookie}"}
        assert (await api.http.get("/v2/runs", headers=headers)).status_code == 401


async def test_a_new_signing_key_ends_every_session() -> None:
    async with serving(KEYS) as api:
        await log_in(api, SIGNING)
        cookie = api.http.cookies[COOKIE]
    changed = msgspec.structs.replace(KEYS, signing_keys=("signkey-test-87654321",))
    async with serving(changed) as api:
        headers = {"cookie": f"{COOKIE}={cookie}"}
        assert (await api.http.get("/v2/runs", headers=headers)).status_code == 401


@pytest.mark.parametrize("key", ["", "nonsense", "swk_nonsense", "signkey-test-00000000"])
async def test_a_key_nobody_knows_is_refused_with_a_sentence(key: str) -> None:
    async with serving(KEYS) as api:
        answer = await api.http.post("/session", json={"key": key})
        assert answer.status_code == 401
        assert "does not know this key" in answer.text
        assert "set-cookie" not in answer.headers


async def test_guessing_is_slowed_down() -> None:
    async with serving(msgspec.structs.replace(KEYS, api_rate=1)) as api:
        tried = [await log_in(api, "nonsense") for _ in range(6)]
        assert tried[0] == 401
        assert tried[-1] == 429


async def test_in_development_everybody_is_somebody() -> None:
    async with serving() as api:
        who = (await api.http.get("/session")).json()["data"]
        assert who == {"name": "development", "role": "admin", "byCookie": False}


async def test_what_is_changed_by_cookie_is_in_the_audit_under_the_keys_name() -> None:
    async with serving(KEYS) as api:
        _, headers = await key_of(api, "operate", "ann")
        await log_in(api, headers["authorization"].removeprefix("Bearer "))
        await api.http.post("/v2/runs/01JQDAE4RQ0000000000000001/cancel")
        audit = (await api.http.get("/v2/audit", headers=BEARER)).json()["data"]
        assert {one["by"] for one in audit} == {"ann", "signing key"}
