"""An HTTP endpoint without a framework: what a request means, and what is answered.

`_serve` holds all of it as a generator without input or output: it yields what it needs (requests
to the server's API, the call of a function) and is told the outcome. `handle` and `handle_sync`
perform these, each in its colour. Sources: http.md 2.4, 4 to 6; features F-40 to F-58, E.1.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Iterable
from concurrent import futures
from typing import Any, TypeAlias, cast

import msgspec

from stepwell.sdk import background
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import (
    BodyInvalidError,
    ConfigurationError,
    Error,
    ErrorCode,
    QueryParamMissingError,
)
from stepwell.sdk.events.registry import event_schemas
from stepwell.sdk.execution.run import run_call, run_call_sync
from stepwell.sdk.function.function import Function
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.net.probing import PROBE_PATH, PROBE_SECONDS, is_dev_server
from stepwell.sdk.net.server_api import ApiRequest
from stepwell.sdk.serve import answer, gate, introspect, page, register
from stepwell.sdk.serve.checkpoint import Checkpointer
from stepwell.sdk.serve.request import ServeRequest, public_url
from stepwell.sdk.serve.response import ServeResponse, StreamingResponse, StreamingResponseSync
from stepwell.sdk.serve.run_state import completed, state_requests, unreachable
from stepwell.sdk.serve.setup import Keys, Setup, Setups
from stepwell.sdk.serve.table import FunctionTable
from stepwell.sdk.serve.watch import RunWatch
from stepwell.sdk.settings import (
    Introspected,
    ServeOptions,
    Streaming,
)
from stepwell.sdk.timing import (
    ASYNC_BLOCK,
    COMM_HANDLER,
    FUNCTION,
    INPUT,
    OUTPUT,
    USE_API,
    Timings,
    in_words,
    loop_look,
    timing,
)
from stepwell.sdk.tracing import Trace, arrived, trace_in
from stepwell.wire import header
from stepwell.wire.execution import (
    TARGET_DISCOVERY,
    CallRequest,
    CallResponse,
    MalformedCall,
    decode_call,
    encode_streamed,
)
from stepwell.wire.registration import (
    MalformedRegistration,
    SyncAnswer,
    TrustedIntrospection,
    decode_sync_asked,
    encode_introspection,
)
from stepwell.wire.signature import sign

KEEP_ALIVE_SECONDS = 3.0
"""How often a streamed answer sends a space while the function runs (http.md 6.10)."""


class FunctionCall(msgspec.Struct, frozen=True):
    """Call this function; `raw` is the framework's request, for middleware."""

    function: Function[Any]
    call: CallRequest
    target: str
    raw: object
    trace: Trace
    timings: Timings


class ApiRequests(msgspec.Struct, frozen=True):
    """Ask the server's API, all of it at once."""

    requests: tuple[ApiRequest, ...]


Effect: TypeAlias = FunctionCall | ApiRequests
Outcome: TypeAlias = CallResponse | list[HttpReply] | Exception
Steps: TypeAlias = Generator[Effect, Outcome, CallResponse | None]
Serving: TypeAlias = Generator[Effect, Outcome, ServeResponse]


class ServeHandler:
    """The endpoint of one app. Adapters hand it a ServeRequest and send back what it returns."""

    def __init__(
        self,
        client: Inngest,
        functions: Iterable[Function[Any] | None],
        *,
        framework: str,
        serve_origin: str | None = None,
        serve_path: str | None = None,
        public_path: str | None = None,
        streaming: Streaming | None = None,
        enable_unauthed_sync: bool | None = None,
        allow_in_band_sync: bool | None = None,
        trust_proxy: bool | None = None,
        introspection: Introspected | None = None,
        serve_host: str | None = None,
        base_url: str | None = None,
        signing_key: str | None = None,
        signing_key_fallback: str | None = None,
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
        client.use(base_url=base_url)
        if client.own_reach.settings.signing_key is None:
            # What the client asks outside of requests needs a key, too.
            client.use(signing_key=signing_key, signing_key_fallback=signing_key_fallback)
        self._client = client
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
        self._watch = RunWatch()
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
        serving = self._serve(setup, request)
        try:
            effect = next(serving)
        except StopIteration as done:
            return cast(ServeResponse, done.value)
        if _streams(setup, request):
            return StreamingResponse(201, setup.headers, self._stream(setup, serving, effect))
        return await self._perform_all(setup, serving, effect)

    def handle_sync(self, request: ServeRequest) -> ServeResponse | StreamingResponseSync:
        """Answer a request in blocking code. `async def` functions run on the background loop."""
        setup = self._setup_of(request)
        if setup is None:
            return answer.MISCONFIGURED
        serving = self._serve(setup, request)
        try:
            effect = next(serving)
        except StopIteration as done:
            return cast(ServeResponse, done.value)
        if _streams(setup, request):
            return StreamingResponseSync(
                201, setup.headers, self._stream_sync(setup, serving, effect)
            )
        return self._perform_all_sync(setup, serving, effect)

    def _setup_of(self, request: ServeRequest) -> Setup | None:
        """What counts for this request; None if that cannot be used, which is for our log alone."""
        try:
            return self._setups.of(request)
        except Error as error:
            self._client.log.error("%s: %s", error.code.value, error)  # noqa: TRY400 - it says enough
            return None

    # Performing what `_serve` asks for

    async def _perform_all(self, setup: Setup, serving: Serving, effect: Effect) -> ServeResponse:
        while True:
            outcome: Outcome
            try:
                outcome = await self._perform(setup, effect)
            except Exception as error:  # noqa: BLE001 - `_serve` decides what it means
                outcome = error
            try:
                effect = serving.send(outcome)
            except StopIteration as done:
                return cast(ServeResponse, done.value)

    async def _perform(self, setup: Setup, effect: Effect) -> Outcome:
        if isinstance(effect, ApiRequests):
            return list(await asyncio.gather(*map(setup.reach.api.ask, effect.requests)))
        if setup.serve.threads_max == 0 and not effect.function.is_handler_async:
            return self._perform_sync(setup, effect)  # wished for: the loop may be blocked
        with setup.applied(), arrived(effect.trace), timing(effect.timings):
            return await self._call(setup, effect)

    async def _call(self, setup: Setup, effect: FunctionCall) -> CallResponse:
        saver = _saver(setup, effect)
        work = run_call(
            effect.function,
            effect.call,
            client=self._client,
            target=effect.target,
            raw_request=effect.raw,
            save=None if saver is None else saver.save,
            pause=None if saver is None else saver.spent,
        )
        if not effect.function.is_handler_async:
            return await self._watch.over(setup.reach.api, effect.call.ctx.run_id, work)
        look = loop_look()
        begun = look.begin()
        try:
            return await self._watch.over(setup.reach.api, effect.call.ctx.run_id, work)
        finally:
            effect.timings[ASYNC_BLOCK] = look.end(begun)

    def _perform_all_sync(self, setup: Setup, serving: Serving, effect: Effect) -> ServeResponse:
        while True:
            outcome: Outcome
            try:
                outcome = self._perform_sync(setup, effect)
            except Exception as error:  # noqa: BLE001 - `_serve` decides what it means
                outcome = error
            try:
                effect = serving.send(outcome)
            except StopIteration as done:
                return cast(ServeResponse, done.value)

    def _perform_sync(self, setup: Setup, effect: Effect) -> Outcome:
        if isinstance(effect, ApiRequests):
            return list(map(setup.reach.api.ask_sync, effect.requests))
        with setup.applied(), arrived(effect.trace), timing(effect.timings):
            if effect.function.is_handler_async:
                return background.run(self._call(setup, effect))
            saver = _saver(setup, effect)
            with self._watch.over_sync(setup.reach.api, effect.call.ctx.run_id) as watch:
                return run_call_sync(
                    effect.function,
                    effect.call,
                    client=self._client,
                    target=effect.target,
                    raw_request=effect.raw,
                    watch=watch,
                    save=None if saver is None else lambda steps: background.run(saver.save(steps)),
                    pause=None if saver is None else saver.spent,
                )

    # Streaming

    async def _stream(
        self, setup: Setup, serving: Serving, effect: Effect
    ) -> AsyncGenerator[bytes, None]:
        task = asyncio.ensure_future(self._perform_all(setup, serving, effect))
        try:
            yield b" "
            while not (await asyncio.wait({task}, timeout=KEEP_ALIVE_SECONDS))[0]:
                yield b" "
            yield _envelope(task.result())
        finally:
            task.cancel()  # nobody waits any more, if it is still under way

    def _stream_sync(
        self, setup: Setup, serving: Serving, effect: Effect
    ) -> Generator[bytes, None, None]:
        loop = background.shared().loop
        work = self._perform_all(setup, serving, effect)
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            yield b" "
            while not futures.wait([future], timeout=KEEP_ALIVE_SECONDS).done:
                yield b" "
            yield _envelope(future.result())
        finally:
            future.cancel()  # nobody waits any more, if it is still under way

    # What a request means

    def _serve(self, setup: Setup, request: ServeRequest) -> Serving:
        began_ns = time.perf_counter_ns()
        timings: Timings = {}
        judged = gate.judge(request, setup.settings, _now_ms())
        key = judged.key if isinstance(judged, gate.Passed) else None
        response: CallResponse | None
        try:
            response = yield from self._route(setup, request, judged, timings)
        except Error as error:
            # No stack: the sentence says what is wrong with the request.
            self._client.log.error("%s: %s", error.code.value, error)  # noqa: TRY400
            response = answer.error_answer(error)
        except Exception as error:
            self._client.log.exception("an unforeseen error while serving")
            if isinstance(judged, gate.Refused):
                return answer.MISCONFIGURED
            response = answer.error_answer(error)
        if response is None:
            return answer.UNAUTHORIZED
        timings[COMM_HANDLER] = time.perf_counter_ns() - began_ns
        headers = {**setup.headers, **response.headers, **answer.echoed(request.headers)}
        headers[header.SERVER_TIMING] = in_words(timings)
        if key is not None:
            headers[header.SIGNATURE] = sign(response.body, key, _now_ms())
        return ServeResponse(response.status, headers, response.body)

    def _route(
        self,
        setup: Setup,
        request: ServeRequest,
        judged: gate.Passed | gate.Refused,
        timings: Timings,
    ) -> Steps:
        """The answer to a request; None if it has no right to one."""
        if request.method == "PUT":
            return (yield from self._sync(setup, request, judged))
        if request.method not in {"GET", "HEAD", "POST"}:
            return None if isinstance(judged, gate.Refused) else answer.NOT_ALLOWED
        opened = setup.serve.introspection == "open" and request.method != "POST"
        if isinstance(judged, gate.Refused) and not opened:
            self._note_refusal(request, judged)
            return None
        if request.method == "POST":
            return (yield from self._post(request, timings))
        return (yield from self._introspect(setup, request, judged))

    def _note_refusal(self, request: ServeRequest, refused: gate.Refused) -> None:
        self._client.log.warning("%s request refused: %s", request.method, refused.reason)

    def _introspect(
        self, setup: Setup, request: ServeRequest, judged: gate.Passed | gate.Refused
    ) -> Steps:
        mismatch = gate.kind_mismatch(request, setup.settings)
        if mismatch is not None:
            self._client.log.error(mismatch)
            return answer.KIND_FORBIDDEN
        is_dev = setup.settings.mode == "dev"
        if is_dev and page.wants_page(request.headers.get("accept")):
            return page.page(self._client.app_id, self.table.by_id.values(), setup.settings)
        if isinstance(judged, gate.Refused) or judged.key is None:
            there = None
            if setup.settings.guessed_origin is not None:
                there = yield from _dev_server_is_there()
            seen = introspect.describe(setup.settings, len(self.table), dev_server=there)
        else:
            seen = self._inspection(setup)
        return CallResponse(200, encode_introspection(seen))

    def _inspection(self, setup: Setup) -> TrustedIntrospection:
        return introspect.describe_to_server(
            setup.settings,
            setup.serve,
            len(self.table),
            app_id=self._client.app_id,
            framework=self._framework,
        )

    # POST: a call

    def _post(self, request: ServeRequest, timings: Timings) -> Steps:
        probe = request.query.get(header.QUERY_PROBE)
        if probe == header.PROBE_TRUST:
            return answer.TRUSTED
        if probe:
            return answer.message_answer(400, f'Unknown probe "{probe}"')
        if not request.body:
            raise BodyInvalidError(_no_body(request))
        function_id = request.query.get(header.QUERY_FUNCTION_ID)
        if not function_id:
            raise QueryParamMissingError(f"the query lacks {header.QUERY_FUNCTION_ID}")
        call = _named_by_headers(_call_in(request.body), request)
        function = self.table.find(function_id)
        if call.use_api:
            began_ns = time.perf_counter_ns()
            call = yield from _with_state(call)
            timings[USE_API] = time.perf_counter_ns() - began_ns
        target = request.query.get(header.QUERY_STEP_ID) or TARGET_DISCOVERY
        began_ns = time.perf_counter_ns()
        timings[INPUT] = timings[OUTPUT] = 0
        trace = trace_in(request.headers)
        outcome = yield FunctionCall(function, call, target, request.raw, trace, timings)
        spent_ns = time.perf_counter_ns() - began_ns
        timings[FUNCTION] = spent_ns - timings[INPUT] - timings[OUTPUT]
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, CallResponse)
        return outcome

    # PUT: a sync

    def _sync(
        self, setup: Setup, request: ServeRequest, judged: gate.Passed | gate.Refused
    ) -> Steps:
        signed = isinstance(judged, gate.Passed)
        in_band = register.is_in_band(
            request.headers.get(header.SYNC_KIND), setup.settings, setup.serve
        )
        if isinstance(judged, gate.Refused) and (in_band or not setup.serve.unauthed_sync):
            self._note_refusal(request, judged)
            return None
        mismatch = gate.kind_mismatch(request, setup.settings)
        if mismatch is not None:
            self._client.log.error(mismatch)
            return answer.message_answer(400, mismatch, ErrorCode.SERVER_KIND_MISMATCH.value)
        if in_band and signed:
            return self._sync_in_band(setup, request)
        return (yield from self._sync_out_of_band(setup, request, signed))

    def _app(self) -> register.App:
        if self._told is None:
            client = self._client
            schemas = event_schemas(client.schemas, self.table.kinds)
            self._told = register.App(client.app_id, self._framework, client.app_version, schemas)
        return self._told

    def _sync_in_band(self, setup: Setup, request: ServeRequest) -> CallResponse:
        try:
            asked = decode_sync_asked(request.body)
        except MalformedRegistration as error:
            return answer.message_answer(400, str(error), "invalid_request")
        if not asked.url:
            text = 'the body of an in-band sync must be {"url": "..."}'
            return answer.message_answer(400, text, "invalid_request")
        url = public_url(asked.url, {}, setup.serve)
        body = register.in_band_body(
            self._app(), self.table.configs(url), url, setup.settings, self._inspection(setup)
        )
        return CallResponse(200, body, {header.SYNC_KIND: header.SYNC_IN_BAND})

    def _sync_out_of_band(self, setup: Setup, request: ServeRequest, signed: bool) -> Steps:
        url = public_url(request.url, request.headers, setup.serve)
        app, configs = self._app(), self.table.configs(url)
        about = {
            "deploy_id": request.query.get(header.QUERY_DEPLOY_ID),
            "server_kind": request.headers.get(header.SERVER_KIND),
        }
        outcome = yield ApiRequests((register.registration_request(app, configs, url, **about),))
        if isinstance(outcome, list) and register.refuses_framework(outcome[0]):
            app = msgspec.structs.replace(app, framework=register.FRAMEWORK_PLAIN)
            again = register.registration_request(app, configs, url, **about)
            outcome = yield ApiRequests((again,))
        if isinstance(outcome, Exception):
            origin = setup.settings.api_origin
            status, told = 500, SyncAnswer(f"Failed to register with {origin}: {outcome}")
        else:
            assert isinstance(outcome, list)
            status, told = register.registration_outcome(outcome[0])
            for warning in register.registration_warnings(outcome[0]):
                self._client.log.warning("%s", warning)
        if status == 200:
            self._client.log.debug("registered %d functions at %s", len(self.table), url)
        else:
            self._client.log.error("registration failed: %s", told.message)
        if not signed:
            told = register.untold(status, told)
        sync_kind = {header.SYNC_KIND: header.SYNC_OUT_OF_BAND}
        return CallResponse(status, register.sync_body(told), sync_kind)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _saver(setup: Setup, effect: FunctionCall) -> Checkpointer | None:
    if not setup.checkpoints.worthwhile(effect.call, effect.target):
        return None
    return Checkpointer(setup.reach.api, effect.call.ctx, setup.checkpoints)


def _streams(setup: Setup, request: ServeRequest) -> bool:
    """Calls alone are streamed: what needs nothing from outside was answered already."""
    return setup.serve.streaming is Streaming.FORCE and request.method == "POST"


def _envelope(response: ServeResponse) -> bytes:
    return encode_streamed(CallResponse(response.status, response.body, dict(response.headers)))


def _no_body(request: ServeRequest) -> str:
    text = "Missing request body when executing, possibly due to missing request body middleware"
    if request.headers.get("transfer-encoding"):
        text += "; it came in chunks, which the web server does not put together"
    return text


def _call_in(body: bytes) -> CallRequest:
    try:
        return decode_call(body)
    except MalformedCall as error:
        raise BodyInvalidError(str(error)) from None


def _named_by_headers(call: CallRequest, request: ServeRequest) -> CallRequest:
    """What some servers say in headers and not in the body: ids, and that steps are to be planned
    before they run (F-58)."""
    ctx, headers = call.ctx, request.headers
    planned = ctx.disable_immediate_execution or headers.get(header.FORCE_STEP_PLAN) == "true"
    if ctx.job_id and ctx.request_id and ctx.run_id and planned == ctx.disable_immediate_execution:
        return call
    generation = headers.get(header.GENERATION_ID, "")
    named = msgspec.structs.replace(
        ctx,
        run_id=ctx.run_id or headers.get(header.RUN_ID, ""),
        job_id=ctx.job_id or headers.get(header.JOB_ID, ""),
        request_id=ctx.request_id or headers.get(header.REQUEST_ID, ""),
        generation_id=ctx.generation_id or (int(generation) if generation.isdecimal() else 0),
        disable_immediate_execution=planned,
    )
    return msgspec.structs.replace(call, ctx=named)


def _dev_server_is_there() -> Generator[Effect, Outcome, bool]:
    """Whether the development server that mode "auto" guesses answers now (E-184)."""
    asked = ApiRequest(method="GET", path=PROBE_PATH, timeout_seconds=PROBE_SECONDS)
    outcome = yield ApiRequests((asked,))
    return isinstance(outcome, list) and is_dev_server(outcome[0])


def _with_state(call: CallRequest) -> Generator[Effect, Outcome, CallRequest]:
    """The call with what was too large to travel with it (http.md 7.1)."""
    outcome = yield ApiRequests(state_requests(call))
    if isinstance(outcome, Exception):
        raise unreachable(outcome) from outcome
    assert isinstance(outcome, list)
    return completed(call, outcome)
