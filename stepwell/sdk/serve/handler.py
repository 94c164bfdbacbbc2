"""An HTTP endpoint without a framework: what adapters hand requests to, in both colours.

What a request means is in `endpoint.py`, which asks for what it needs; `perform.py` does that.
"""

import time
from collections.abc import Iterable
from typing import Any, cast

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import (
    ConfigurationError,
    Error,
    code_of,
    warn,
)
from stepwell.sdk.events.registry import event_schemas
from stepwell.sdk.function.function import Function
from stepwell.sdk.net.given import HttpCallable, HttpxClient
from stepwell.sdk.net.port import HttpPort
from stepwell.sdk.serve import answer, register
from stepwell.sdk.serve.endpoint import answered
from stepwell.sdk.serve.perform import Performer
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, ServeRequest
from stepwell.sdk.serve.response import ServeResponse, StreamingResponse, StreamingResponseSync
from stepwell.sdk.serve.served import Served
from stepwell.sdk.serve.setup import Keys, Setup, Setups
from stepwell.sdk.serve.table import FunctionTable
from stepwell.sdk.settings import (
    Introspected,
    LogLevel,
    ServeOptions,
    Streaming,
    StreamingChoice,
)


class ServeHandler:
    """The endpoint of one app. Adapters hand it a ServeRequest and send back what it returns."""

    _can_stream = True

    def __init__(
        self,
        client: Inngest,
        functions: Iterable[Function[Any] | None],
        *,
        framework: str,
        serve_origin: str | None = None,
        serve_path: str | None = None,
        public_path: str | None = None,
        streaming: StreamingChoice | None = None,
        enable_unauthed_sync: bool | None = None,
        allow_in_band_sync: bool | None = None,
        trust_proxy: bool | None = None,
        introspection: Introspected | None = None,
        serve_host: str | None = None,
        base_url: str | None = None,
        signing_key: str | None = None,
        signing_key_fallback: str | None = None,
        fetch: HttpPort | HttpCallable | HttpxClient | None = None,
        log_level: LogLevel | None = None,
        id: str | None = None,
    ) -> None:
        """Serve these functions. What the options mean, `stepwell.asgi.serve` and
        `stepwell.sdk.serve.option` say.

        Raises FunctionConfigInvalidError for duplicate ids and for what is no function,
        SigningKeyMissingError in cloud mode without a signing key, ConfigurationError for settings
        that cannot be used, and for arguments that have changed places.
        """
        if not isinstance(cast(object, client), Inngest):
            raise ConfigurationError(
                f"client = {client!r}: give the Inngest client here; which argument is which"
                " differs between frameworks, see docs/frameworks.md"
            )
        _check_id(id, client.app_id)
        client.use(base_url=base_url, http_client=fetch, log_level=log_level)
        if client.own_reach.settings.signing_key is None:
            # What the client asks outside of requests needs a key, too.
            client.use(signing_key=signing_key, signing_key_fallback=signing_key_fallback)
        self._client = client
        # A plain string: servers such as wsgiref take no subclass of it in a header.
        framework = str(framework)
        self._framework = framework
        options = ServeOptions(
            serve_origin=serve_origin or serve_host or client.serve_origin,
            serve_path=serve_path or client.serve_path,
            public_path=public_path,
            streaming=streaming,
            enable_unauthed_sync=enable_unauthed_sync,
            allow_in_band_sync=allow_in_band_sync,
            trust_proxy=trust_proxy,
            introspection=introspection,
        )
        self.table = FunctionTable(client.app_id, functions, client.log)
        keys = Keys(signing_key, signing_key_fallback)
        self._setups = Setups(client, options, keys, framework=framework)
        client.add_endpoint(self.serve_path or SERVE_PATH_DEFAULT)
        self._performer = Performer()
        self._served = Served(
            client.app_id,
            framework,
            self.table,
            client.log,
            self._app,
            now_ms=lambda: _now_ms(),  # noqa: PLW0108 - looked up when it is asked
            spent_ns=time.perf_counter_ns,
        )
        self._told: register.App | None = None

    @property
    def serve_path(self) -> str | None:
        """The path this endpoint was told to live at, by argument or environment."""
        return self._setups.own.serve.serve_path

    # Entries

    async def handle(self, request: ServeRequest) -> ServeResponse | StreamingResponse:
        """Answer a request, on an event loop. Plain functions run in a bounded pool of threads."""
        setup = self._setup_of(request)
        if setup is None:
            return answer.MISCONFIGURED
        serving = answered(self._served, setup, request)
        try:
            effect = next(serving)
        except StopIteration as done:
            return cast(ServeResponse, done.value)
        if self._can_stream and _streams(setup, request):
            pieces = self._performer.stream(setup, serving, effect)
            return StreamingResponse(201, setup.headers, pieces)
        return await self._performer.perform_all(setup, serving, effect)

    def handle_sync(self, request: ServeRequest) -> ServeResponse | StreamingResponseSync:
        """Answer a request in blocking code. `async def` functions run on the background loop."""
        setup = self._setup_of(request)
        if setup is None:
            return answer.MISCONFIGURED
        serving = answered(self._served, setup, request)
        try:
            effect = next(serving)
        except StopIteration as done:
            return cast(ServeResponse, done.value)
        if self._can_stream and _streams(setup, request):
            pieces = self._performer.stream_sync(setup, serving, effect)
            return StreamingResponseSync(201, setup.headers, pieces)
        return self._performer.perform_all_sync(setup, serving, effect)

    def _setup_of(self, request: ServeRequest) -> Setup | None:
        """What counts for this request; None if that cannot be used, which is for our log alone."""
        try:
            return self._setups.of(request)
        except Error as error:
            self._client.log.error("%s: %s", code_of(error).value, error)  # noqa: TRY400 - it says enough
            return None

    def _app(self) -> register.App:
        if self._told is None:
            client = self._client
            schemas = event_schemas(client.schemas, self.table.kinds)
            self._told = register.App(client.app_id, self._framework, client.app_version, schemas)
        return self._told


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _streams(setup: Setup, request: ServeRequest) -> bool:
    """Calls alone are streamed: what needs nothing from outside was answered already."""
    return setup.serve.streaming is not Streaming.DISABLE and request.method == "POST"


def _check_id(given: str | None, app_id: str) -> None:
    """The old way to name the app, which its client does."""
    if given is None:
        return
    if given != app_id:
        raise ConfigurationError(
            f'id = {given!r}: the functions belong to the app of their client, "{app_id}": make'
            " that one with app_id=... and leave id out"
        )
    warn(
        DeprecationWarning(
            f"serve(id={given!r}) is deprecated: the client's app_id says it; leave it out"
        )
    )
