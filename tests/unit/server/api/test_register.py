"""How apps register, and what each wrong configuration is told."""

from typing import Any

import pytest

from stepwell.server.config import Command, ServerConfig
from tests.unit.server.api.harness import Api, function, registration, serving


async def refused(api: Api, *functions: dict[str, Any]) -> str:
    answer = await api.register(*functions)
    assert answer.status_code == 400
    body = answer.json()
    assert (body["data"], body["status"]) == (None, 400)
    return str(body["error"])


async def test_an_app_is_registered_once_and_said_to_be_the_same_again() -> None:
    async with serving() as api:
        first = await api.register(function("a", event="x"))
        assert first.status_code == 200
        assert first.json()["ok"] is True
        assert first.json()["modified"] is True
        again = await api.register(function("a", event="x"))
        assert again.json().get("modified", False) is False
        assert again.json()["app_id"] == first.json()["app_id"]
        assert again.json()["sync_id"] != first.json()["sync_id"]
        changed = await api.register(function("a", event="y"))
        assert changed.json()["modified"] is True
        assert [app.url for app in api.apps] == ["http://127.0.0.1:3000/api/inngest"] * 3


async def test_functions_that_are_no_longer_named_are_forgotten() -> None:
    async with serving() as api:
        await api.register(function("a", event="x"), function("b", event="x"))
        await api.register(function("b", event="x"))
        assert list(api.ledger.catalog.listings) == ["shop-b"]
        await api.register()
        assert list(api.ledger.catalog.listings) == []


async def test_keys_are_read_whatever_their_case() -> None:
    async with serving() as api:
        body = registration(function("a", event="x"))
        body["appname"] = body.pop("appName")
        body["deploy_type"] = body.pop("deployType")
        answer = await api.http.post("/fn/register", json=body)
        assert answer.status_code == 200
        assert list(api.ledger.catalog.apps) == ["shop"]


async def test_a_deployment_id_in_the_addresses_is_no_change() -> None:
    async with serving() as api:
        await api.register(function("a", event="x"))
        deployed = function("a", event="x")
        runtime = deployed["steps"]["step"]["runtime"]
        runtime["url"] = runtime["url"].replace("?", "?deployId=dep-1&")
        again = await api.register(deployed)
        assert again.json().get("modified", False) is False
        listing = api.ledger.catalog.listing("shop-a")
        assert listing is not None
        assert "deployId" not in listing.config.url


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"triggers": [{"event": "x", "expression": "event.data.(("}]}, "triggers[0].expression"),
        ({"triggers": [{"cron": "every day"}]}, "triggers[0].cron 'every day' is no schedule"),
        ({"name": ""}, "name is empty"),
        ({"rateLimit": {"limit": 0, "period": "1h"}}, "rateLimit.limit 0 is too small"),
        ({"debounce": {"period": "8d"}}, "debounce.period '8d' is too long: use at most 1w"),
        ({"concurrency": [{"limit": 1, "key": "(("}]}, "concurrency[0].key '((' is no expression"),
        ({"priority": {"run": "(("}}, "priority.run '((' is no expression"),
        ({"cancel": [{"event": "x", "if": "(("}]}, "cancel[0].if '((' is no expression"),
        ({"batchEvents": {"maxSize": 2, "timeout": "1s", "key": "(("}}, "batchEvents.key"),
        ({"idempotency": "(("}, "idempotency '((' is no expression"),
        ({"steps": {}}, "steps.step.runtime.url is missing"),
    ],
)
async def test_a_refusal_names_function_field_value_and_fix(
    more: dict[str, Any], said: str
) -> None:
    async with serving() as api:
        await api.register(function("kept", event="x"))
        error = await refused(api, function("good", event="x"), {**function("bad"), **more})
        assert error.startswith('At least one function is invalid: function "shop-bad": ')
        assert said in error
        assert "shop-good" not in error
        assert list(api.ledger.catalog.listings) == ["shop-kept"]


async def test_every_problem_is_told_at_once() -> None:
    async with serving() as api:
        bad = {**function("a"), "name": "", "idempotency": "(("}
        error = await refused(api, bad, function("b"), function("b"))
        assert error.count("; ") >= 2
        assert 'function "shop-b": id is used twice' in error


async def test_an_id_of_another_app_is_not_taken_over() -> None:
    async with serving() as api:
        await api.register(function("a", app="one"), app="one")
        answer = await api.register(function("a", app="one"), app="two")
        assert answer.status_code == 400
        assert 'function "one-a": id belongs to app "one" already' in answer.json()["error"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"appName": ""}, "App ID required"),
        ({"appName": "@gateway"}, "is reserved"),
        ({"url": "localhost:3000"}, "is no web address"),
        ({"functions": 5}, "Invalid request"),
        ({"functions": [5]}, "Invalid request"),
        ({"functions": [{"id": "x", "triggers": "y"}]}, "function 'x'"),
    ],
)
async def test_what_is_no_registration_is_told(change: dict[str, Any], said: str) -> None:
    async with serving() as api:
        answer = await api.http.post("/fn/register", json={**registration(), **change})
        assert answer.status_code == 400
        assert said in answer.json()["error"]


async def test_a_body_that_is_no_json_is_told() -> None:
    async with serving() as api:
        answer = await api.http.post("/fn/register", content=b"{")
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("Invalid request")


@pytest.mark.parametrize(
    ("sdk", "status"),
    [("js:v3.22.0", 400), ("js:v3.53.1", 400), ("js:v3.21.9", 200), ("js:v3.54.0", 200)],
)
async def test_versions_with_a_known_hole_are_refused(sdk: str, status: int) -> None:
    async with serving() as api:
        answer = await api.http.post("/fn/register", json={**registration(), "sdk": sdk})
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["code"] == "sdk_version_denied"


async def test_an_app_that_expects_another_kind_of_server_is_told_both() -> None:
    async with serving() as api:
        headers = {"x-inngest-expected-server-kind": "cloud"}
        answer = await api.http.post("/fn/register", json=registration(), headers=headers)
        assert answer.status_code == 400
        assert answer.json()["error"] == "Expected server kind dev, got cloud"


async def test_an_app_is_removed_by_its_url() -> None:
    async with serving() as api:
        await api.register(function("a", event="x"))
        unknown = await api.http.delete("/fn/remove", params={"url": "http://x/"})
        assert (unknown.status_code, unknown.json()["error"]) == (404, "App not found: http://x/")
        nameless = await api.http.delete("/fn/remove")
        assert nameless.status_code == 400
        assert "DELETE /fn/remove?url=" in nameless.json()["error"]
        url = "http://localhost:3000/api/inngest?deployId=x"
        removed = await api.http.delete("/fn/remove", params={"url": url})
        assert (removed.status_code, removed.content) == (200, b"")
        assert api.ledger.catalog.apps == {}
        assert api.ledger.catalog.listings == {}


async def test_what_is_registered_can_be_listed() -> None:
    async with serving() as api:
        await api.register(function("a", event="x"))
        (listed,) = (await api.http.get("/v1/apps/shop/functions")).json()
        assert (listed["id"], listed["name"]) == ("shop-a", "a")
        assert listed["config"]["triggers"] == [{"event": "x"}]
        assert (await api.http.get("/v1/apps/none/functions")).json() == []
        (app,) = (await api.http.get("/v1/apps")).json()["data"]
        assert (app["name"], app["method"], app["error"]) == ("shop", "serve", "")
        dev = (await api.http.get("/dev")).json()
        assert [entry["slug"] for entry in dev["functions"]] == ["shop-a"]
        assert dev["startOpts"]["poll"] is False


async def test_a_production_server_is_no_dev_server() -> None:
    config = ServerConfig(command=Command.START, signing_keys=("ab",), event_keys=("k",))
    async with serving(config) as api:
        answer = await api.http.get("/dev", headers={"authorization": "Bearer ab"})
        assert answer.status_code == 404
