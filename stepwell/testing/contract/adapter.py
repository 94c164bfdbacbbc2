"""What any framework adapter must do, run against a real server of that framework.

Subclass `AdapterContract` in a test module and say how to serve:

    class TestMyFramework(AdapterContract):
        framework = "my_framework"

        @contextmanager
        def serving(self, client, functions, *, mount="", **options):
            ...start a server on a free port of 127.0.0.1...
            yield "http://127.0.0.1:1234"

`options` are those of the adapter's `serve`; with `mount` the application is mounted below that
path.

What every adapter does, and what shows it here:

1. Raw bytes, once: `f44_bad_signatures_are_refused`, `f45_answers_are_signed_…`.
2. One rule for URLs: `mounted_below_a_path`, `behind_a_proxy`, `strangers_cannot_say_where_…`,
   `f41_origin_and_path_can_be_told`.
3. The query is read by the core: `f40_letters_beyond_ascii_survive`, `f46_trust_probe`.
4. Either colour: `f42_a_step_runs_…`, `plain_functions_block_nobody`.
5. Streaming: `f54_streamed_answers`, `clients_that_go_away_do_no_harm`.
6. Exemptions: `serving` gives an application with every protection its framework knows.
7. Size: `f02_large_bodies_…`, `bodies_in_chunks_…`, `state_that_is_too_large_is_fetched`.
8. This kit.
"""

import json
import multiprocessing
import socket
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve import perform
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT
from stepwell.sdk.settings import Streaming
from stepwell.testing.contract.adapter_peer import (
    APP,
    PATIENCE_SECONDS,
    Endpoint,
    Event,
    InngestServer,
    call_body,
    now_ms,
    send,
)
from stepwell.wire.execution import decode_streamed
from stepwell.wire.identifier import step_hash
from stepwell.wire.signature import sign, verify

KEY = "signkey-test-0123456789abcdef"
FALLBACK = "signkey-test-fedcba9876543210"
STRANGER = "signkey-test-00000000"
BODY_BYTES = 12_000_000
FUNCTIONS = 7
CHUNKS_TEST = "test_bodies_in_chunks_arrive_whole"
STREAMING_TESTS = (
    "test_f54_streamed_answers",
    "test_what_needs_no_function_is_not_streamed",
    "test_clients_that_go_away_do_no_harm",
)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
class AdapterContract:
    """The tests. What a framework cannot do is said by these attributes.

    `notices_disconnects`: a lost client ends an asynchronous call. `streams`: answers may go out
    in pieces; the adapter of a framework that cannot has no argument `streaming`. `takes_chunks`:
    the server puts together bodies whose length is not told. `in_a_child`: `serving` forks a
    process for the server.
    """

    framework = ""
    notices_disconnects = True
    streams = True
    takes_chunks = True
    in_a_child = False
    path = SERVE_PATH_DEFAULT
    """Where the framework's server has the endpoint, below the mount point."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        left_out = () if cls.streams else STREAMING_TESTS
        for name in left_out if cls.takes_chunks else (*left_out, CHUNKS_TEST):
            setattr(cls, name, None)

    def serving(
        self,
        client: Inngest,
        functions: Sequence[Function[Any]],
        *,
        mount: str = "",
        **options: Any,
    ) -> AbstractContextManager[str]:
        """Serve these functions with the adapter; gives the origin of a listening server."""
        raise NotImplementedError(f"{type(self).__name__} must say how to serve")

    @contextmanager
    def endpoint(
        self, *, mount: str = "", cloud: bool = False, **options: Any
    ) -> Generator[Endpoint, None, None]:
        """An app that is served, and the server it registers at."""
        server = InngestServer()
        client = Inngest(
            app_id=APP,
            is_production=cloud,
            base_url=server.url,
            signing_key=KEY if cloud else None,
            signing_key_fallback=FALLBACK if cloud else None,
        )
        processes = multiprocessing.get_context("fork") if self.in_a_child else None
        endpoint = Endpoint(server, client, processes.Event if processes else threading.Event)
        try:
            with self.serving(client, endpoint.functions, mount=mount, **options) as origin:
                endpoint.url = origin + mount + self.path
                yield endpoint
        finally:
            endpoint.released.set()
            server.close()

    @pytest.fixture(scope="class")
    @classmethod
    def dev(cls) -> Iterator[Endpoint]:
        """An endpoint in development mode."""
        with cls().endpoint() as endpoint:
            yield endpoint

    @pytest.fixture(scope="class")
    @classmethod
    def cloud(cls) -> Iterator[Endpoint]:
        """An endpoint that checks signatures and refuses unsigned syncs."""
        with cls().endpoint(cloud=True) as endpoint:
            yield endpoint

    # Calls

    @pytest.mark.parametrize("function", ["async", "sync"])
    def test_f42_a_step_runs_and_then_the_function_returns(
        self, dev: Endpoint, function: str
    ) -> None:
        """Both colours, in every adapter."""
        first = dev.call(function, {"said": "größer"})
        assert first.status == 206
        assert [(op["op"], op["id"], op["data"]) for op in first.json] == [
            ("StepRun", step_hash("one"), "ü")
        ]
        last = dev.call(function, {"said": "größer"}, steps={step_hash("one"): {"data": "ü"}})
        assert (last.status, last.json) == (200, ["ü", "größer"])

    def test_f55_every_answer_names_the_sdk(self, dev: Endpoint) -> None:
        """Without these headers a server does not believe the answer."""
        headers = {"traceparent": "00-1-2-01", "tracestate": "a=b"}
        answers = [
            dev.call("async"),
            send("POST", dev.call_url("unknown"), call_body({}, {}), headers),
            send("GET", dev.url),
            send("PUT", dev.url),
        ]
        for answer in answers:
            assert answer.headers["x-inngest-sdk"].startswith("inngest-py:v")
            assert answer.headers["x-inngest-req-version"] == "2"
            assert answer.headers["x-inngest-framework"] == self.framework
            assert answer.headers["x-inngest-sdk-handled"] == "true"
            assert answer.headers["content-type"] == "application/json"
            assert "comm_handler;dur=" in answer.headers["server-timing"]
            assert "x-inngest-signature" not in answer.headers
        assert answers[1].headers["traceparent"] == "00-1-2-01"
        assert answers[1].headers["tracestate"] == "a=b"

    def test_f40_letters_beyond_ascii_survive(self, dev: Endpoint) -> None:
        """In the query, in the body, in the answer."""
        answer = dev.call("grüße", {"to": "Ödön 🦀"})
        assert (answer.status, answer.json) == (200, "日本 Ödön 🦀")

    def test_f02_large_bodies_arrive_whole(self, dev: Endpoint) -> None:
        """State may reach 32 MB."""
        answer = dev.call("size", {"text": "x" * BODY_BYTES})
        assert (answer.status, answer.json) == (200, BODY_BYTES)

    def test_bodies_in_chunks_arrive_whole(self, dev: Endpoint) -> None:
        """Whose length nobody says beforehand: proxies do that."""
        body = call_body({"text": "x" * 100_000}, {})
        parts = iter((body[:10], body[10:50_000], body[50_000:]))
        answer = send("POST", dev.call_url("size"), parts)
        assert (answer.status, answer.json) == (200, 100_000)

    def test_state_that_is_too_large_is_fetched(self, dev: Endpoint) -> None:
        """`use_api`: steps and events come from the server."""
        run = "/v0/runs/01M82BFDSEAXH732SHZM7R2J1X"
        event = {"name": "contract/event", "data": {"said": "fetched"}, "id": "e", "ts": 1}
        dev.server.answers[f"{run}/batch"] = (200, [event])
        dev.server.answers[f"{run}/actions"] = (200, {step_hash("one"): {"data": "kept"}})
        answer = dev.call("async", use_api=True, events=[])
        assert (answer.status, answer.json) == (200, ["kept", "fetched"])
        dev.server.answers[f"{run}/actions"] = (410, {"error": "gone"})
        answer = dev.call("async", use_api=True, events=[])
        assert answer.status == 500
        assert "gone" in answer.json["message"]

    def test_f43_failures_are_told(self, dev: Endpoint) -> None:
        """A function's own, a function nobody has, a call that is none."""
        own = dev.call("fails")
        assert (own.status, own.json["name"], own.json["message"]) == (
            500,
            "ValueError",
            "on purpose",
        )
        unknown = dev.call("unknown")
        assert (unknown.status, unknown.json["code"]) == (500, "function_not_found")
        assert "contract-async" in unknown.json["message"]
        nothing = send("POST", dev.call_url("async"), b"")
        assert (nothing.status, nothing.json["code"]) == (500, "body_invalid")
        assert "Missing request body" in nothing.json["message"]
        broken = send("POST", dev.call_url("async"), b"{")
        assert (broken.status, broken.json["code"]) == (500, "body_invalid")
        unnamed = send("POST", dev.url, call_body({}, {}))
        assert (unnamed.status, unnamed.json["code"]) == (500, "query_param_missing")

    def test_plain_functions_block_nobody(self, dev: Endpoint) -> None:
        """While one waits, others are answered."""
        answers: list[Any] = []
        waiter = threading.Thread(target=lambda: answers.append(dev.call("waits")))
        waiter.start()
        assert dev.waiting.wait(PATIENCE_SECONDS)
        assert dev.call("async").status == 206
        assert dev.call("sync").status == 206
        dev.released.set()
        waiter.join(PATIENCE_SECONDS)
        dev.released.clear()
        dev.waiting.clear()
        assert [(answer.status, answer.json) for answer in answers] == [(200, "released")]

    def test_clients_that_leave_while_they_speak_do_no_harm(self, dev: Endpoint) -> None:
        """Half a body is no call, and half of a head no request; others are served as before."""
        head = _head(dev.call_url("waits"), {"content-length": "1000"})
        for said in (head + b'{"ctx":', head[:30]):
            _cut_off(dev.call_url("waits"), said)
        assert not dev.waiting.is_set()
        assert dev.call("async").status == 206

    def test_clients_that_leave_while_they_wait_do_no_harm(self, dev: Endpoint) -> None:
        """Nobody is left to take the answer; others are served as before."""
        body = call_body({}, {})
        head = _head(dev.call_url("waits"), {"content-length": str(len(body))})
        _cut_off(dev.call_url("waits"), head + body, dev.waiting)
        dev.released.set()
        assert dev.call("async").status == 206
        dev.released.clear()
        dev.waiting.clear()

    # Methods, probes, introspection

    def test_f53_other_methods_are_not_allowed(self, dev: Endpoint) -> None:
        """405, whoever says it."""
        assert send("DELETE", dev.url).status == 405

    def test_f47_introspection(self, dev: Endpoint) -> None:
        """What anybody may know in development."""
        answer = send("GET", dev.url)
        assert answer.status == 200
        assert answer.json["function_count"] == FUNCTIONS
        assert answer.json["mode"] == "dev"
        assert "app_id" not in answer.json
        assert send("GET", dev.url, headers={"x-inngest-server-kind": "cloud"}).status == 403

    def test_f48_signed_introspection(self, cloud: Endpoint) -> None:
        """What the server may know; strangers learn nothing."""
        _is_unauthorized(send("GET", cloud.url))
        answer = send("GET", cloud.url, headers={"x-inngest-signature": sign(b"", KEY, now_ms())})
        assert answer.status == 200
        assert answer.json["app_id"] == APP
        assert answer.json["framework"] == self.framework
        assert answer.json["authentication_succeeded"] is True

    def test_f46_trust_probe(self, dev: Endpoint, cloud: Endpoint) -> None:
        """Signed with or without a body."""
        assert send("POST", f"{dev.url}?probe=trust").json is None
        assert send("POST", f"{dev.url}?probe=other").status == 400
        _is_unauthorized(send("POST", f"{cloud.url}?probe=trust"))
        for body in (b"", b"{}"):
            headers = {"x-inngest-signature": sign(body, KEY, now_ms())}
            answer = send("POST", f"{cloud.url}?probe=trust", body, headers)
            assert (answer.status, answer.body) == (200, b"null")
            verify(answer.body, answer.headers["x-inngest-signature"], [KEY], now_ms())

    # Signatures

    @pytest.mark.parametrize("key", [KEY, FALLBACK])
    def test_f45_answers_are_signed_with_the_key_that_asked(
        self, cloud: Endpoint, key: str
    ) -> None:
        """The key of the request, be it the one that is being phased out."""
        answer = cloud.call("async", key=key)
        assert answer.status == 206
        verify(answer.body, answer.headers["x-inngest-signature"], [key], now_ms())

    @pytest.mark.parametrize(
        "case", ["missing", "stranger", "expired", "future", "other body", "junk"]
    )
    def test_f44_bad_signatures_are_refused(self, cloud: Endpoint, case: str) -> None:
        """401, with nothing that tells what lives here."""
        body = call_body({}, {})
        signature = {
            "missing": None,
            "stranger": sign(body, STRANGER, now_ms()),
            "expired": sign(body, KEY, now_ms() - 301_000),
            "future": sign(body, KEY, now_ms() + 320_000),
            "other body": sign(body + b" ", KEY, now_ms()),
            "junk": "junk",
        }[case]
        headers = {} if signature is None else {"x-inngest-signature": signature}
        _is_unauthorized(send("POST", cloud.call_url("async"), body, headers))

    def test_a_signature_over_the_canonical_form_is_enough(self, cloud: Endpoint) -> None:
        """Whatever a proxy did to the white space."""
        body = call_body({"said": "ß"}, {})
        loose = json.dumps(json.loads(body), indent=1).encode()
        headers = {"x-inngest-signature": sign(body, KEY, now_ms())}
        assert send("POST", cloud.call_url("async"), loose, headers).status == 206

    # Syncs

    def test_f50_sync_out_of_band(self, dev: Endpoint) -> None:
        """PUT makes the app register itself, and reports how that went."""
        dev.server.asked.clear()
        headers = {"x-inngest-server-kind": "dev"}
        body = b'{"url":"http://ignored.test"}'
        answer = send("PUT", f"{dev.url}?deployId=d-1", body, headers)
        assert (answer.status, answer.json) == (
            200,
            {"message": "Successfully registered", "modified": True, "ok": True},
        )
        assert answer.headers["x-inngest-sync-kind"] == "out_of_band"
        ((method, path, asked, body_sent),) = dev.server.asked
        assert (method, path) == ("POST", "/fn/register?deployId=d-1")
        assert asked["x-inngest-framework"] == self.framework
        assert asked["x-inngest-expected-server-kind"] == "dev"
        assert body_sent["url"] == dev.url
        assert body_sent["appName"] == APP
        urls = [fn["steps"]["step"]["runtime"]["url"] for fn in body_sent["functions"]]
        assert len(urls) == FUNCTIONS
        assert urls[0] == f"{dev.url}?fnId=contract-async&stepId=step"

    def test_a_refused_sync_is_told(self, dev: Endpoint) -> None:
        """With the server's own words and status."""
        dev.server.answers["/fn/register"] = (400, {"error": "At least one function is invalid"})
        try:
            answer = send("PUT", dev.url)
        finally:
            dev.server.answers["/fn/register"] = (200, {"ok": True})
        assert (answer.status, answer.json["message"]) == (400, "At least one function is invalid")
        assert answer.json["modified"] is False
        mismatch = send("PUT", dev.url, headers={"x-inngest-server-kind": "cloud"})
        assert (mismatch.status, mismatch.json["code"]) == (400, "server_kind_mismatch")

    def test_f51_sync_in_band(self, cloud: Endpoint) -> None:
        """The configuration in the answer itself; the request must be signed."""
        body = b'{"url":"https://app.test/api/inngest"}'
        headers = {"x-inngest-sync-kind": "in_band", "x-inngest-server-kind": "cloud"}
        _is_unauthorized(send("PUT", cloud.url, body, headers))
        headers["x-inngest-signature"] = sign(body, KEY, now_ms())
        answer = send("PUT", cloud.url, body, headers)
        assert answer.status == 200
        assert answer.headers["x-inngest-sync-kind"] == "in_band"
        verify(answer.body, answer.headers["x-inngest-signature"], [KEY], now_ms())
        assert answer.json["url"] == "https://app.test/api/inngest"
        assert answer.json["framework"] == self.framework
        assert len(answer.json["functions"]) == FUNCTIONS

    def test_unsigned_syncs_can_be_forbidden(self, cloud: Endpoint) -> None:
        """In production, where somebody asked for it."""
        _is_unauthorized(send("PUT", cloud.url))
        headers = {"x-inngest-signature": sign(b"", KEY, now_ms())}
        assert send("PUT", cloud.url, b"", headers).status == 200
        assert cloud.server.asked[-1][2]["authorization"].startswith("Bearer signkey-test-")

    # Where it is served

    def test_mounted_below_a_path(self) -> None:
        """A sub-application knows where it is."""
        with self.endpoint(mount="/sub") as endpoint:
            assert endpoint.call("async").status == 206
            send("PUT", endpoint.url)
            assert endpoint.server.asked[-1][3]["url"] == endpoint.url
            assert f"/sub{self.path}" in endpoint.url

    def test_a_path_that_is_told_lies_below_the_mount(self) -> None:
        """What is registered is where the endpoint is."""
        with self.endpoint(mount="/sub", serve_path=self.path) as endpoint:
            send("PUT", endpoint.url)
            assert endpoint.server.asked[-1][3]["url"] == endpoint.url

    def test_a_slash_at_the_end_changes_nothing(self, dev: Endpoint) -> None:
        """No redirect, which would turn a call into a question, and no 404."""
        told = dev.url
        dev.url += "/"
        try:
            assert dev.call("async").status == 206
            assert send("GET", dev.url).json["function_count"] == FUNCTIONS
            assert send("PUT", dev.url).status == 200
        finally:
            dev.url = told

    def test_f53_head_is_answered_like_get(self, dev: Endpoint) -> None:
        """Without a body, as monitors of uptime ask."""
        answer = send("HEAD", dev.url)
        assert (answer.status, answer.body) == (200, b"")

    def test_behind_a_proxy(self) -> None:
        """What the proxy says counts where it is trusted."""
        with self.endpoint(trust_proxy=True) as endpoint:
            send(
                "PUT",
                endpoint.url,
                headers={"x-forwarded-proto": "https", "x-forwarded-host": "app.test"},
            )
            assert endpoint.server.asked[-1][3]["url"] == f"https://app.test{self.path}"

    def test_strangers_cannot_say_where_the_app_is(self, dev: Endpoint) -> None:
        """What a proxy would say does not count where none is trusted."""
        headers = {"x-forwarded-host": "stranger.test", "forwarded": "host=stranger.test"}
        send("PUT", dev.url, headers=headers)
        assert dev.server.asked[-1][3]["url"] == dev.url

    def test_f41_origin_and_path_can_be_told(self) -> None:
        """`serve_origin` and `public_path` win over what the request says."""
        told: dict[str, Any] = {"serve_origin": "https://app.test", "public_path": "/elsewhere"}
        with self.endpoint(**told) as endpoint:
            send("PUT", endpoint.url)
            assert endpoint.server.asked[-1][3]["url"] == "https://app.test/elsewhere"

    # Streaming

    def test_the_environment_can_ask_for_streaming(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a framework cannot stream, it is ignored."""
        monkeypatch.setenv("INNGEST_STREAMING", "force")
        with self.endpoint() as endpoint:
            assert endpoint.call("async").status == (201 if self.streams else 206)

    @pytest.fixture
    def streaming(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
        """An endpoint that streams, with quick keep-alives."""
        monkeypatch.setattr(perform, "KEEP_ALIVE_SECONDS", 0.05)
        with self.endpoint(cloud=True, streaming=Streaming.FORCE) as endpoint:
            yield endpoint

    @pytest.mark.parametrize("function", ["lingers", "waits"])
    def test_f54_streamed_answers(self, streaming: Endpoint, function: str) -> None:
        """201 and spaces at once, the answer at the end."""
        threading.Thread(target=streaming.release_soon).start()
        answer = streaming.call(function, key=KEY)
        assert answer.status == 201
        assert answer.headers["x-inngest-sdk"].startswith("inngest-py:v")
        assert answer.body.startswith(b"  ")
        inner = decode_streamed(answer.body)
        assert (inner.status, inner.body) == (200, b'"released"')
        verify(inner.body, inner.headers["x-inngest-signature"], [KEY], now_ms())

    def test_what_needs_no_function_is_not_streamed(self, streaming: Endpoint) -> None:
        """Probes and refusals are answered at once."""
        _is_unauthorized(streaming.call("async"))
        headers = {"x-inngest-signature": sign(b"", KEY, now_ms())}
        assert send("POST", f"{streaming.url}?probe=trust", b"", headers).status == 200
        assert streaming.call("unknown", key=KEY).status == 500

    def test_clients_that_go_away_do_no_harm(self, streaming: Endpoint) -> None:
        """The connection is cut in the middle of a stream; others are served as before."""
        body = call_body({}, {})
        url = streaming.call_url("lingers")
        signature = sign(body, KEY, now_ms())
        head = _head(url, {"x-inngest-signature": signature, "content-length": str(len(body))})
        with _connected(url) as cut:
            cut.sendall(head + body)
            assert b" 201 " in cut.recv(1000)
        if self.notices_disconnects:
            assert streaming.left.wait(PATIENCE_SECONDS)
        streaming.released.set()
        assert streaming.call("async", key=KEY).status == 201


def _head(url: str, headers: Mapping[str, str]) -> bytes:
    """How a POST begins."""
    parts = urlsplit(url)
    lines = [f"{name}: {value}" for name, value in {"host": parts.netloc, **headers}.items()]
    first = f"POST {parts.path}?{parts.query} HTTP/1.1"
    return ("\r\n".join((first, *lines)) + "\r\n\r\n").encode()


def _connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), PATIENCE_SECONDS)


def _cut_off(url: str, said: bytes, until: Event | None = None) -> None:
    """Say this over a connection and leave, once something has happened."""
    with _connected(url) as connection:
        connection.sendall(said)
        if until is not None:
            assert until.wait(PATIENCE_SECONDS)


def _is_unauthorized(answer: Any) -> None:
    assert (answer.status, answer.body) == (401, b'{"message":"Unauthorized"}')
    assert not [name for name in answer.headers if name in {"x-inngest-sdk", "x-inngest-framework"}]
