"""OpenTelemetry: a span for each call of a function, each step that runs, and each `send`.

Needs the extra `opentelemetry`, and a tracer provider as your program sets it up. Nothing is
recorded twice: steps whose results are known have no spans.

Law: a run stays in one trace. Its calls go on from whoever sent its event, if that program traced
too; else from the trace the server names; else from one that the run's id stands for.
"""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping, MutableMapping
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Any, ClassVar, cast

from stepwell.sdk.errors import text_of
from stepwell.sdk.extra import Extra

with Extra("opentelemetry", "tracing"):
    from opentelemetry import propagate, trace
    from opentelemetry.context import Context as TraceContext
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
from stepwell.sdk.tracing import arrived_trace, leaving, trace_in

SYSTEM = "inngest"
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
        self._tracer = trace.get_tracer("stepwell", VERSION, self.tracer_provider)

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
            "inngest.run.id": ctx.run_id,
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
            "inngest.run.id": ctx.run_id,
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
