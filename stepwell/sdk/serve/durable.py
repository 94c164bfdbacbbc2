"""Durable endpoints: handlers of HTTP requests whose steps are saved while their caller waits.

What every adapter shares. A request of a caller begins a run: the handler is called, and goes on
from step to step. Where it must wait or try again, the caller is sent to where the answer will be,
and the server makes the same request again, signed, until the handler has ended.
"""

import asyncio
import base64
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextvars import Context as ContextVars
from contextvars import ContextVar, copy_context
from secrets import token_bytes
from typing import Any, Final, Literal, TypeAlias, TypedDict, TypeVar
from urllib.parse import urlsplit

import msgspec

from stepwell.sdk import background
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.client.declare import id_of
from stepwell.sdk.errors import ConfigurationError, NonRetriableError
from stepwell.sdk.execution.run import run_call
from stepwell.sdk.function.function import Function
from stepwell.sdk.function.wire import FunctionOptions
from stepwell.sdk.net.agent import common_headers
from stepwell.sdk.net.server_api import ServerApi
from stepwell.sdk.serve.answer import UNAUTHORIZED, error_answer
from stepwell.sdk.serve.called import is_inngest_request
from stepwell.sdk.serve.durable_report import NotReportedError, Report
from stepwell.sdk.serve.durable_stream import HEADERS as STREAM_HEADERS
from stepwell.sdk.serve.durable_stream import (
    ToServer,
    heard,
    heard_sync,
    tell_answer,
    tell_steps,
    tell_where,
    wants_stream,
)
from stepwell.sdk.serve.gate import Refused, judge, note_refusal
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.response import ServeResponse, StreamingResponse, StreamingResponseSync
from stepwell.sdk.serve.run_state import StateUnavailableError, completed, state_requests
from stepwell.sdk.serve.unread import Unread
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sdk.step.handler import is_async
from stepwell.sdk.step.stream import LISTENER, Listener, began
from stepwell.sdk.value.codec import CodecError, encode_any
from stepwell.wire import header, limit
from stepwell.wire.endpoint import HTTP_REQUEST, HttpAnswer, HttpCalled
from stepwell.wire.event import Event, encode_event
from stepwell.wire.execution import (
    STATUS_DONE,
    STATUS_OPERATIONS,
    CallContext,
    CallRequest,
    CallResponse,
)
from stepwell.wire.failure import decode_failure, for_caller
from stepwell.wire.identifier import ENTROPY_BYTES, step_hash, ulid_at
from stepwell.wire.log import lines_in_error
from stepwell.wire.operation import (
    DiscoveryRequest,
    LegacyStep,
    Logs,
    Operation,
    RunComplete,
    StepError,
    StepFailed,
    StepRun,
    is_lazy,
)
from stepwell.wire.operation_decode import decode_operations
from stepwell.wire.operation_encode import encode_operations
from stepwell.wire.outside import decode
from stepwell.wire.signature import sign

_Work: TypeAlias = "asyncio.Task[None] | Future[None]"
V = TypeVar("V", bound=Callable[..., Any])
Sent = Literal["redirect", "token"]
"""What a caller gets who must wait: a redirect to the answer, or run id and token as JSON."""

_DIGITS_MAX: Final = 9
_COMPLETE: Final = step_hash("complete")
_ANSWER = msgspec.json.Decoder(HttpAnswer)


class EndpointOptions(TypedDict, total=False):
    """What every `endpoint` takes besides the client."""

    fn_id: str | None
    """The endpoint's id, by default the handler's name with dashes."""
    retries: int | None
    """How often it is tried again after a failure, default 4. With 0, what it raises is raised in
    the view."""
    async_response: Sent
    """What a caller gets who must wait: "redirect" (the default), or "token" for a JSON answer with
    `run_id` and `token`."""


class _Asked:
    """A request under way, what the handler raised, and where what it says goes."""

    def __init__(self, request: ServeRequest, listener: Listener | None) -> None:
        self.request = request
        self.raised: Exception | None = None
        self.listener = listener
        self.is_away = False
        """The run goes on elsewhere: the answer to this request is none of the handler's."""
        self.told_where = False

    def note(self, report: Report, operations: tuple[Operation, ...], api: ServerApi) -> None:
        """Tell a caller that listens what was reported."""
        if self.listener is None:
            return
        tell = self.listener.tell
        if not self.told_where:
            self.told_where = True
            tell_where(tell, api, report)
        tell_steps(tell, operations, _COMPLETE)


_ASKED: ContextVar[_Asked] = ContextVar("stepwell_asked")


class DurableEndpoint:
    """One endpoint: a handler `(ctx, request)`, and the adapter's words for what it answers."""

    def __init__(
        self,
        client: Inngest,
        handler: Callable[..., Any],
        framework: str,
        read: Callable[[Any], HttpAnswer | None],
        options: EndpointOptions,
    ) -> None:
        """`read` makes an answer of a framework's own response, and of its exceptions that are
        answers; None of anything else.

        Raises ConfigurationError and FunctionConfigInvalidError for what cannot be meant.
        """
        unknown = options.keys() - EndpointOptions.__annotations__.keys()
        if unknown:
            known = ", ".join(EndpointOptions.__annotations__)
            raise TypeError(f"{min(unknown)}: an endpoint has no such option; there are {known}")
        async_response = options.get("async_response", "redirect")
        fn_id = options.get("fn_id")
        if async_response not in ("redirect", "token"):
            raise ConfigurationError(
                f'async_response = {async_response!r}: give "redirect" or "token"'
            )
        self.client = client
        self._handler = handler
        self.is_async = is_async(handler)
        self._fn_id = id_of(handler) if fn_id is None else fn_id
        self._retries = options.get("retries")
        self._sent: Sent = async_response
        self._framework = f"{framework}"
        self._read = read
        self._function = self._declared(handler)
        self._streams: set[_Work] = set()

    def named(self, view: V) -> V:
        """The view, called and documented as the handler."""
        view.__name__ = getattr(self._handler, "__name__", "endpoint")
        view.__doc__ = self._handler.__doc__
        return view

    def _declared(self, handler: Callable[..., Any]) -> Function[Any]:
        async def awaited(ctx: Context) -> object:
            asked = _ASKED.get()
            try:
                return self._told(await handler(ctx, asked.request.raw))
            except Exception as error:  # noqa: BLE001 - it may be an answer
                return self._raised(asked, error)

        def plain(ctx: ContextSync) -> object:
            asked = _ASKED.get()
            try:
                return self._told(handler(ctx, asked.request.raw))
            except Exception as error:  # noqa: BLE001 - it may be an answer
                return self._raised(asked, error)

        options = FunctionOptions(
            app_id=self.client.app_id, fn_id=self._fn_id, triggers=(), retries=self._retries
        )
        return Function(options, awaited if self.is_async else plain)

    def _raised(self, asked: _Asked, error: Exception) -> object:
        """What a framework's own exception answers. Raises any other."""
        asked.raised = error
        answer = self._read(error)
        if answer is None:
            raise error
        return _kept(answer)

    def _told(self, value: object) -> object:
        answer = self._read(value)
        if answer is None:
            try:
                body = bytes(encode_any(value)).decode()
            except CodecError as error:
                raise NonRetriableError(
                    f'endpoint "{self._fn_id}": what it returned cannot be written as JSON: {error}'
                ) from None
            answer = HttpAnswer(200, {header.CONTENT_TYPE: header.JSON}, body)
        return _kept(answer)

    # Answering

    async def answer(self, request: ServeRequest, query: str) -> ServeResponse:
        """The answer to a request; `query` is that of its URL, as it came. Raises what the handler
        raised, if that is not tried again."""
        return await self._answered(_Asked(request, None), query)

    async def _answered(self, asked: _Asked, query: str) -> ServeResponse:
        token, telling = _ASKED.set(asked), LISTENER.set(asked.listener)
        try:
            if is_inngest_request(asked.request.headers):
                return await self._called(asked.request)
            return await self._begun(asked, query)
        finally:
            _ASKED.reset(token)
            LISTENER.reset(telling)

    def is_streamed(self, request: ServeRequest) -> bool:
        """Does a caller ask for what the handler says while it works?"""
        return wants_stream(request.headers) and not is_inngest_request(request.headers)

    def streamed(self, request: ServeRequest, query: str) -> StreamingResponse:
        """What the handler says while it works, and its answer at the end, as server-sent events.
        A caller that goes away changes nothing for the run. Called where an event loop runs."""
        caller = Unread()
        work = asyncio.create_task(self._told_all(request, query, caller))
        self._kept(work, caller.end)
        return StreamingResponse(200, STREAM_HEADERS, heard(caller))

    def streamed_sync(self, request: ServeRequest, query: str) -> StreamingResponseSync:
        """The same for blocking frameworks. The handler is called when the stream is begun to be
        read, with the context variables of now; closing it returns once the handler has ended."""
        pieces = self._pieces(request, query, copy_context())
        return StreamingResponseSync(200, STREAM_HEADERS, pieces)

    def _pieces(
        self, request: ServeRequest, query: str, context: ContextVars
    ) -> Generator[bytes, None, None]:
        caller = Unread()
        telling = self._told_all(request, query, caller)
        loop = background.shared().loop
        self._kept(context.run(asyncio.run_coroutine_threadsafe, telling, loop), caller.end)
        yield from heard_sync(caller)

    def _kept(self, work: _Work, end: Callable[[], None]) -> None:
        """Hold the work until it is over, and end its stream then: also where the program stops."""
        self._streams.add(work)
        work.add_done_callback(self._streams.discard)
        work.add_done_callback(lambda _: end())

    async def _told_all(self, request: ServeRequest, query: str, caller: Listener) -> None:
        asked, tell = _Asked(request, caller), caller.tell
        try:
            answer = await self._answered(asked, query)
            if not asked.is_away:
                tell_answer(tell, answer)
        except Exception as error:
            self.client.log.exception('endpoint "%s" broke', self._fn_id)
            tell_answer(tell, _as_response(error_answer(error)))

    def answer_sync(self, request: ServeRequest, query: str) -> ServeResponse:
        """The same for blocking frameworks."""
        return background.run(self.answer(request, query))

    async def _begun(self, asked: _Asked, query: str) -> ServeResponse:
        """A caller asks: the run begins here."""
        now_ms = int(time.time() * 1_000)
        run_id = ulid_at(now_ms, token_bytes(ENTROPY_BYTES))
        event = self._event(asked.request, query, now_ms)
        report = Report(self.client.api, run_id, event, self._retries)
        if asked.listener is not None:
            asked.listener.tell(began(run_id))

        async def save(operations: tuple[Operation, ...]) -> None:
            await report.send(operations)
            asked.note(report, operations, self.client.api)

        tries = (limit.RETRIES_DEFAULT if self._retries is None else self._retries) + 1
        call = CallRequest(
            ctx=CallContext(run_id=run_id, max_attempts=tries),
            event=event,
            events=(event,),
            version=header.REQUEST_VERSION,
            keeps_logs=True,
        )
        response = await run_call(
            self._function,
            call,
            client=self.client,
            raw_request=asked.request.raw,
            save=save,
        )
        operations = _operations_in(response)
        if not operations:
            return await self._failed(asked, report, response, tries)
        if _answer_among(operations) is not None:
            return await self._done(asked, report, operations)
        if all(isinstance(one, StepRun | LegacyStep) or is_lazy(one) for one in operations):
            # They were to be saved on the way, and it did not work out: go on elsewhere.
            again = DiscoveryRequest(id=step_hash(f"discovery {run_id}"))
            operations = (*operations, again)
        return await self._sent_away(asked, report, operations)

    def _event(self, request: ServeRequest, query: str, now_ms: int) -> msgspec.Raw:
        parts = urlsplit(request.url)
        called = HttpCalled(
            domain=self.client.serve_origin or f"{parts.scheme or 'http'}://{parts.netloc}",
            method=request.method,
            path=parts.path,
            fn=self._function.id,
            content_type=request.headers.get(header.CONTENT_TYPE, ""),
            query_params=query,
            body=base64.b64encode(request.body).decode(),
        )
        data = msgspec.Raw(msgspec.json.encode(called))
        return msgspec.Raw(encode_event(Event(HTTP_REQUEST, data, "", now_ms)))

    async def _done(
        self, asked: _Asked, report: Report, operations: tuple[Operation, ...]
    ) -> ServeResponse:
        try:
            await report.send(operations)
        except NotReportedError as error:
            # The caller has its answer all the same; if steps were saved, the server asks again.
            self.client.log.warning('endpoint "%s": its end: %s', self._fn_id, error)
        if asked.raised is not None and asked.listener is None:
            raise asked.raised  # the framework knows best how to say it
        answer = _answer_among(operations)
        assert answer is not None
        return answer

    async def _sent_away(
        self, asked: _Asked, report: Report, operations: tuple[Operation, ...]
    ) -> ServeResponse:
        """The server takes the run over, and the caller learns where its answer will be."""
        try:
            await report.send(operations)
        except NotReportedError as error:
            self.client.log.warning('endpoint "%s" cannot go on: %s', self._fn_id, error)
            told = msgspec.json.encode({"error": "the server cannot be reached: try again later"})
            return ServeResponse(503, {header.CONTENT_TYPE: header.JSON}, told)
        asked.is_away = True
        asked.note(report, operations, self.client.api)
        if self._sent == "redirect":
            # "See other": whatever was asked, the answer is got.
            return ServeResponse(303, {"location": report.output_url}, b"")
        assert report.begun is not None
        told = msgspec.json.encode({"run_id": report.run_id, "token": report.begun.token})
        return ServeResponse(200, {header.CONTENT_TYPE: header.JSON}, told)

    async def _failed(
        self, asked: _Asked, report: Report, response: CallResponse, tries: int
    ) -> ServeResponse:
        body, lines = lines_in_error(response.body)
        failure = decode_failure(body)
        logs = (Logs(lines=lines),) if lines else ()
        if tries > 1 and not header.is_no_retry(response.headers.get(header.NO_RETRY)):
            failed = StepError(id=_COMPLETE, failure=failure)
            return await self._sent_away(asked, report, (*logs, failed))
        if report.begun is not None:
            try:
                await report.send((*logs, StepFailed(id=_COMPLETE, failure=failure)))
            except NotReportedError as error:
                self.client.log.warning('endpoint "%s": its end: %s', self._fn_id, error)
        if asked.raised is not None and asked.listener is None:
            raise asked.raised
        return _failure(body)

    # Called by the server

    async def _called(self, request: ServeRequest) -> ServeResponse:
        """The server makes the request again: the run goes on."""
        settings, headers = self.client.settings, request.headers
        passed = judge(request, settings, int(time.time() * 1_000))
        if isinstance(passed, Refused):
            note_refusal(self.client.log, request, passed)
            return UNAUTHORIZED
        call = CallRequest(
            ctx=CallContext(
                run_id=headers.get(header.RUN_ID, ""),
                attempt=_count(headers, header.ATTEMPT) or 0,
                max_attempts=_count(headers, header.MAX_ATTEMPTS),
                disable_immediate_execution=headers.get(header.FORCE_STEP_PLAN) == "true",
                request_id=headers.get(header.REQUEST_ID, ""),
                job_id=headers.get(header.JOB_ID, ""),
            ),
            event=msgspec.Raw(b"null"),
            use_api=True,
            version=header.REQUEST_VERSION,
            keeps_logs=header.KEEPS_LOGS in headers,
        )
        try:
            asked = map(self.client.api.ask, state_requests(call))
            call = completed(call, await asyncio.gather(*asked))
        except Exception as error:  # noqa: BLE001 - whatever it is, the server asks again
            if not isinstance(error, StateUnavailableError):
                error = StateUnavailableError(str(error))
            return self._signed(error_answer(error), passed.key)
        says = ToServer(self.client.api, call.ctx.run_id)
        telling = LISTENER.set(says)
        try:
            response = await run_call(
                self._function,
                call,
                client=self.client,
                target=headers.get(header.STEP_ID),
                raw_request=request.raw,
            )
        finally:
            LISTENER.reset(telling)
        operations = _operations_in(response)
        self._tell_end(says, call.ctx, response, operations)
        await says.flush()
        if response.status == STATUS_DONE:
            body = encode_operations(operations)
            response = CallResponse(STATUS_OPERATIONS, body, response.headers)
        return self._signed(response, passed.key)

    def _tell_end(
        self,
        says: ToServer,
        ctx: CallContext,
        response: CallResponse,
        operations: tuple[Operation, ...],
    ) -> None:
        """Tell whoever was sent away the answer, or what steps came to."""
        answer = _answer_among(operations)
        if answer is not None:
            tell_answer(says.tell, answer)
        elif operations:
            tell_steps(says.tell, operations, _COMPLETE)
        elif header.is_no_retry(response.headers.get(header.NO_RETRY)) or (
            ctx.max_attempts is not None and ctx.attempt + 1 >= ctx.max_attempts
        ):
            body, _ = lines_in_error(response.body)
            tell_answer(says.tell, _failure(body))

    def _signed(self, response: CallResponse, key: str | None) -> ServeResponse:
        headers = {
            **common_headers(self.client.settings, framework=self._framework),
            header.SDK_HANDLED: "true",
            **response.headers,
        }
        if key is not None:
            now_ms = int(time.time() * 1_000)
            headers[header.SIGNATURE] = sign(response.body, key, now_ms)
        return ServeResponse(response.status, headers, response.body)


def _operations_in(response: CallResponse) -> tuple[Operation, ...]:
    """What a call came to, its end included; nothing if it failed as a whole."""
    if response.status == STATUS_DONE:
        return (RunComplete(id=_COMPLETE, data=msgspec.Raw(response.body)),)
    if response.status == STATUS_OPERATIONS:
        return decode_operations(response.body)
    return ()


def _answer_among(operations: tuple[Operation, ...]) -> ServeResponse | None:
    """What the handler answered, if it has come to its end."""
    for operation in operations:
        if isinstance(operation, RunComplete):
            answer = decode(bytes(operation.data), _ANSWER)
            return ServeResponse(answer.status, answer.headers, answer.body.encode())
    return None


def _failure(body: bytes) -> ServeResponse:
    return ServeResponse(500, {header.CONTENT_TYPE: header.JSON}, for_caller(body))


def _as_response(answer: CallResponse) -> ServeResponse:
    return ServeResponse(answer.status, answer.headers, answer.body)


def _count(headers: Mapping[str, str], name: str) -> int | None:
    """A number that our server tells, and others do not."""
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS_MAX else None


def _kept(answer: HttpAnswer) -> object:
    return {**msgspec.to_builtins(answer), "version": header.REQUEST_VERSION}


def text_of_body(fn: str, body: bytes) -> str:
    """What a framework's response says, as text. Raises NonRetriableError for what is none."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise NonRetriableError(
            f"{fn} answered bytes that are no UTF-8 text: a durable endpoint answers text, such as"
            " JSON; answer where the bytes are"
        ) from None


def told_response(status: int, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
    """A framework's whole response as it is kept."""
    return HttpAnswer(status, dict(headers), text_of_body("the handler", body))
