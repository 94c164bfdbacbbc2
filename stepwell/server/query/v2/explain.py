"""Why a run stands where it stands, in the shape of the REST API's second version: the sentence of
`stepwell why`, and what it is made of. Pure."""

import msgspec

from stepwell.server.query.rest import Hindrance
from stepwell.server.query.timeline import Span, SpanStatus
from stepwell.server.query.v2.run import InstantV2, NamedV2, StatusV2
from stepwell.server.query.v2.run_trace import step_op
from stepwell.wire.duration import format_instant

_OPEN = (SpanStatus.QUEUED, SpanStatus.RUNNING, SpanStatus.WAITING)


class OpenV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Something a run is at, or waits for. `reason` is a word for programs where work that is due
    is not done; `since`, since when that is so."""

    name: str
    status: SpanStatus
    text: str
    step_id: str = ""
    step_op: str = ""
    attempt: int = 0
    reason: Hindrance | msgspec.UnsetType = msgspec.UNSET
    since: InstantV2 | msgspec.UnsetType = msgspec.UNSET


class ExplanationV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a run stands where it stands: one sentence, and each thing that is open."""

    run_id: str
    function: NamedV2
    status: StatusV2
    text: str
    open: tuple[OpenV2, ...]


def explanation_v2(run_id: str, function: NamedV2, status: StatusV2, told: Span) -> ExplanationV2:
    """Made of the run's timeline."""
    return ExplanationV2(
        run_id=run_id,
        function=function,
        status=status,
        text=told.detail or told.status.lower(),
        open=tuple(_open(span) for span in told.children if span.status in _OPEN),
    )


def _open(span: Span) -> OpenV2:
    rest = span.rest
    since_ms = (rest.since_ms if rest else 0) or span.started_ms or span.queued_ms
    return OpenV2(
        name=span.name,
        status=span.status,
        text=span.detail,
        step_id=span.step_id,
        step_op=step_op(span),
        attempt=span.attempt,
        reason=rest.reason if rest else msgspec.UNSET,
        since=format_instant(since_ms) if since_ms else msgspec.UNSET,
    )
