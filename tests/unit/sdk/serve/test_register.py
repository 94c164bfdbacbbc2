"""Syncs: the request that registers an app, and what becomes of the server's answer."""

import json

import pytest

from stepwell.sdk.net.agent import VERSION
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.serve import introspect, register
from stepwell.sdk.settings import Options, ServeOptions, resolve, resolve_serve
from stepwell.wire.function_config import FunctionConfig, Trigger

APP = register.App("shop", "flask", "1.2")
FUNCTION = FunctionConfig(id="shop-f", name="f", url="http://h/x", triggers=(Trigger(event="e"),))


def test_f61_the_request_of_a_registration() -> None:
    asked = register.registration_request(
        APP, (FUNCTION,), "http://h/x", deploy_id="a b", server_kind="dev"
    )
    assert (asked.method, asked.path) == ("POST", "/fn/register?deployId=a%20b")
    assert asked.headers["x-inngest-expected-server-kind"] == "dev"
    body = json.loads(asked.body or b"")
    assert body["appVersion"] == "1.2"
    assert body["sdk"] == f"py:v{VERSION}"
    assert body["v"] == "0.1"
    assert body["deployType"] == "ping"
    assert body["capabilities"]["in_band_sync"] == "v1"
    assert [fn["id"] for fn in body["functions"]] == ["shop-f"]
    bare = register.registration_request(APP, (), "http://h", deploy_id=None, server_kind=None)
    assert bare.path == "/fn/register"
    assert "x-inngest-expected-server-kind" not in bare.headers


@pytest.mark.parametrize(
    ("status", "body", "answered", "message", "modified"),
    [
        (200, b'{"ok":true,"modified":true}', 200, "Successfully registered", True),
        (200, b'{"ok":true}', 200, "Successfully registered", False),
        (400, b'{"error":"bad function ","status":400}', 400, "bad function", False),
        (401, b'{"error":"Authentication failed"}', 401, "Authentication failed", False),
        (503, b'{"error":"down"}', 500, "down", False),
        (500, b"<html>", 500, "<html>", False),
        (302, b"{}", 500, "HTTP 302", False),
        (200, b"Welcome", 500, "Welcome", False),
    ],
)
def test_f50_the_outcome_is_told_with_its_status(
    status: int, body: bytes, answered: int, message: str, modified: bool
) -> None:
    told = register.registration_outcome(HttpReply(status, {}, body))
    assert told[0] == answered
    assert message in told[1].message
    assert told[1].modified is modified
    assert json.loads(register.sync_body(told[1]))["modified"] is modified


def test_which_syncs_are_in_band() -> None:
    cloud, dev = (resolve(Options(is_dev=is_dev), {}) for is_dev in (False, True))
    serve = resolve_serve(ServeOptions(), {}, "cloud")
    closed = resolve_serve(ServeOptions(allow_in_band_sync=False), {}, "cloud")
    assert register.is_in_band("in_band", cloud, serve)
    assert not register.is_in_band("in-band", cloud, serve)
    assert not register.is_in_band(None, cloud, serve)
    assert not register.is_in_band("in_band", dev, serve)
    assert not register.is_in_band("in_band", cloud, closed)


def test_f51_the_answer_in_band() -> None:
    settings = resolve(Options(env="main", signing_key="signkey-test-12345678"), {"VERCEL": "1"})
    serve = resolve_serve(ServeOptions(), {}, "cloud")
    inspection = introspect.describe_to_server(settings, serve, 1, app_id="shop", framework="flask")
    told = json.loads(register.in_band_body(APP, (FUNCTION,), "http://h/x", settings, inspection))
    assert (told["app_id"], told["env"], told["platform"]) == ("shop", "main", "vercel")
    assert (told["sdk_author"], told["sdk_language"]) == ("inngest", "py")
    assert told["inspection"]["signing_key_hash"].startswith("b2ed992186a5")


def test_introspection_survives_a_key_that_is_none() -> None:
    settings = resolve(Options(signing_key="not hexadecimal"), {})
    serve = resolve_serve(ServeOptions(), {}, "cloud")
    told = introspect.describe_to_server(settings, serve, 0, app_id="a", framework="b")
    assert told.has_signing_key
    assert told.signing_key_hash is None
