"""The timeline of a run as the trace of the REST API's second version. Pure."""

import hashlib

import msgspec

from stepwell.server.query.annotation import MetadataV2, UserlandV2
from stepwell.server.query.other_code import CodeV2
from stepwell.server.query.timeline import USERLAND, Span, SpanStatus
from stepwell.server.query.v2.run import InstantV2
from stepwell.server.query.v2.spent import SpentV2, spent_v2
from stepwell.wire.duration import format_instant

_OPS = {
    **dict.fromkeys(("run", "attempt", "call", "fetch", USERLAND), ""),
    "event": "WaitForEvent",
    "signal": "WaitForSignal",
    "invoke": "InvokeFunction",
}


class AwaitedV2(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What ends a wait: the time, and before it an event that satisfies a condition, a signal, or
    the end of a run."""

    until: InstantV2
    event: str = ""
    condition: str = ""
    signal: str = ""
    run_id: str = ""


class SpanV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One bar of the timeline; its id stays the same as long as the span is there. `detail` is a
    sentence for people, `waitsFor` what ends an open wait, `input` the list of a step's
    arguments."""

    id: str
    name: str
    status: SpanStatus
    step_id: str = ""
    step_op: str = ""
    attempt: int | msgspec.UnsetType = msgspec.UNSET
    queued_at: InstantV2 | msgspec.UnsetType = msgspec.UNSET
    started_at: InstantV2 | msgspec.UnsetType = msgspec.UNSET
    ended_at: InstantV2 | msgspec.UnsetType = msgspec.UNSET
    duration_ms: int | msgspec.UnsetType = msgspec.UNSET
    detail: str = ""
    waits_for: AwaitedV2 | msgspec.UnsetType = msgspec.UNSET
    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    output: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    metadata: tuple[MetadataV2, ...] = ()
    userland: UserlandV2 | msgspec.UnsetType = msgspec.UNSET
    children: tuple["SpanV2", ...]


class TraceV2(msgspec.Struct, frozen=True, rename="camel"):
    """What a run did, and what it waits for, as spans within spans; where its time went; and the
    code it began under."""

    run_id: str
    root_span: SpanV2
    spent: SpentV2
    code: CodeV2 | msgspec.UnsetType = msgspec.UNSET


def trace_v2(run_id: str, root: Span, now_ms: int, *, with_output: bool) -> TraceV2:
    """A run's spans."""
    told = _span(run_id, root, "", 0, with_output=with_output)
    return TraceV2(run_id, told, spent_v2(root, now_ms), root.code)


def step_op(span: Span) -> str:
    """What kind of step a span is, in the words of the wire; empty where it is none."""
    return _OPS.get(span.kind, span.kind)


def _span(run_id: str, span: Span, parent: str, place: int, *, with_output: bool) -> SpanV2:
    id_ = _id(run_id, parent, span, place)
    counted = span.kind not in ("run", "event", "signal", "invoke", "Sleep", USERLAND)
    queued_ms = span.queued_ms or span.started_ms
    took_ms = max(span.ended_ms - (span.started_ms or queued_ms), 0)
    return SpanV2(
        id=id_,
        name=span.name,
        status=span.status,
        step_id=span.step_id,
        step_op=step_op(span),
        attempt=span.attempt if counted else msgspec.UNSET,
        queued_at=_instant(queued_ms),
        started_at=_instant(span.started_ms),
        ended_at=_instant(span.ended_ms),
        duration_ms=took_ms if span.ended_ms else msgspec.UNSET,
        detail=span.detail,
        waits_for=_awaited(span),
        input=_told(span.input) if with_output else msgspec.UNSET,
        output=_told(span.output) if with_output else msgspec.UNSET,
        metadata=span.metadata,
        userland=span.userland,
        children=tuple(
            _span(run_id, child, id_, index, with_output=with_output)
            for index, child in enumerate(span.children)
        ),
    )


def _awaited(span: Span) -> AwaitedV2 | msgspec.UnsetType:
    found = span.awaited
    if found is None:
        return msgspec.UNSET
    until = format_instant(found.until_ms)
    return AwaitedV2(until, found.event, found.condition, found.signal, found.run_id)


def _told(value: msgspec.Raw | msgspec.UnsetType) -> msgspec.Raw | msgspec.UnsetType:
    if isinstance(value, msgspec.UnsetType) or bytes(value) == b"null":
        return msgspec.UNSET
    return value


def _instant(at_ms: int) -> str | msgspec.UnsetType:
    return format_instant(at_ms) if at_ms else msgspec.UNSET


def _id(run_id: str, parent: str, span: Span, place: int) -> str:
    """16 hexadecimal digits, as span ids have. Steps are known by their ids, the rest by place."""
    mark = f"{span.step_id}:{span.attempt}" if span.step_id else str(place)
    text = f"{run_id}/{parent}/{span.kind}/{mark}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:16]
