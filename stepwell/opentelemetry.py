"""OpenTelemetry: a span for each call of a function, each step that runs, and each `send`; and the
spans of a program, shown with their runs.

Needs the extra `opentelemetry`, and a tracer provider as your program sets it up. Nothing is
recorded twice: steps whose results are known have no spans.

Law: a run stays in one trace. Its calls go on from whoever sent its event, if that program traced
too; else from the trace the server names; else from one that the run's id stands for.
"""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from inspect import iscoroutinefunction
from threading import Lock
from typing import Any, ClassVar, Final, cast
from weakref import WeakKeyDictionary

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import Error, text_of
from stepwell.sdk.extra import Extra

with Extra("opentelemetry", "tracing"):
    from opentelemetry import propagate, trace
    from opentelemetry.context import Context as TraceContext
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.sdk.trace import Span as SdkSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.trace import (
        Link,
        Span,
        SpanContext,
        SpanKind,
        Status,
        StatusCode,
        TraceFlags,
    )
    from opentelemetry.util.types import AttributeValue

from stepwell.sdk.events.event import Event
from stepwell.sdk.middleware.layer import BaseMiddleware
from stepwell.sdk.middleware.result import StepInfo
from stepwell.sdk.net.agent import VERSION
from stepwell.sdk.net.port import NetworkError
from stepwell.sdk.net.server_api import ApiRequest
from stepwell.sdk.step.noted import Noted, ai_update
from stepwell.sdk.step.suspension import HOME, INSIDE_STEP
from stepwell.sdk.tracing import arrived_trace, leaving, trace_in
from stepwell.wire import ai, header, otlp
from stepwell.wire.otlp import USER_SPANS_PATH

SYSTEM = "inngest"
SCOPE: Final = "stepwell"
RUN_ATTRIBUTE: Final = "inngest.run.id"
STEP_ATTRIBUTE: Final = "inngest.step.hash"
_EXPORT_SECONDS_MAX: Final = 10.0
_NAMES_SHOWN_MAX = 3


class OpenTelemetryMiddleware(BaseMiddleware):
    """Traces calls, steps and sends. Register the class with a client, or what `factory` returns.

    A span of a call is named after the function, one of a step after the step, one of a `send`
    after the events. What they raise is recorded; calls that merely end at a step are no errors.
    """

    id: ClassVar[str] = "OpenTelemetry"
    tracer_provider: ClassVar[trace.TracerProvider | None] = None

    @classmethod
    def factory(
        cls, *, tracer_provider: trace.TracerProvider | None = None
    ) -> "type[OpenTelemetryMiddleware]":
        """The middleware with a tracer provider other than the global one."""

        made = type(cls.__name__, (cls,), {"tracer_provider": tracer_provider})
        return cast("type[OpenTelemetryMiddleware]", made)

    def __init__(self, client: Any, raw_request: object = None) -> None:
        super().__init__(client, raw_request)
        self._tracer = trace.get_tracer(SCOPE, VERSION, self.tracer_provider)

    def wrap_function_handler(self, next: Callable[[], Any], ctx: Any, fn: Any) -> Any:
        """A span around the call."""
        attributes: dict[str, AttributeValue] = {
            "messaging.system": SYSTEM,
            "messaging.operation.name": "process",
            "messaging.destination.name": ctx.event.name,
            "messaging.message.id": ctx.event.id,
            "messaging.batch.message_count": len(ctx.events),
            "inngest.app.id": self.client.app_id,
            "inngest.function.id": fn.id,
            "inngest.function.name": fn.name,
            RUN_ATTRIBUTE: ctx.run_id,
            "inngest.attempt": ctx.attempt,
        }
        parent, links = _origin(ctx)
        return _inside(
            next,
            lambda: self._span(fn.name, SpanKind.CONSUMER, attributes, parent, links),
        )

    def wrap_step_handler(self, next: Callable[[], Any], step: StepInfo, ctx: Any) -> Any:
        """A span around the step, inside that of its call."""
        attributes: dict[str, AttributeValue] = {
            RUN_ATTRIBUTE: ctx.run_id,
            "inngest.step.id": step.id,
            "inngest.step.name": step.name,
            "inngest.step.index": step.index,
            "inngest.attempt": step.attempt,
        }
        return _inside(next, lambda: self._span(step.name, SpanKind.INTERNAL, attributes))

    def wrap_send_event(self, next: Callable[[], Any], events: list[Event]) -> Any:
        """A span around the sending; whoever handles the events goes on from it."""
        names = list(dict.fromkeys(str(event.name) for event in events))
        attributes: dict[str, AttributeValue] = {
            "messaging.system": SYSTEM,
            "messaging.operation.name": "send",
            "messaging.destination.name": names[0] if len(names) == 1 else ",".join(names),
            "messaging.batch.message_count": len(events),
        }
        shown = ", ".join(names[:_NAMES_SHOWN_MAX]) + (", …" if names[_NAMES_SHOWN_MAX:] else "")
        return _inside(next, lambda: self._sending(f"send {shown}".strip(), attributes, events))

    @contextmanager
    def _sending(
        self, name: str, attributes: dict[str, AttributeValue], events: list[Event]
    ) -> Generator[None, None, None]:
        with self._span(name, SpanKind.PRODUCER, attributes):
            told = _current()
            events[:] = [event.copy(meta={**(event.meta or {}), **told}) for event in events]
            with leaving(told):
                yield

    @contextmanager
    def _span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, AttributeValue],
        parent: TraceContext | None = None,
        links: list[Link] | None = None,
    ) -> Generator[None, None, None]:
        span = self._tracer.start_span(name, parent, kind, attributes, links)
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        except Exception as error:
            _record(span, error)
            raise
        finally:
            span.end()


def _inside(next: Callable[[], Any], place: "Callable[[], Any]") -> Any:
    """Do what lies inside of a wrap, of either colour, in the place a context manager makes."""
    if iscoroutinefunction(next):
        return _awaited(cast("Callable[[], Awaitable[Any]]", next), place)
    with place():
        return next()


async def _awaited(next: Callable[[], Awaitable[Any]], place: "Callable[[], Any]") -> Any:
    with place():
        return await next()


def _record(span: Span, error: Exception) -> None:
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {text_of(error)}"))


def _current() -> dict[str, str]:
    """The trace context of the span that is current, as it travels."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return dict(trace_in(carrier))


def _span_context(carrier: Mapping[str, str]) -> SpanContext | None:
    """The span a trace context stands for, None if it stands for none."""
    found = trace.get_current_span(propagate.extract(carrier, TraceContext())).get_span_context()
    return found if found.is_valid else None


def _origin(ctx: Any) -> tuple[TraceContext, list[Link]]:
    """What a call goes on from, and what else caused it."""
    senders = [_span_context(_told_by(event)) for event in ctx.events]
    found = [*senders[:1], _span_context(arrived_trace()), *senders[1:]]
    causes = list({cause.span_id: cause for cause in found if cause is not None}.values())
    first, rest = (causes[0], causes[1:]) if causes else (_of_run(ctx.run_id), [])
    parent = trace.set_span_in_context(trace.NonRecordingSpan(first), TraceContext())
    return parent, [Link(cause) for cause in rest]


def _told_by(event: object) -> Mapping[str, str]:
    """The trace context of an event's sender."""
    meta: object = getattr(event, "meta", None)
    return trace_in(cast("Mapping[str, object]", meta)) if isinstance(meta, Mapping) else {}


def _of_run(run_id: str) -> SpanContext:
    """A span that stands for a run nobody traced before: the same for each of its calls."""
    digest = hashlib.sha256(run_id.encode()).digest()
    return SpanContext(
        trace_id=int.from_bytes(digest[:16]),
        span_id=int.from_bytes(digest[16:24]),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


class RunSpanProcessor(SpanProcessor):
    """Shows the spans of your program in the runs they belong to: below the step, beside the steps.

    `provider.add_span_processor(RunSpanProcessor(client))`. Spans that begin while a handler or a
    step runs are sent to the server that the client talks to, with the client's key, some at a
    time. What spans of models tell (`gen_ai.*`: models, tokens, parameters, why it ended, never
    what was said) is kept with the step, unless the client has `ai_metadata=False`.

    An engine in this process takes no spans: then they stay here, and so does what models tell not.
    """

    def __init__(self, client: Inngest) -> None:
        """`client` names the server, and the key."""
        self._client = client
        self._batches = BatchSpanProcessor(_RunSpanExporter(client))
        self._told: WeakKeyDictionary[Noted, dict[str, ai.Values]] = WeakKeyDictionary()
        self._adding = Lock()

    def on_start(self, span: SdkSpan, parent_context: TraceContext | None = None) -> None:
        """Mark a span with the run and the step that it begins in."""
        home, step = HOME.get(), INSIDE_STEP.get()
        if home is None:
            return
        span.set_attribute(RUN_ATTRIBUTE, home.run_id)
        if step is not None:
            span.set_attribute(STEP_ATTRIBUTE, step.hashed)
        self._batches.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Have a span of a run sent; the server knows calls and steps without their spans."""
        scope = span.instrumentation_scope
        if RUN_ATTRIBUTE not in (span.attributes or {}) or (scope and scope.name == SCOPE):
            return
        self._batches.on_end(span)
        if self._client.ai_metadata:
            self._note(span)

    def _note(self, span: ReadableSpan) -> None:
        home, step = HOME.get(), INSIDE_STEP.get()
        told = ai.told_of_span(span.attributes or {}, _lasted_ms(span))
        if home is None or step is None or not told:
            return
        with self._adding:
            of_steps = self._told.setdefault(home.noted, {})
            of_steps[step.hashed] = ai.together(of_steps.get(step.hashed, {}), told)
            home.noted.add(step.hashed, (ai_update(of_steps[step.hashed]),), "step")

    def shutdown(self) -> None:
        """Send what is left, and nothing more."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is left."""
        return self._batches.force_flush(timeout_millis)


class _RunSpanExporter(SpanExporter):
    """Sends spans to the client's server."""

    def __init__(self, client: Inngest) -> None:
        self._client = client

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        asked = ApiRequest(
            method="POST",
            path=USER_SPANS_PATH,
            body=otlp.encode_export(_export_of(spans)),
            headers={header.CONTENT_TYPE: header.JSON},
            timeout_seconds=_EXPORT_SECONDS_MAX,
        )
        try:
            reply = self._client.api.ask_sync(asked)
        except (NetworkError, Error) as error:
            return self._failed(str(error))
        if reply.status >= 400:
            return self._failed(f"HTTP {reply.status}: {reply.body[:300].decode(errors='replace')}")
        return SpanExportResult.SUCCESS

    def _failed(self, why: str) -> SpanExportResult:
        self._client.log.warning("spans of runs were not sent: %s", why)
        return SpanExportResult.FAILURE


def _export_of(spans: Sequence[ReadableSpan]) -> otlp.Export:
    """Spans as the protocol has them: those of one resource and scope stand together."""
    grouped: dict[tuple[int, str, str | None], list[ReadableSpan]] = {}
    for span in spans:
        scope = span.instrumentation_scope
        name, version = ("", None) if scope is None else (scope.name, scope.version)
        grouped.setdefault((id(span.resource), name, version), []).append(span)
    return otlp.Export(
        tuple(
            otlp.ResourceSpans(
                otlp.Resource(_attributes(several[0].resource.attributes)),
                (otlp.ScopeSpans(otlp.Scope(name, version or ""), tuple(map(_otlp, several))),),
            )
            for (_, name, version), several in grouped.items()
        )
    )


def _otlp(span: ReadableSpan) -> otlp.OtlpSpan:
    context = span.get_span_context()
    assert context is not None, "a span that ended has one"
    parent = span.parent
    return otlp.OtlpSpan(
        trace_id=trace.format_trace_id(context.trace_id),
        span_id=trace.format_span_id(context.span_id),
        parent_span_id="" if parent is None else trace.format_span_id(parent.span_id),
        name=span.name,
        kind=span.kind.value + 1,
        start_time_unix_nano=str(span.start_time or 0),
        end_time_unix_nano=str(span.end_time or 0),
        attributes=_attributes(span.attributes or {}),
        status=otlp.SpanStatus(span.status.status_code.value, span.status.description or ""),
    )


def _attributes(values: Mapping[str, object]) -> tuple[otlp.KeyValue, ...]:
    told: dict[str, otlp.Plain] = {key: _plain(value) for key, value in values.items()}
    return otlp.attributes(told)


def _plain(value: object) -> otlp.Plain:
    """The value of an attribute: what is neither plain nor several plain ones is told in words."""
    if isinstance(value, str | int | float):
        return value
    if not isinstance(value, list | tuple):
        return str(value)
    several = cast("Sequence[object]", value)
    return tuple(one if isinstance(one, str | int | float) else str(one) for one in several)


def _lasted_ms(span: ReadableSpan) -> int:
    return max(0, (span.end_time or 0) - (span.start_time or 0)) // 1_000_000


class TraceFilter(logging.Filter):
    """Gives every line `trace_id` and `span_id` in hexadecimal digits, empty outside of spans.

    Add it to a handler: `handler.addFilter(TraceFilter())`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the line pass, with its ids."""
        record.trace_id, record.span_id = _ids()
        return True


def add_trace(
    _logger: object, _method: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The same for structlog: a processor that adds `trace_id` and `span_id` inside of spans."""
    trace_id, span_id = _ids()
    if trace_id:
        event_dict.update(trace_id=trace_id, span_id=span_id)
    return event_dict


def _ids() -> tuple[str, str]:
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return "", ""
    return trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)
