"""The official Python SDK and ours, asked the same: what each answers, call by call.

One program, served by Flask with the official package and with ours. Where we differ on purpose,
`BETTER` says how and why, and holds what either does.
"""

import importlib
import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import flask
import pytest

from stepwell.wire.canonical import jcs
from stepwell.wire.identifier import step_hash
from stepwell.wire.signature import sign

KEY = "signkey-test-0123456789abcdef0123456789abcdef"
OFFICIAL, OURS = "inngest", "stepwell"
OF_THE_HTTP_SERVER = {"content-length", "content-type", "server-timing"}
NAMES_THE_SDK = {"user-agent", "x-inngest-sdk"}

logger = logging.getLogger("same-answers")
logger.addHandler(logging.NullHandler())
logger.propagate = False


def declare(sdk: Any, client: Any) -> list[Any]:
    functions: list[Any] = []

    def declared(handler: Any) -> None:
        make = client.create_function(
            fn_id=handler.__name__.replace("_", "-"), trigger=sdk.TriggerEvent(event="e")
        )
        functions.append(make(handler))

    def returns(ctx: Any) -> Any:
        return {"a": [1, None, "x"]}

    def returns_nothing(ctx: Any) -> Any:
        return None

    def raises(ctx: Any) -> Any:
        raise ValueError("no stock")

    def raises_from(ctx: Any) -> Any:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error

    def raises_for_good(ctx: Any) -> Any:
        raise sdk.NonRetriableError("never")

    def raises_for_later(ctx: Any) -> Any:
        raise sdk.RetryAfterError("later", 60_000)

    def returns_an_object(ctx: Any) -> Any:
        return object()

    for handler in (
        returns,
        returns_nothing,
        raises,
        raises_from,
        raises_for_good,
        raises_for_later,
        returns_an_object,
        *steps(sdk),
    ):
        declared(handler)
    return functions


def steps(sdk: Any) -> list[Any]:
    """Functions of one step that ends in every way."""

    def fail() -> Any:
        raise ValueError("in step")

    def fail_for_good() -> Any:
        raise sdk.NonRetriableError("never")

    def fail_for_later() -> Any:
        raise sdk.RetryAfterError("later", 60_000)

    def step_returns(ctx: Any) -> Any:
        return ctx.step.run("s", lambda: 1)

    def step_raises(ctx: Any) -> Any:
        return ctx.step.run("s", fail)

    def step_raises_for_good(ctx: Any) -> Any:
        return ctx.step.run("s", fail_for_good)

    def step_raises_for_later(ctx: Any) -> Any:
        return ctx.step.run("s", fail_for_later)

    def step_returns_an_object(ctx: Any) -> Any:
        return ctx.step.run("s", object)

    def step_in_a_step(ctx: Any) -> Any:
        return ctx.step.run("outer", lambda: ctx.step.run("inner", lambda: 1))

    return [
        step_returns,
        step_raises,
        step_raises_for_good,
        step_raises_for_later,
        step_returns_an_object,
        step_in_a_step,
    ]


class Asked(NamedTuple):
    """A request, and how the app is set that it goes to."""

    function: str = ""
    step: str = "step"
    method: str = "POST"
    body: Any = None
    memo: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    query: Any = None
    cloud: bool = False
    key: str = ""
    env: str = ""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> Any:
        """The error in it, of the function or of its one step."""
        return self.body[0]["error"] if isinstance(self.body, list) else self.body


class Registry(BaseHTTPRequestHandler):
    """A server that registers apps, or does not."""

    status, answer = 200, b'{"ok":true,"modified":true}'

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(Registry.status)
        self.send_header("content-length", str(len(Registry.answer)))
        self.end_headers()
        self.wfile.write(Registry.answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def ask(package: str, asked: Asked, api: str = "http://127.0.0.1:9") -> Answer:
    sdk = importlib.import_module(package)
    client = sdk.Inngest(
        app_id="app",
        is_production=asked.cloud,
        signing_key=KEY if asked.cloud else None,
        event_key="evt",
        api_base_url=api,
        event_api_base_url=api,
        env=asked.env or None,
        logger=logger,
    )
    app = flask.Flask("app")
    importlib.import_module(f"{package}.flask").serve(app, client, declare(sdk, client))
    body = body_of(asked)
    headers = dict(asked.headers)
    if asked.key:
        # The official SDK checks what it makes of the body.
        form = jcs(body) if body else body
        headers["x-inngest-signature"] = sign(form, asked.key, time.time_ns() // 1_000_000)
    query = {"fnId": f"app-{asked.function}", "stepId": asked.step} if asked.function else {}
    reply = app.test_client().open(
        "/api/inngest",
        method=asked.method,
        query_string=query if asked.query is None else asked.query,
        headers=headers,
        data=body,
    )
    return answer_of(reply)


def body_of(asked: Asked) -> bytes:
    if isinstance(asked.body, bytes):
        return asked.body
    if asked.method != "POST":
        return b"" if asked.method == "GET" else b"{}"
    event = {"name": "e", "data": {}, "id": "i", "ts": 1}
    ctx = {"run_id": "r", "attempt": 0, "disable_immediate_execution": False, "use_api": False}
    whole = {
        "ctx": {**ctx, "stack": {"stack": []}},
        "event": event,
        "events": [event],
        "steps": {} if asked.memo is None else {step_hash("s"): asked.memo},
        "use_api": False,
    }
    return json.dumps(whole if asked.body is None else asked.body).encode()


def answer_of(reply: Any) -> Answer:
    headers = {name.lower(): value for name, value in reply.headers.items()}
    for name in OF_THE_HTTP_SERVER & set(headers):
        del headers[name]
    for name in NAMES_THE_SDK & set(headers):
        headers[name] = headers[name].partition(":")[0]
    if "x-inngest-signature" in headers:
        headers["x-inngest-signature"] = "signed"
    if headers.get("x-inngest-no-retry") == "false":
        del headers["x-inngest-no-retry"]  # which is what its absence means
    body = json.loads(reply.get_data())
    for told in body if isinstance(body, list) else [body]:
        if isinstance(told, dict):
            plain(told)
    return Answer(reply.status_code, headers, body)


def plain(told: dict[str, Any]) -> None:
    """Without what says nothing, and without the places in tracebacks."""
    if "op" in told:
        told.pop("timing", None)
        told["opts"] = told.get("opts") or {}
        told["userland"] = {k: v for k, v in told["userland"].items() if v is not None}
        for name in [name for name, value in told.items() if value is None]:
            del told[name]
    for holder in (told, told.get("error") or {}):
        if isinstance(holder, dict) and holder.get("stack"):
            lines = [line for line in holder["stack"].splitlines() if line.strip()]
            raised = [line.rpartition(".")[2] for line in lines if not line.startswith(" ")]
            holder["stack"] = [line for line in raised if not line.startswith("More about")]
    told.pop("sdk_version", None)


FAILED_STEP = {"error": {"name": "ValueError", "message": "in step", "stack": "trace"}}
NO_STACK = {"error": {"name": "ValueError", "message": "in step"}}
SIGNED = Asked("returns", cloud=True, key=KEY)
GET = Asked(method="GET")
PUT = Asked(method="PUT")
IN_BAND = Asked(
    method="PUT",
    cloud=True,
    key=KEY,
    headers={"x-inngest-sync-kind": "in_band"},
    body=b'{"url":"http://x.test/api/inngest"}',
)

SAME = {
    "a result": Asked("returns"),
    "nothing": Asked("returns-nothing"),
    "an error": Asked("raises"),
    "an error with a cause": Asked("raises-from"),
    "an error for good": Asked("raises-for-good"),
    "a step": Asked("step-returns"),
    "a step that raises": Asked("step-raises"),
    "a failed step": Asked("step-raises", memo=FAILED_STEP),
    "a failed step without a stack": Asked("step-raises", memo=NO_STACK),
    "no step is named": Asked("returns", query={"fnId": "app-returns"}),
    "of another kind": Asked("returns", headers={"x-inngest-server-kind": "cloud"}),
    "signed": SIGNED,
    "signed, and raises": SIGNED._replace(function="raises"),
    "in an environment": SIGNED._replace(env="branch"),
    "unsigned": SIGNED._replace(key=""),
    "of another key": SIGNED._replace(key="signkey-test-00"),
    "unsigned, unknown": SIGNED._replace(key="", function="nobody"),
    "a signature that is none": SIGNED._replace(key="", headers={"x-inngest-signature": "x"}),
    "GET": GET,
    "GET by a cloud": GET._replace(headers={"x-inngest-server-kind": "cloud"}),
    "GET by whoever": GET._replace(headers={"x-inngest-server-kind": "x"}),
    "GET, cloud, unsigned": GET._replace(cloud=True),
    "GET, cloud, of another key": GET._replace(cloud=True, key="signkey-test-00"),
    "in band, unsigned": IN_BAND._replace(key=""),
    "in band, unsigned, in an environment": IN_BAND._replace(key="", env="branch"),
}


@pytest.mark.parametrize("asked", SAME.values(), ids=SAME.keys())
def test_the_same_answer(asked: Asked) -> None:
    assert ask(OURS, asked) == ask(OFFICIAL, asked)


class Better(NamedTuple):
    """What differs: the status and code of either, and why."""

    asked: Asked
    official: tuple[int, str]
    ours: tuple[int, str]
    why: str


BETTER = {
    "a step for good": Better(
        Asked("step-raises-for-good"),
        (500, "non_retriable_error"),
        (206, "non_retriable_error"),
        "the step fails, and the handler may catch that",
    ),
    "a step for later": Better(
        Asked("step-raises-for-later"),
        (500, "retry_after_error"),
        (206, "retry_after_error"),
        "the step is tried again, with the tries of a step",
    ),
    "an object of a step": Better(
        Asked("step-returns-an-object"),
        (500, "output_unserializable"),
        (206, "output_unserializable"),
        "the step fails, and the handler may catch that",
    ),
    "a step in a step": Better(
        Asked("step-in-a-step"),
        (206, "step_nested"),
        (500, "step_nested"),
        "the run fails, beyond reach of the handler",
    ),
    "a step that is not there": Better(
        Asked("returns", step="0" * 40),
        (200, ""),
        (500, "step_not_found"),
        "another step's call does not end the run",
    ),
    "no JSON": Better(
        Asked("returns", body=b"{"), (500, "unknown"), (500, "body_invalid"), "it has a code"
    ),
    "no call": Better(
        Asked("returns", body={"x": 1}), (500, "unknown"), (500, "body_invalid"), "it has a code"
    ),
    "in band without an address": Better(
        IN_BAND._replace(body=b"{}"), (500, "unknown"), (400, "invalid_request"), "it has a code"
    ),
}


@pytest.mark.parametrize("case", BETTER.values(), ids=BETTER.keys())
def test_another_answer_for_a_reason(case: Better) -> None:
    official, ours = ask(OFFICIAL, case.asked), ask(OURS, case.asked)
    assert (official.status, official.error.get("code", "")) == case.official
    assert (ours.status, ours.error.get("code", "")) == case.ours


LONGER = {
    "an object": Asked("returns-an-object"),
    "another step": Asked("step-returns", step="0" * 40),
    "another kind": PUT._replace(headers={"x-inngest-server-kind": "cloud"}),
    "another kind, cloud": PUT._replace(
        headers={"x-inngest-server-kind": "dev"}, cloud=True, key=KEY
    ),
}


@pytest.mark.parametrize("asked", LONGER.values(), ids=LONGER.keys())
def test_a_longer_message(asked: Asked) -> None:
    """The official one, and what to do about it."""
    official, ours = ask(OFFICIAL, asked), ask(OURS, asked)
    assert (ours.status, ours.error["code"]) == (official.status, official.error["code"])
    assert ours.error["message"].startswith(official.error["message"])
    assert ours.error.get("name") == official.error.get("name")


def test_an_error_of_a_step_is_that_of_the_official_one() -> None:
    for name in ("step-raises-for-good", "step-raises-for-later"):
        official, ours = ask(OFFICIAL, Asked(name)).error, ask(OURS, Asked(name)).error
        assert ours == official


@pytest.mark.parametrize("env", ["", "branch"])
def test_what_the_server_is_told_when_it_signs(env: str) -> None:
    asked = GET._replace(cloud=True, key=KEY, env=env)
    official, ours = ask(OFFICIAL, asked), ask(OURS, asked)
    extra = ours.body.pop("extra")
    assert set(extra) == {"is_mode_explicit", "is_streaming"}, "as the JavaScript SDK tells"
    assert ours == official


@pytest.mark.parametrize("env", ["", "branch"])
def test_an_answer_in_band(env: str) -> None:
    asked = IN_BAND._replace(env=env)
    official, ours = ask(OFFICIAL, asked), ask(OURS, asked)
    assert (ours.status, ours.headers) == (official.status, official.headers)
    inspection = ours.body["inspection"]
    del inspection["extra"], ours.body["capabilities"]
    for function in ours.body["functions"]:
        assert function.pop("code").keys() == {"version"}
    for seen in (inspection, official.body["inspection"]):
        seen.pop("sdk_version")
    ours.body["inspection"] = {k: v for k, v in inspection.items() if v is not None}
    assert ours.body == official.body


@pytest.mark.parametrize(
    ("status", "told"),
    [(200, b'{"ok":true,"modified":true}'), (200, b'{"ok":true,"modified":false,"x":1}')],
)
def test_a_sync_hands_on_what_the_server_said(
    status: int, told: bytes, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Registry, "status", status)
    monkeypatch.setattr(Registry, "answer", told)
    official, ours = ask(OFFICIAL, PUT, registry), ask(OURS, PUT, registry)
    assert ours.body.pop("message") == "Successfully registered"
    assert ours == official


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_sync_that_is_refused_has_the_status_of_the_refusal(
    status: int, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official SDK answers 200 with the server's words."""
    monkeypatch.setattr(Registry, "status", status)
    monkeypatch.setattr(Registry, "answer", b'{"error":"bad app"}')
    official, ours = ask(OFFICIAL, PUT, registry), ask(OURS, PUT, registry)
    assert (official.status, official.body) == (200, {"error": "bad app"})
    assert (ours.status, ours.headers) == (status, official.headers)
    assert ours.body == {"error": "bad app", "message": "bad app", "modified": False}
