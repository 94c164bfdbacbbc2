"""A run that has ended as spans of OpenTelemetry: itself, its queue, its steps, attempts and waits.
Pure.

Law: a run is one trace. It goes on from whoever sent its event, if that program traced too; else it
is the trace that its id stands for. The SDK says the same, so that its spans and these are one.
"""

import hashlib
import re
from collections.abc import Iterator

import msgspec

from stepwell.server.engine.row.run import Run
from stepwell.server.query.timeline import SpanStatus
from stepwell.server.query.v2.run_trace import SpanV2, TraceV2
from stepwell.wire import otlp
from stepwell.wire.duration import parse_date_ms

_TRACEPARENT = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_NS_IN_MS = 1_000_000
_NO_TRACE = "0" * 32


def spans_of(run: Run, trace: TraceV2, traceparent: str) -> tuple[otlp.OtlpSpan, ...]:
    """The spans of a run. `traceparent` is that of its event's sender, or empty."""
    digest = hashlib.sha256(run.id.encode()).hexdigest()
    sender = _TRACEPARENT.fullmatch(traceparent)
    known = sender is not None and sender[1] != _NO_TRACE
    trace_id = sender[1] if sender is not None and known else digest[:32]
    top = otlp.OtlpSpan(
        trace_id=trace_id,
        span_id=digest[32:48],
        parent_span_id=sender[2] if sender is not None and known else "",
        name=run.function,
        kind=otlp.CONSUMER,
        start_time_unix_nano=_ns(run.queued_ms),
        end_time_unix_nano=_ns(run.ended_ms),
        attributes=otlp.attributes(
            {
                "inngest.run.id": run.id,
                "inngest.app.id": run.app,
                "inngest.function.id": run.function,
                "inngest.run.status": run.status.word,
                "inngest.event.id": run.event_ids[0] if run.event_ids else "",
                "inngest.cron": run.cron,
            }
        ),
        status=_status(trace.root_span),
    )
    queue = msgspec.structs.replace(
        top,
        span_id=_id(run.id, "queue"),
        parent_span_id=top.span_id,
        name="queue",
        kind=otlp.INTERNAL,
        end_time_unix_nano=_ns(run.started_ms or run.ended_ms),
        attributes=(),
        status=otlp.SpanStatus(),
    )
    under = (found for one in trace.root_span.children for found in _spans(one, top, run))
    return (top, queue, *under)


def _spans(told: SpanV2, parent: otlp.OtlpSpan, run: Run) -> Iterator[otlp.OtlpSpan]:
    """A span of the trace and those under it; spans of user code come from who made them."""
    if not isinstance(told.userland, msgspec.UnsetType):
        return
    began = _ns(_ms(told.started_at) or _ms(told.queued_at) or run.ended_ms)
    # What was open when the run ended has ended with it.
    made = otlp.OtlpSpan(
        trace_id=parent.trace_id,
        span_id=told.id,
        parent_span_id=parent.span_id,
        name=told.name,
        kind=otlp.INTERNAL,
        start_time_unix_nano=began,
        end_time_unix_nano=_ns(_ms(told.ended_at) or run.ended_ms),
        attributes=otlp.attributes(
            {
                "inngest.run.id": run.id,
                "inngest.step.hash": told.step_id,
                "inngest.step.op": told.step_op,
                "inngest.step.attempt": told.attempt if isinstance(told.attempt, int) else "",
            }
        ),
        status=_status(told),
    )
    yield made
    for child in told.children:
        yield from _spans(child, made, run)


def _status(span: SpanV2) -> otlp.SpanStatus:
    if span.status is SpanStatus.FAILED:
        return otlp.SpanStatus(otlp.ERROR, span.detail)
    return otlp.SpanStatus(otlp.OK if span.status is SpanStatus.COMPLETED else 0)


def _ms(instant: str | msgspec.UnsetType) -> int:
    return parse_date_ms(instant) if isinstance(instant, str) else 0


def _ns(at_ms: int) -> str:
    return str(at_ms * _NS_IN_MS)


def _id(run_id: str, what: str) -> str:
    return hashlib.sha256(f"{run_id}/{what}".encode()).hexdigest()[:16]
