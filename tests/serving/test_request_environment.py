"""A request's mode, keys and environment are values of that request: rows F-28 and F-60.

Requests are interleaved on purpose: while one is read or answered, another with another environment
comes and goes.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stepwell import Context, ContextSync, Event, Inngest, Streaming, TriggerEvent
from stepwell.sdk.net.port import HttpReply
from stepwell.serve import (
    Adapter,
    CommHandler,
    ServeHandler,
    ServeRequest,
    ServeResponse,
    StreamingResponse,
    StreamingResponseSync,
)
from stepwell.wire.signature import sign

KEY_A, KEY_B = "signkey-test-aa", "signkey-test-bb"
CLOUD = {
    "INNGEST_DEV": "0",
    "INNGEST_SIGNING_KEY": KEY_A,
    "INNGEST_EVENT_KEY": "events-a",
    "INNGEST_BASE_URL": "http://a.test",
    "INNGEST_ENV": "env-a",
}
OTHER = {
    "INNGEST_DEV": "0",
    "INNGEST_SIGNING_KEY": KEY_B,
    "INNGEST_EVENT_KEY": "events-b",
    "INNGEST_BASE_URL": "http://b.test",
    "INNGEST_ENV": "env-b",
}
DEV = {"INNGEST_DEV": "http://dev.test"}
CALL = json.dumps({"ctx": {"run_id": "r"}, "event": {"name": "e", "data": {}}, "steps": {}})
URL = "http://h.test/api/inngest?fnId=app-{}&stepId=step"


def signed(key: str, body: bytes) -> dict[str, str]:
    return {"x-inngest-signature": sign(body, key, int(time.time() * 1000))}


class Http:
    """The servers, which note what was asked of which."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        return self.request_sync(
            method, url, headers=headers, body=body, timeout_seconds=timeout_seconds
        )

    def request_sync(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        self.asked.append((url, headers))
        return HttpReply(200, {}, b'{"ids":["01JQDAE4RQ0000000000000001"],"status":200,"ok":true}')

    def urls(self) -> list[str]:
        return [url for url, _ in self.asked]


class Asked(Adapter[tuple[int, bytes]]):
    """An adapter whose platform hands over the environment with the request. What happens while the
    body is read, and when a function runs, a test decides."""

    def __init__(
        self,
        env: Mapping[str, str] | None,
        *,
        method: str = "POST",
        function: str = "quiet",
        key: str | None = None,
        production: bool | None = None,
        meanwhile: Callable[[], Any] = lambda: None,
    ) -> None:
        self._env, self._method, self._url = env, method, URL.format(function)
        self._key, self._production, self._meanwhile = key, production, meanwhile

    def env(self) -> Mapping[str, str] | None:
        return self._env

    def is_production(self) -> bool | None:
        return self._production

    def method(self) -> str:
        return self._method

    def url(self) -> str:
        return self._url

    def headers(self, key: str) -> str | None:
        found = {} if self._key is None else signed(self._key, self._told())
        return found.get(key)

    def _told(self) -> bytes:
        return b"" if self._method == "GET" else CALL.encode()

    def body(self) -> Any:
        self._meanwhile()
        return self._told()

    def transform_response(self, response: ServeResponse) -> tuple[int, bytes]:
        return response.status, response.body

    def transform_streaming_response(
        self, response: StreamingResponse | StreamingResponseSync
    ) -> tuple[int, bytes]:
        assert isinstance(response, StreamingResponseSync)
        return response.status, b"".join(response.chunks)


class AskedLater(Asked):
    """The same, waiting for the body."""

    async def body(self) -> bytes:
        found = self._meanwhile()
        if found is not None:
            await found
        return self._told()


class App:
    """An app with functions that send, of both colours, and note that they ran."""

    def __init__(self, **options: Any) -> None:
        self.http = Http()
        self.ran: list[str] = []
        self.meanwhile: Callable[[], Any] = lambda: None
        self.client = client = Inngest(app_id="app", http_client=self.http)
        client.set_env_vars({"INNGEST_DEV": "1"})

        @client.create_function(fn_id="quiet", trigger=TriggerEvent(event="e"))
        def quiet(ctx: ContextSync) -> None:
            self.ran.append("quiet")

        @client.create_function(fn_id="plain", trigger=TriggerEvent(event="e"))
        def plain(ctx: ContextSync) -> str | None:
            self.meanwhile()
            client.send_sync(Event(name="x"))
            return client.env

        @client.create_function(fn_id="waiting", trigger=TriggerEvent(event="e"))
        async def waiting(ctx: Context) -> str | None:
            found = self.meanwhile()
            if found is not None:
                await found
            await client.send(Event(name="x"))
            return client.env

        self.handler = CommHandler(client, [quiet, plain, waiting], framework="x", **options)

    def __call__(self, *given: Any, **options: Any) -> tuple[int, bytes]:
        return self.handler.create_sync(Asked)(*given, **options)

    async def later(self, *given: Any, **options: Any) -> tuple[int, bytes]:
        return await self.handler.create(AskedLater)(*given, **options)


def test_an_unsigned_call_of_the_cloud_stays_refused_while_development_calls_come() -> None:
    app = App()
    answered = app(CLOUD, meanwhile=lambda: app(DEV, method="GET"))
    assert (answered[0], app.ran) == (401, [])
    answered = app(None, production=True, meanwhile=lambda: app(None, production=False))
    assert (answered[0], app.ran) == (500, ["quiet"])  # without a key nobody can be believed


async def test_the_same_where_bodies_are_awaited() -> None:
    app, arrived, read_on = App(), asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        arrived.set()
        await read_on.wait()

    unsigned = asyncio.ensure_future(app.later(CLOUD, meanwhile=slowly))
    await arrived.wait()
    assert (await app.later(DEV))[0] == 200
    read_on.set()
    assert (await unsigned)[0] == 401
    assert app.ran == ["quiet"]


def test_a_key_of_one_environment_opens_no_other() -> None:
    app = App()
    assert app(CLOUD, key=KEY_A, meanwhile=lambda: app(OTHER, key=KEY_B))[0] == 200
    assert app(CLOUD, key=KEY_B, meanwhile=lambda: app(OTHER, key=KEY_B))[0] == 401


@pytest.mark.parametrize("function", ["plain", "waiting"])
@pytest.mark.parametrize("options", [{}, {"streaming": Streaming.FORCE}])
def test_what_a_call_sends_goes_where_its_own_environment_says(
    function: str, options: dict[str, Any]
) -> None:
    app = App(**options)
    others: list[int] = []

    def other() -> None:
        app.meanwhile = lambda: None
        others.append(app(OTHER, function="plain", key=KEY_B)[0])

    app.meanwhile = other if function == "plain" else lambda: asyncio.to_thread(other)
    status, body = app(CLOUD, function=function, key=KEY_A)
    assert status in {200, 201}
    assert b"env-a" in body
    assert app.http.urls() == ["http://b.test/e/events-b", "http://a.test/e/events-a"]
    assert [headers["x-inngest-env"] for _, headers in app.http.asked] == ["env-b", "env-a"]
    assert (app.client.env, app.client.settings.mode) == (None, "dev")


async def test_the_same_on_an_event_loop() -> None:
    app = App()

    async def meanwhile() -> None:
        app.meanwhile = lambda: None
        for function in ("waiting", "plain"):
            assert (await app.later(OTHER, function=function, key=KEY_B))[0] == 200

    app.meanwhile = meanwhile
    assert (await app.later(CLOUD, function="waiting", key=KEY_A)) == (200, b'"env-a"')
    assert app.http.urls() == ["http://b.test/e/events-b"] * 2 + ["http://a.test/e/events-a"]


def test_a_sync_registers_at_the_server_of_its_own_environment() -> None:
    app = App()
    meanwhile = lambda: app(OTHER, method="PUT", key=KEY_B)  # noqa: E731
    assert app(CLOUD, method="PUT", key=KEY_A, meanwhile=meanwhile)[0] == 200
    assert app.http.urls() == ["http://b.test/fn/register", "http://a.test/fn/register"]
    first, second = (headers["authorization"] for _, headers in app.http.asked)
    assert first != second


def test_the_mode_of_a_request_leaves_the_server_that_is_named() -> None:
    app = App()
    app.client.set_env_vars(DEV)
    assert app(None, production=False, function="plain")[0] == 200
    assert app.http.urls() == ["http://dev.test/e/NO_EVENT_KEY_SET"]


def test_an_environment_that_cannot_be_used_is_told_to_the_log_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = App()
    status, body = app({"INNGEST_DEV": "http://user:secret@dev.test?x"})
    assert (status, json.loads(body)["code"]) == (500, "internal_server_error")
    assert b"INNGEST_DEV" not in body
    assert "INNGEST_DEV" in caplog.text
    assert app({"INNGEST_DEV": "0"})[0] == 500
    assert "needs a signing key" in caplog.text


def test_two_endpoints_of_one_client_keep_their_keys() -> None:
    client = Inngest(app_id="app", is_production=True, signing_key=KEY_A)
    first = ServeHandler(client, [], framework="x")
    second = ServeHandler(client, [], framework="x", signing_key=KEY_B)
    for endpoint, key in ((second, KEY_B), (first, KEY_A)):
        for wrong in (KEY_A, KEY_B):
            get = ServeRequest(method="GET", url="http://h/x", headers=signed(wrong, b""), query={})
            answer = endpoint.handle_sync(get)
            assert answer.status == (200 if wrong == key else 401)
    without = Inngest(app_id="app", is_production=True)
    ServeHandler(without, [], framework="x", signing_key=KEY_B)
    assert without.signing_key == KEY_B
