"""The timeline of a run as the trace of the REST API's second version (server.md 6.4). Pure."""

import hashlib

from stepwell.server.query.timeline import NULL, Span
from stepwell.wire.duration import format_instant

_OPS = {
    **dict.fromkeys(("run", "attempt", "call", "fetch"), ""),
    "event": "WaitForEvent",
    "signal": "WaitForSignal",
    "invoke": "InvokeFunction",
}


def trace_v2(run_id: str, root: Span, *, with_output: bool) -> dict[str, object]:
    """A run's spans, each with an id that stays the same as long as the span is there."""
    return {"runId": run_id, "rootSpan": _span(run_id, root, "", 0, with_output=with_output)}


def _span(
    run_id: str, span: Span, parent: str, place: int, *, with_output: bool
) -> dict[str, object]:
    id_ = _id(run_id, parent, span, place)
    told: dict[str, object] = {"id": id_, "name": span.name, "status": span.status.value}
    step_op = _OPS.get(span.kind, span.kind)
    if span.step_id:
        told["stepId"] = span.step_id
    if step_op:
        told["stepOp"] = step_op
    if span.kind not in ("run", "event", "signal", "invoke", "Sleep"):
        told["attempt"] = span.attempt
    queued_ms = span.queued_ms or span.started_ms
    if queued_ms:
        told["queuedAt"] = format_instant(queued_ms)
    if span.started_ms:
        told["startedAt"] = format_instant(span.started_ms)
    if span.ended_ms:
        told["endedAt"] = format_instant(span.ended_ms)
        told["durationMs"] = max(span.ended_ms - (span.started_ms or queued_ms), 0)
    if span.detail:
        told["detail"] = span.detail
    if with_output and bytes(span.output) != bytes(NULL):
        told["output"] = span.output
    told["children"] = [
        _span(run_id, child, id_, index, with_output=with_output)
        for index, child in enumerate(span.children)
    ]
    return told


def _id(run_id: str, parent: str, span: Span, place: int) -> str:
    """16 hexadecimal digits, as span ids have. Steps are known by their ids, the rest by place."""
    mark = f"{span.step_id}:{span.attempt}" if span.step_id else str(place)
    text = f"{run_id}/{parent}/{span.kind}/{mark}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:16]
