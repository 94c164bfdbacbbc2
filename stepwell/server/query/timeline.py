"""A run told in order of time: what it did, what went wrong, and what it waits for.

Pure: rows in, spans out. The terminal draws them. A run that does not
move says why.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from stepwell.server.engine.name.held import app_of
from stepwell.server.engine.name.lease_id import step_name
from stepwell.server.engine.row.annotation import Annotation
from stepwell.server.engine.row.run import (
    STEP_WAITS,
    Item,
    ItemKind,
    Lease,
    Note,
    Run,
    RunStatus,
    Step,
    Wait,
    WaitKind,
)
from stepwell.server.query.annotation import (
    MetadataV2,
    UserlandV2,
    UserSpan,
    input_of,
    metadata_of,
    user_spans,
    userland_v2,
)
from stepwell.server.query.other_code import CodeV2, code_v2
from stepwell.server.query.rest import Hindrance, Reach, Rest, rest
from stepwell.wire.duration import format_instant
from stepwell.wire.failure import decode_failure
from stepwell.wire.function_config import NO_CODE, Code


class SpanStatus(StrEnum):
    """Where a piece of a run stands in the words of trace spans."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Awaited(msgspec.Struct, frozen=True, omit_defaults=True):
    """What ends a wait, besides its time: an event that satisfies a condition, a signal, or the end
    of a run; a sleep has none of them."""

    until_ms: int
    event: str = ""
    condition: str = ""
    signal: str = ""
    run_id: str = ""


class Span(msgspec.Struct, frozen=True, omit_defaults=True):
    """One bar of the timeline. Times are milliseconds since 1970, 0 for what has not happened.

    `detail` is a sentence for people; `output` is JSON, and so is `input`, the list of a step's
    arguments; `rest` says why work that is due is not done; `awaited`, what ends an open wait;
    `metadata` is what was said of it; `userland` is there for a span of user code.
    """

    name: str
    kind: str
    status: SpanStatus
    step_id: str = ""
    attempt: int = 0
    queued_ms: int = 0
    started_ms: int = 0
    ended_ms: int = 0
    detail: str = ""
    output: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    children: tuple["Span", ...] = ()
    rest: Rest | None = None
    awaited: Awaited | None = None
    metadata: tuple[MetadataV2, ...] = ()
    userland: UserlandV2 | msgspec.UnsetType = msgspec.UNSET
    code: CodeV2 | msgspec.UnsetType = msgspec.UNSET


class Rows(msgspec.Struct, frozen=True):
    """Everything stored about one run, and how its app can be reached now."""

    run: Run
    steps: Sequence[Step] = ()
    notes: Sequence[Note] = ()
    items: Sequence[Item] = ()
    leases: Sequence[Lease] = ()
    waits: Sequence[Wait] = ()
    reach: Reach | None = None
    now_ms: int = 0
    limits: Mapping[str, Rest] = {}
    """Calls that wait for a limit, by the key of their item."""
    annotations: Sequence[Annotation] = ()
    code: Code = NO_CODE
    """The code that its function has now."""


_RUN_STATUS = {
    RunStatus.SCHEDULED: SpanStatus.QUEUED,
    RunStatus.RUNNING: SpanStatus.RUNNING,
    RunStatus.COMPLETED: SpanStatus.COMPLETED,
    RunStatus.FAILED: SpanStatus.FAILED,
    RunStatus.CANCELLED: SpanStatus.CANCELLED,
}
_SHORT_ID_CHARS = 8
ATTEMPT = "attempt"
"""The kind of a try that failed."""
USERLAND = "userland"
"""The kind of a span of user code."""
USER_DEPTH_MAX = 50
"""Spans of user code that stand deeper within each other are not shown."""


def timeline(rows: Rows) -> Span:
    """The run as one span, with a child for each step, failed attempt and open question."""
    run = rows.run
    names = {step.name for step in rows.steps}
    loose = [note for note in rows.notes if note.name not in names]
    children = [
        *(_step_span(step, rows.notes) for step in rows.steps),
        *(_attempt(note, note.name or "function") for note in loose),
    ]
    children.sort(key=_began)
    open_ends = [*_waits(rows.waits, run), *_items(rows)]
    spans = (*children, *open_ends)
    if rows.annotations:
        spans = with_user_spans(
            [_described(span, rows.annotations) for span in spans], rows.annotations
        )
    return Span(
        name=run.function,
        kind="run",
        status=_RUN_STATUS[run.status],
        queued_ms=run.queued_ms,
        started_ms=run.started_ms,
        ended_ms=run.ended_ms,
        detail=_why(run, open_ends),
        output=msgspec.UNSET if run.output is None else msgspec.Raw(run.output),
        children=spans,
        metadata=metadata_of(rows.annotations, ""),
        code=code_v2(run, rows.code),
    )


def with_user_spans(spans: Iterable[Span], said: Sequence[Annotation]) -> tuple[Span, ...]:
    """The spans with those of user code: under their step, or beside the steps."""
    users = user_spans(said)
    if not users:
        return tuple(spans)
    under: defaultdict[str, list[UserSpan]] = defaultdict(list)
    known = {user.id for _, user in users}
    tops: defaultdict[str, list[UserSpan]] = defaultdict(list)
    for step_id, user in users:
        (under[user.parent] if user.parent in known else tops[step_id]).append(user)

    def made(span: UserSpan, above: frozenset[str]) -> Span:
        inside = [one for one in under[span.id] if one.id not in above]
        inside = inside if len(above) < USER_DEPTH_MAX else []
        return _user_span(span, tuple(made(one, above | {one.id}) for one in inside))

    found: list[Span] = []
    for span in spans:
        mine = tops.pop(span.step_id, ()) if span.step_id else ()
        added = tuple(made(one, frozenset({one.id})) for one in mine)
        found.append(msgspec.structs.replace(span, children=(*span.children, *added)))
    rest = (made(one, frozenset({one.id})) for several in tops.values() for one in several)
    return (*found, *rest)


def _user_span(span: UserSpan, children: tuple[Span, ...]) -> Span:
    ended = SpanStatus.FAILED if span.failed else SpanStatus.COMPLETED
    return Span(
        name=span.name,
        kind=USERLAND,
        status=ended if span.ended_ms else SpanStatus.RUNNING,
        started_ms=span.begun_ms,
        ended_ms=span.ended_ms,
        detail=span.message,
        children=children,
        userland=userland_v2(span),
    )


def _described(span: Span, said: Sequence[Annotation]) -> Span:
    """The span with what was said of its step, and with what that was handed."""
    if not span.step_id and span.kind != ATTEMPT:
        return span
    found, given = metadata_of(said, span.step_id) if span.step_id else (), span.input
    if given is msgspec.UNSET:
        given = msgspec.Raw(input_of(said, span.step_id, span.name)) or msgspec.UNSET
    return msgspec.structs.replace(span, metadata=found, input=given)


def _began(span: Span) -> int:
    return span.started_ms or span.queued_ms


def _step_span(step: Step, notes: Iterable[Note]) -> Span:
    failure = _failure_of(step.memo)
    tries = tuple(_attempt(note, step.name) for note in notes if note.name == step.name)
    return Span(
        name=step.name,
        kind=step.op,
        status=SpanStatus.COMPLETED if failure is None else SpanStatus.FAILED,
        step_id=step.id,
        attempt=step.attempt,
        started_ms=step.began_ms,
        ended_ms=step.ended_ms,
        detail=failure or "",
        output=msgspec.Raw(step.memo),
        input=msgspec.Raw(step.input) if step.input else msgspec.UNSET,
        children=tries,
    )


def _attempt(note: Note, name: str) -> Span:
    failure = decode_failure(note.body)
    return Span(
        name=name,
        kind=ATTEMPT,
        status=SpanStatus.FAILED,
        step_id=note.step_id,
        attempt=note.attempt,
        started_ms=note.at_ms,
        ended_ms=note.at_ms,
        detail=failure.told,
        output=msgspec.Raw(note.body),
    )


def _failure_of(memo: bytes) -> str | None:
    """What a failed step tells; None for one that went well."""
    if not memo.startswith(b'{"error":'):
        return None
    failure = decode_failure(memo[len(b'{"error":') : -1])
    return failure.told


def _waits(waits: Iterable[Wait], run: Run) -> list[Span]:
    return [
        Span(
            name=wait.label or wait.name,
            kind=wait.kind.name.lower(),
            status=SpanStatus.WAITING,
            step_id=wait.step_id,
            started_ms=wait.opened_ms,
            detail=_waiting_for(wait),
            awaited=_awaited(wait),
        )
        for wait in waits
        if wait.kind in STEP_WAITS and wait.run_id == run.id
    ]


def _awaited(wait: Wait) -> Awaited:
    match wait.kind:
        case WaitKind.SIGNAL:
            return Awaited(wait.until_ms, signal=wait.name)
        case WaitKind.INVOKE:
            return Awaited(wait.until_ms, run_id=wait.name)
        case _:
            return Awaited(wait.until_ms, wait.name, wait.condition)


# The rest hangs on a run without holding it up: cancellations to come, deferrals.
def _waiting_for(wait: Wait) -> str:
    until = f", until {format_instant(wait.until_ms)}"
    match wait.kind:
        case WaitKind.EVENT:
            condition = f" with {wait.condition}" if wait.condition else ""
            return f"waits for an event {wait.name}{condition}{until}"
        case WaitKind.SIGNAL:
            return f"waits for the signal {wait.name}{until}"
        case WaitKind.INVOKE:
            return f"waits for run {wait.name}{until}"
        case WaitKind.CANCEL | WaitKind.DEFER:
            return ""


def _items(rows: Rows) -> list[Span]:
    held = {lease.key: lease for lease in rows.leases}
    told = (ItemKind.CALL, ItemKind.GATEWAY, ItemKind.SLEEP)
    return [_item_span(rows, item, held.get(item.key)) for item in rows.items if item.kind in told]


def _item_span(rows: Rows, item: Item, lease: Lease | None) -> Span:
    if item.kind is ItemKind.SLEEP:
        return Span(
            name=item.detail.decode(errors="replace") or "sleep",
            kind="Sleep",
            status=SpanStatus.WAITING,
            step_id=item.key,
            started_ms=int(item.target) if item.target.isdecimal() else 0,
            detail=f"sleeps until {format_instant(item.due_ms)}",
            awaited=Awaited(item.due_ms),
        )
    known = step_name(item) if item.kind is ItemKind.CALL else ""
    name = f"step {known or item.key[:_SHORT_ID_CHARS]}" if item.key else "function"
    kind = "call" if item.kind is ItemKind.CALL else "fetch"
    attempt = f", attempt {item.attempt + 1}" if item.attempt else ""
    if lease is not None:
        detail = f"is being called since {format_instant(lease.granted_ms)}{attempt}"
        return Span(
            name=name,
            kind=kind,
            status=SpanStatus.RUNNING,
            step_id=item.key,
            attempt=item.attempt,
            queued_ms=item.due_ms,
            started_ms=lease.granted_ms,
            detail=detail,
        )
    found = _rest(rows, item)
    place = f" by app {app_of(item.queue)}" if item.kind is ItemKind.CALL else ""
    when = "now, due since" if rows.now_ms > item.due_ms else "at"
    detail = f"is to be called{place} {when} {format_instant(item.due_ms)}{attempt}"
    return Span(
        name=name,
        kind=kind,
        status=SpanStatus.QUEUED,
        step_id=item.key,
        attempt=item.attempt,
        queued_ms=item.due_ms,
        detail=detail if found is None else f"waits: {found.text}",
        rest=found,
    )


def _rest(rows: Rows, item: Item) -> Rest | None:
    """Why a call is not made that is due. What is put off, because nobody serves it, is due."""
    if rows.reach is None or item.kind is not ItemKind.CALL:
        return None
    found = rest(rows.run, rows.reach)
    limited = rows.limits.get(item.key)
    if limited is not None and (found is None or found.reason is Hindrance.BUSY):
        return limited
    gone = found is not None and found.reason in (Hindrance.FUNCTION_GONE, Hindrance.APP_UNKNOWN)
    return found if gone or item.due_ms <= rows.now_ms else None


def _why(run: Run, open_ends: Sequence[Span]) -> str:
    """Why a run that has not ended stands where it stands; what an ended one failed with."""
    if run.status is RunStatus.FAILED and run.output is not None:
        failure = decode_failure(run.output)
        return failure.told
    if run.ended:
        return ""
    if not open_ends:
        return "nothing will ever move this run: see stepwell doctor"
    return "; ".join(f"{span.name} {span.detail}" for span in open_ends)
