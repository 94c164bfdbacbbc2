"""What is said at a sync and on introspection."""

import json

import pytest

from stepwell.wire import registration as said
from stepwell.wire.function_config import FunctionConfig, MalformedFunction, Trigger
from stepwell.wire.registration import (
    MalformedRegistration,
    RegisterAnswer,
    RegisterProblem,
    Registration,
    decode_registration,
    encode_registration,
)

FUNCTION = FunctionConfig(id="shop-a", name="a", url="http://x", triggers=(Trigger(event="e"),))
FUNCTION_JSON = {
    "id": "shop-a",
    "name": "a",
    "triggers": [{"event": "e"}],
    "steps": {
        "step": {"id": "step", "name": "step", "runtime": {"type": "http", "url": "http://x"}}
    },
}
REGISTRATION = Registration(
    url="http://x/api/inngest",
    app_name="shop",
    functions=(FUNCTION,),
    sdk="py:v1.2.3",
    framework="flask",
    app_version="7",
    capabilities=dict(said.CAPABILITIES),
)


def test_the_body_as_it_is_sent() -> None:
    assert json.loads(encode_registration(REGISTRATION)) == {
        "url": "http://x/api/inngest",
        "deployType": "ping",
        "framework": "flask",
        "appName": "shop",
        "appVersion": "7",
        "sdk": "py:v1.2.3",
        "v": "0.1",
        "capabilities": {"connect": "v1", "in_band_sync": "v1", "trust_probe": "v1"},
        "functions": [FUNCTION_JSON],
    }
    assert decode_registration(encode_registration(REGISTRATION)) == REGISTRATION


@pytest.mark.parametrize(
    "keys",
    [
        ("appName", "deployType", "appVersion"),
        ("appname", "deploy_type", "app_version"),
        ("APPNAME", "deploytype", "AppVersion"),
    ],
)
def test_keys_are_read_whatever_their_case(keys: tuple[str, str, str]) -> None:
    app_name, deploy_type, app_version = keys
    body = {app_name: "shop", deploy_type: "connect", app_version: "7", "url": "u", "functions": []}
    read = decode_registration(json.dumps(body).encode())
    assert (read.app_name, read.deploy_type, read.app_version) == ("shop", "connect", "7")


def test_most_may_be_missing_or_null() -> None:
    read = decode_registration(b'{"appname":"a","functions":null,"deployType":null,"headers":{}}')
    assert read == Registration(url="", app_name="a", v="")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"x", b'{"functions":5}', b'{"url":5}', b"[" * 50_000]
)
def test_bodies_that_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedRegistration, match="Invalid request: "):
        decode_registration(body)


def test_a_malformed_function_is_named() -> None:
    with pytest.raises(MalformedFunction, match="shop-b"):
        decode_registration(b'{"functions":[{"id":"shop-a"},{"id":"shop-b","triggers":5}]}')


def test_answers() -> None:
    changed = RegisterAnswer(modified=True, sync_id="s", app_id="a")
    body = said.encode_register_answer(changed)
    assert json.loads(body) == {"ok": True, "modified": True, "sync_id": "s", "app_id": "a"}
    assert said.decode_register_answer(body) == changed
    same = said.encode_register_answer(RegisterAnswer(sync_id="s", app_id="a"))
    assert json.loads(same) == {"ok": True, "modified": False, "sync_id": "s", "app_id": "a"}
    assert said.decode_register_answer(same) == RegisterAnswer(sync_id="s", app_id="a")
    warned = RegisterAnswer(modified=True, warnings=("a", "b"))
    assert said.decode_register_answer(said.encode_register_answer(warned)) == warned


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":"no","data":null,"status":400}', RegisterProblem("no", "", 400)),
        (b'{"code":"c","error":"no","status":400}', RegisterProblem("no", "c", 400)),
    ],
)
def test_answers_that_are_problems(body: bytes, expected: RegisterProblem) -> None:
    assert said.decode_register_answer(body) == expected


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[]"])
def test_answers_that_are_not_understood(body: bytes) -> None:
    answer = said.decode_register_answer(body)
    assert isinstance(answer, RegisterProblem)
    assert "not understood" in answer.error


def test_what_a_sync_asks() -> None:
    asked = said.SyncAsked("http://x")
    assert said.decode_sync_asked(said.encode_sync_asked(asked)) == asked
    assert said.decode_sync_asked(b" ") == said.SyncAsked()
    with pytest.raises(MalformedRegistration, match="url"):
        said.decode_sync_asked(b'{"url":5}')


def test_what_a_sync_is_answered() -> None:
    body = said.encode_sync_answer(said.SyncAnswer(said.REGISTERED_MESSAGE, modified=True))
    assert json.loads(body) == {"message": "Successfully registered", "modified": True}


OPEN = said.Introspection(
    function_count=1,
    has_event_key=True,
    has_signing_key=False,
    has_signing_key_fallback=False,
    mode="dev",
)
TRUSTED = said.TrustedIntrospection(
    function_count=1,
    has_event_key=True,
    has_signing_key=True,
    has_signing_key_fallback=False,
    mode="cloud",
    authentication_succeeded=True,
    app_id="shop",
    sdk_language="py",
    sdk_version="1.2.3",
    api_origin="http://api",
    event_api_origin="http://events",
)


def test_introspection_for_anybody() -> None:
    assert json.loads(said.encode_introspection(OPEN)) == {
        "function_count": 1,
        "has_event_key": True,
        "has_signing_key": False,
        "has_signing_key_fallback": False,
        "mode": "dev",
        "schema_version": "2024-05-24",
    }


def test_introspection_for_the_server() -> None:
    told = json.loads(said.encode_introspection(TRUSTED))
    assert told["authentication_succeeded"] is True
    assert told["capabilities"] == said.CAPABILITIES
    assert {"env", "serve_origin", "signing_key_hash", "event_key_hash"} <= told.keys()


def test_an_in_band_answer() -> None:
    answer = said.InBandAnswer(
        app_id="shop",
        url="http://x/api/inngest",
        sdk_language="py",
        sdk_version="1.2.3",
        functions=(FUNCTION,),
        inspection=TRUSTED,
        framework="flask",
        app_version="7",
    )
    body = said.encode_in_band_answer(answer)
    told = json.loads(body)
    assert told["functions"] == [FUNCTION_JSON]
    assert told["inspection"]["app_id"] == "shop"
    assert told["appVersion"] == "7"
    assert "env" not in told
    assert said.decode_in_band_answer(body) == Registration(
        url="http://x/api/inngest",
        app_name="shop",
        functions=(FUNCTION,),
        sdk="py:v1.2.3",
        framework="flask",
        app_version="7",
    )
    with pytest.raises(MalformedRegistration):
        said.decode_in_band_answer(b"{}")
