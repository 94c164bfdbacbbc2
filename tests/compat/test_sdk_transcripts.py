"""Our SDK plays its part of the recordings: the server's calls are repeated, the answers compared.

What differs on purpose is listed in IMPROVEMENTS, each with its reason; everything else must be
what the official Python SDK answered.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

import stepwell as inngest
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.serve import handler as handler_module
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest, read_query
from stepwell.sdk.serve.response import ServeResponse
from stepwell.wire.identifier import step_hash
from tests.compat.recording import Bindings, Entry, Recording, differences, load, names
from tests.compat.sdk_app import functions

SDK_HEADERS = ("x-inngest-sdk", "user-agent")
HTTP_SERVERS_OWN = {"server", "server-timing"}


@dataclass
class Said:
    """An answer: what was recorded, made into what is expected, or what our SDK said."""

    status: int
    headers: dict[str, str]
    body: Any
    entry: Entry
    scenario: str
    notes: list[str] = field(default_factory=list)

    @property
    def operations(self) -> list[dict[str, Any]]:
        return self.body if self.status == 206 and isinstance(self.body, list) else []

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Every error object in the body."""
        found = [op["error"] for op in self.operations if op.get("error")]
        if self.status == 500 and isinstance(self.body, dict):
            found.append(self.body)
        return found


# What our SDK does differently on purpose: (what and why, how the recorded answer changes).


def leaves_out_nulls(said: Said) -> None:
    for op in said.operations:
        for key in [key for key in op if op[key] is None]:
            del op[key]
        op.setdefault("opts", {})
        op["opts"] = {k: v for k, v in op["opts"].items() if v is not None}
        op["userland"] = {k: v for k, v in op["userland"].items() if v is not None}
        payload = op["opts"].get("payload")
        if payload is not None:
            op["opts"]["payload"] = {k: v for k, v in payload.items() if v is not None}
        if op["op"] == "StepRun":
            op.setdefault("data", None)


def says_no_retry_aloud(said: Said) -> None:
    if said.status == 500:
        said.headers.setdefault("x-inngest-no-retry", "false")


def answers_syncs_by_the_specification(said: Said) -> None:
    if said.entry.raw["method"] == "PUT" and said.status == 200 and "sync_id" in said.body:
        said.body["message"] = "Successfully registered"
        said.body.setdefault("modified", False)


def tells_more_on_introspection(said: Said) -> None:
    if said.entry.raw["method"] == "GET" and said.status == 200:
        shown = said.body
        if shown.get("authentication_succeeded"):
            shown["extra"] = {"is_mode_explicit": True, "is_streaming": False}
    if "inspection" in (said.body or {}) and said.status == 200:
        inspection = said.body["inspection"]
        inspection["extra"] = {"is_mode_explicit": True, "is_streaming": False}
        for key in ("env", "serve_origin", "serve_path", "signing_key_fallback_hash"):
            inspection[key] = None
        said.body["capabilities"] = inspection["capabilities"]


def lets_handlers_catch_final_steps(said: Said) -> None:
    if said.scenario == "non-retriable-step" and said.status == 500:
        said.status = 206
        error = said.body
        said.headers.pop("x-inngest-no-retry")
        said.body = [
            {
                "id": step_hash("final"),
                "op": "StepFailed",
                "name": "final",
                "displayName": "final",
                "opts": {},
                "userland": {"id": "final"},
                "error": error,
            }
        ]


def sleeps_for_a_length_of_time(said: Said) -> None:
    lengths = {"sleep": "2s", "cancel-sleep": "10m"}
    for op in said.operations:
        if op["op"] == "Sleep":
            assert op["name"].endswith("Z")
            op["name"] = lengths[said.scenario]


def waits_in_seconds(said: Said) -> None:
    if "retry-after" in said.headers:
        said.headers["retry-after"] = "2"


def refuses_old_signatures(said: Said) -> None:
    if said.scenario == "wrong-signature" and said.entry.index == 2:
        said.status, said.body = 401, {"message": "Unauthorized"}
        said.headers = {"content-type": "application/json", "x-inngest-sdk-handled": "true"}


def accepts_signatures_over_the_bytes(said: Said) -> None:
    if said.scenario == "wrong-signature" and said.entry.index == 3:
        other = load("python-http-signed/wrong-signature").entries[4]
        said.status, said.body = other.raw["status"], other.answer
        said.headers = kept_headers(other.raw["response_headers"])


def names_its_own_version(said: Said) -> None:
    if isinstance(said.body, dict):
        for shown in (said.body, said.body.get("inspection", {})):
            if "sdk_version" in shown:
                shown["sdk_version"] = "OURS"


def explains_more(said: Said) -> None:
    if said.scenario == "introspection" and isinstance(said.body, dict):
        if said.body.get("code") == "function_not_found":
            said.body["message"] = "EXPLAINED"
        if said.body.get("code") == "server_kind_mismatch":
            said.body["message"] = "EXPLAINED"


def echoes_the_trace(said: Said) -> None:
    if said.status != 401:
        asked = said.entry.raw["request_headers"]
        said.headers.update({k: asked[k] for k in ("traceparent", "tracestate") if k in asked})


IMPROVEMENTS: tuple[tuple[str, Callable[[Said], None]], ...] = (
    (
        "the hour-old signature is refused: captured requests cannot be replayed",
        refuses_old_signatures,
    ),
    (
        "a signature over the raw bytes is enough, canonical or not",
        accepts_signatures_over_the_bytes,
    ),
    (
        "NonRetriableError fails the step, and the handler may catch it",
        lets_handlers_catch_final_steps,
    ),
    ("null fields are left out of operations", leaves_out_nulls),
    ("the no-retry header is always there on failures", says_no_retry_aloud),
    ("syncs are answered as the specification says", answers_syncs_by_the_specification),
    ("introspection tells whether the mode was explicit", tells_more_on_introspection),
    ("a sleep is a length of time, independent of clocks", sleeps_for_a_length_of_time),
    ("Retry-After is a number of seconds, independent of clocks", waits_in_seconds),
    ("its version is its own", names_its_own_version),
    ("messages name what is known and how to mend it", explains_more),
    ("the trace context comes back with the answer", echoes_the_trace),
)


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Without what the HTTP server adds; the SDK's own name and signature compared by shape."""
    kept = {k: v for k, v in headers.items() if k not in HTTP_SERVERS_OWN}
    for name in SDK_HEADERS:
        if name in kept:
            assert kept[name].startswith("inngest-py:v")
            kept[name] = "inngest-py"
    if "x-inngest-signature" in kept:
        kept["x-inngest-signature"] = "signed"
    return kept


def recorded(entry: Entry, scenario: str) -> Said:
    raw = entry.raw
    said = Said(
        raw["status"],
        kept_headers(raw["response_headers"]),
        json.loads(json.dumps(entry.answer)),
        entry,
        scenario,
    )
    for _, improve in IMPROVEMENTS:
        improve(said)
    return said


def actual(response: ServeResponse, entry: Entry, scenario: str) -> Said:
    """What we said, without what legitimately varies or adds to it."""
    said = Said(
        response.status,
        kept_headers(response.headers),
        with_placeholders(json.loads(response.body), entry),
        entry,
        scenario,
    )
    for op in said.operations:
        timing = op.pop("timing", None)
        assert (timing is not None) == (op["op"] in {"StepRun", "StepError", "StepFailed"})
        op["opts"].pop("input", None)  # the arguments, shown and editable in the server's pages
        op["opts"].pop("type", None)
    if isinstance(said.body, dict):
        said.body["functions"] = [without_code(fn) for fn in said.body.get("functions", ())]
        if not said.body["functions"]:
            del said.body["functions"]
        for shown in (said.body, said.body.get("inspection", {})):
            if "sdk_version" in shown:
                assert shown["sdk_version"] == inngest.__version__
                shown["sdk_version"] = "OURS"
    if isinstance(said.body, dict) and said.body.get("code") in {
        "function_not_found",
        "server_kind_mismatch",
    }:
        assert len(said.body["message"]) > 40
        said.body["message"] = "EXPLAINED"
    return said


def with_placeholders(body: Any, entry: Entry) -> Any:
    """Signed requests are repeated byte by byte; there the app's address is the real one."""
    if "request_body_raw" not in entry.raw or not isinstance(entry.raw["request_body"], dict):
        return body
    url = json.loads(entry.raw["request_body_raw"]).get("url", "")
    text = json.dumps(body)
    return json.loads(text.replace(urlsplit(url).netloc, "{app}")) if url else body


def without_stacks(said: Said) -> Any:
    """Stacks name files; that there is one where there was one is all that can be compared."""
    for error in said.errors:
        if "stack" in error:
            error["stack"] = bool(error["stack"])
    return said.body


class Replaying:
    """The server's answers to the SDK, as recorded; notes how the SDK asked."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = list(entries)
        self.asked: list[tuple[Entry, dict[str, str], Any]] = []

    async def request(self, method, url, *, headers, body, timeout_seconds) -> HttpReply:
        return self.request_sync(
            method, url, headers=headers, body=body, timeout_seconds=timeout_seconds
        )

    def request_sync(self, method, url, *, headers, body, timeout_seconds) -> HttpReply:
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        entry = next(e for e in self.entries if (e.raw["method"], e.path) == (method, path))
        self.entries.remove(entry)
        self.asked.append((entry, dict(headers), None if body is None else json.loads(body)))
        answer = json.dumps(entry.answer).encode()
        return HttpReply(entry.raw["status"], entry.raw["response_headers"], answer)


def app_for(recording: Recording, http: Replaying) -> ServeHandler:
    keys = recording.raw.get("keys")
    client = inngest.Inngest(
        app_id="demo",
        is_production=keys is not None,
        http_client=http,
        base_url="http://{server}",
        event_key=keys and keys["event_key"],
        signing_key=keys and keys["sdk_signing_key"],
    )
    client.set_env_vars({})
    made = functions(client)
    if keys is not None:
        made = [fn for fn in made if fn.local_id == "signed-run"]
    return ServeHandler(client, made, framework="fast_api")


def request_of(entry: Entry) -> ServeRequest:
    raw = entry.raw
    parts = urlsplit(f"http://{{app}}{entry.path}")
    if "request_body_raw" in raw:
        body = raw["request_body_raw"].encode()
    elif raw["request_body"] is None:
        body = b""
    else:
        body = json.dumps(entry.body).encode()
    return ServeRequest(
        method=raw["method"],
        url=f"http://{{app}}{parts.path}",
        headers=raw["request_headers"],
        query=read_query(parts.query),
        body=body,
    )


@pytest.fixture
def then(monkeypatch: pytest.MonkeyPatch) -> Callable[[Recording], None]:
    """Sets our clock to the time of the recording, in which its signatures are valid."""

    def set_clock(recording: Recording) -> None:
        stamps = [
            int(read_query(e.raw["request_headers"]["x-inngest-signature"])["t"])
            for e in recording.entries
            if e.receiver == "sdk" and "x-inngest-signature" in e.raw["request_headers"]
        ]
        if stamps:
            monkeypatch.setattr(handler_module, "_now_ms", lambda: max(stamps) * 1000)

    return set_clock


SERVED = [
    name
    for folder in ("python-http", "python-http-signed")
    for name in names(folder)
    if any(entry.receiver == "sdk" for entry in load(name).entries)
]


@pytest.mark.parametrize("name", SERVED)
async def test_our_sdk_answers_as_recorded(
    name: str, then: Callable[[Recording], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("INNGEST_DEV", "INNGEST_BASE_URL", "INNGEST_SIGNING_KEY", "INNGEST_EVENT_KEY"):
        monkeypatch.delenv(variable, raising=False)
    recording = load(name)
    then(recording)
    scenario = name.rpartition("/")[2]
    http = Replaying(recording.between("sdk", "server"))
    app = app_for(recording, http)
    found: list[str] = []
    bindings = Bindings()
    for entry in recording.entries:
        if entry.receiver != "sdk":
            continue
        response = await app.handle(request_of(entry))
        assert isinstance(response, ServeResponse)
        expected, said = recorded(entry, scenario), actual(response, entry, scenario)
        where = str(entry)
        if expected.status != said.status:
            found.append(f"{where}: {said.status} {said.body}, expected {expected.status}")
            continue
        found += differences(expected.headers, said.headers, bindings, f"{where} headers")
        found += differences(
            without_stacks(expected), without_stacks(said), bindings, f"{where} body"
        )
    found += [difference for asked in http.asked for difference in as_asked(*asked, bindings)]
    assert found == []


def as_asked(entry: Entry, headers: dict[str, str], body: Any, bindings: Bindings) -> list[str]:
    """Where our request to the server is not the recorded one."""
    recorded_headers = {k: v for k, v in entry.raw["request_headers"].items() if k != "host"}
    recorded_body = entry.body
    found: list[str] = []
    if entry.path.startswith("/fn/register"):
        recorded_headers["x-inngest-sync-kind"] = "out_of_band"
        recorded_body = {
            **recorded_body,
            "appName": recorded_body["appname"],
            "deployType": recorded_body["deploy_type"],
            "sdk": f"py:v{inngest.__version__}",
            "functions": {fn["id"]: without_empty(fn) for fn in recorded_body["functions"]},
        }
        del recorded_body["appname"], recorded_body["deploy_type"]
        body["functions"] = {fn["id"]: without_code(fn) for fn in body["functions"]}
    if "authorization" in recorded_headers:
        # With the prefix of the key, which the official Python SDK leaves out and servers accept.
        prefix = "Bearer signkey-prod-"
        assert headers["authorization"].removeprefix(prefix) == (
            recorded_headers["authorization"].removeprefix("Bearer ")
        )
        headers["authorization"] = recorded_headers["authorization"]
    for kept in (headers, recorded_headers):
        seed = kept.pop("x-inngest-event-id-seed", None)
        assert (seed is not None) == entry.path.startswith("/e/")
    found += differences(
        kept_headers(recorded_headers), kept_headers(headers), bindings, f"{entry} headers"
    )
    found += differences(recorded_body, body, bindings, f"{entry} request")
    return found


def without_code(function: dict[str, Any]) -> dict[str, Any]:
    """A function without what we say besides of its code: a fingerprint."""
    assert re.fullmatch("[0-9a-f]{12}", function["code"]["version"])
    return {key: value for key, value in function.items() if key != "code"}


def without_empty(function: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in function.items() if value != []}


@pytest.mark.parametrize(
    "name", ["send-single", "send-batch", "send-id", "send-seed", "send-event-step"]
)
@pytest.mark.parametrize("colour", ["async", "sync"])
async def test_events_are_sent_as_recorded(name: str, colour: str) -> None:
    recording = load(f"python-http/{name}")
    http = Replaying(recording.between("sdk", "server"))
    client = inngest.Inngest(app_id="demo", is_dev=True, http_client=http, base_url="http://s.test")
    client.set_env_vars({"INNGEST_EVENT_KEY": ""})
    for entry in list(http.entries):
        given = [
            {key: value for key, value in event.items() if key != "ts"} for event in entry.body
        ]
        ids = client.send_sync(given) if colour == "sync" else await client.send(given)
        assert ids == ids.ids == entry.answer["ids"]
    assert http.entries == []
    assert [d for asked in http.asked for d in as_asked(*asked, Bindings())] == []


def test_every_improvement_is_still_one() -> None:
    """An entry that changes no recording any more is only a hole in the comparison."""
    idle = [title for title, improve in IMPROVEMENTS if not any(map(changes(improve), SERVED))]
    assert idle == []


def changes(improve: Callable[[Said], None]) -> Callable[[str], bool]:
    def changed(name: str) -> bool:
        recording = load(name)
        for entry in recording.entries:
            if entry.receiver == "sdk":
                said = Said(
                    entry.raw["status"],
                    kept_headers(entry.raw["response_headers"]),
                    json.loads(json.dumps(entry.answer)),
                    entry,
                    name.rpartition("/")[2],
                )
                before = (said.status, dict(said.headers), json.dumps(said.body))
                improve(said)
                if (said.status, said.headers, json.dumps(said.body)) != before:
                    return True
        return False

    return changed
