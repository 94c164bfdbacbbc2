"""A run ends: its output is kept, its parent resumes, and the lifecycle events go out.

Lifecycle events are stored only where somebody can hear them; for everyone else the run itself
tells the same.
"""

from collections.abc import Iterable

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.deferral import deferred, told
from stepwell.server.engine.life.resume import resume
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.message.input import Broke
from stepwell.server.engine.row.event import event_row
from stepwell.server.engine.row.run import EventRow, Run, RunStatus, Wait
from stepwell.wire.event import (
    FUNCTION_CANCELLED,
    FUNCTION_FAILED,
    FUNCTION_FINISHED,
    Event,
    decode_event,
)
from stepwell.wire.event_session import run_meta
from stepwell.wire.failure import Failure, encode_failure, encode_failure_memo
from stepwell.wire.identifier import derived_ulid
from stepwell.wire.lifecycle import (
    FAILED,
    Deferral,
    Ended,
    deferred_schedule,
    function_cancelled,
    function_failed,
    function_finished,
)

NULL = b"null"
ENDS = frozenset({FUNCTION_FINISHED, FUNCTION_FAILED})
"""What is told of a run that came to its end by itself."""


def complete(draft: Draft, run: Run, output: bytes) -> None:
    """The function returned."""
    _end(draft, run, RunStatus.COMPLETED, output or NULL, None)


def fail(draft: Draft, run: Run, broke: Broke) -> None:
    """The function failed for good."""
    draft.announce(Topic.RUN_FAILED, run.id)
    _end(draft, run, RunStatus.FAILED, broke.output, broke)


def fail_with(draft: Draft, run: Run, name: str, message: str) -> None:
    """The engine itself ends the run: a limit, an invalid wait. Never tried again."""
    fail_as(draft, run, Failure(name=name, message=message))


def fail_as(draft: Draft, run: Run, failure: Failure) -> None:
    """The same, for a failure somebody else described."""
    fail(draft, run, Broke(failure, encode_failure(failure), no_retry=True))


def cancelled(draft: Draft, run: Run) -> None:
    """The run was told to stop."""
    _end(draft, run, RunStatus.CANCELLED, None, None)


def _end(
    draft: Draft, run: Run, status: RunStatus, output: bytes | None, broke: Broke | None
) -> None:
    ended = msgspec.structs.replace(
        run,
        status=status,
        started_ms=run.started_ms or draft.now.ms,
        ended_ms=draft.now.ms,
        output=output,
        pending=(),
        again=False,
    )
    left = deferred(draft.waits_of(run.id))
    draft.end(ended)
    for wait in left:
        _emit_deferred(draft, ended, wait)
    _resume_parents(draft, ended, broke)
    if not run.quiet:
        _emit_lifecycle(draft, ended, broke)


def _emit_deferred(draft: Draft, run: Run, wait: Wait) -> None:
    """A deferral that survived to the end of its run becomes an event."""
    event_id = derived_ulid(draft.now.ms, run.id, wait.step_id)
    deferral = Deferral(
        fn_slug=wait.name,
        parent_app_id=run.app,
        parent_fn_slug=run.function,
        parent_run_id=run.id,
        defer_id=wait.step_id,
        defer_name=wait.label,
    )
    data, meta = told(wait)
    if meta is None:
        meta = _meta(draft.bodies(run.event_ids))
    elif bytes(meta) == b"{}":
        meta = None
    event = deferred_schedule(event_id, draft.now.ms, deferral, data=data, meta=meta)
    draft.emit(event_row(event_id, event, draft.now.ms))


def _resume_parents(draft: Draft, run: Run, broke: Broke | None) -> None:
    """A run has several where events that invoke it were held together."""

    def resume_one(place: str) -> None:
        parent_id, _, step_id = place.partition(".")
        parent = draft.run(parent_id)
        wait = None if parent is None else draft.wait(parent_id, step_id)
        if parent is None or parent.ended or wait is None or draft.has_ended(parent_id):
            return
        resume(draft, parent, wait, _child_memo(run, broke))

    draft.each(run.parent.split(",") if run.parent else (), resume_one)


def _child_memo(run: Run, broke: Broke | None) -> bytes:
    if run.status is RunStatus.COMPLETED:
        return b'{"data":' + (run.output or NULL) + b"}"
    if broke is not None:
        return bytes(encode_failure_memo(broke.failure, error=_cause(broke)))
    return bytes(encode_failure_memo(Failure(name="Error", message="function cancelled")))


def _emit_lifecycle(draft: Draft, run: Run, broke: Broke | None) -> None:
    heard = [name for name in _NAMES[run.status] if is_heard(draft, name)]
    if not heard:
        return
    bodies = draft.bodies(run.event_ids)
    triggers = tuple(msgspec.Raw(event.body) for event in bodies)
    if not triggers:
        return
    ended = Ended(
        function_id=run.function,
        run_id=run.id,
        trigger=triggers[0],
        triggers=tuple(msgspec.Raw(_without_user(bytes(trigger))) for trigger in triggers),
        status=run.status.word,
        result=None if run.output is None else msgspec.Raw(run.output),
        failure=None if broke is None else broke.failure,
        failure_cause=_cause(broke),
        correlation_id=run.parent.partition(",")[0],
        meta=_meta(bodies),
    )
    for name in heard:
        event_id = derived_ulid(draft.now.ms, run.id, name)
        draft.emit(event_row(event_id, _told(draft, name, event_id, ended), draft.now.ms))


def never_begun(draft: Draft, event: EventRow, failure: Failure, correlation_id: str = "") -> None:
    """An invocation that no function answers: whoever listens for ends is told so.

    There is no function and no run to name."""
    if not is_heard(draft, FUNCTION_FINISHED):
        return
    body = msgspec.Raw(event.body)
    ended = Ended(
        function_id="",
        run_id="",
        trigger=body,
        triggers=(msgspec.Raw(_without_user(event.body)),),
        status=FAILED,
        failure=failure,
        correlation_id=correlation_id,
        meta=_meta((event,)),
    )
    event_id = derived_ulid(draft.now.ms, event.id, FUNCTION_FINISHED)
    told = function_finished(event_id, draft.now.ms, ended)
    draft.emit(event_row(event_id, told, draft.now.ms))


def _meta(events: Iterable[EventRow]) -> msgspec.Raw | None:
    """What is told about a run belongs to the sessions of its events."""
    found = (decode_event(row.body).meta for row in events if b'"sessions":' in row.body)
    return run_meta(meta for meta in found if meta is not None)


def _told(draft: Draft, name: str, event_id: str, ended: Ended) -> Event:
    if name == FUNCTION_FINISHED:
        return function_finished(event_id, draft.now.ms, ended)
    if name == FUNCTION_FAILED:
        return function_failed(draft.now.ms, ended)
    return function_cancelled(draft.now.ms, ended)


_EMPTY_USER = b',"user":{}'


def _without_user(body: bytes) -> bytes:
    """An event as it stands in the list `events`, where an empty user is not told."""
    head, found, tail = body.rpartition(_EMPTY_USER)
    return head + tail if found and tail[:5] in (b"}", b',"v":') else body


def _cause(broke: Broke | None) -> str:
    if broke is None:
        return ""
    return "NonRetriableError" if broke.no_retry else broke.reason


def is_heard(draft: Draft, event_name: str) -> bool:
    """Whether any function listens to an internal event, or any run waits for it."""
    return bool(draft.view.catalog.listeners(event_name)) or draft.view.is_waited(event_name)


_NAMES = {
    RunStatus.COMPLETED: (FUNCTION_FINISHED,),
    RunStatus.FAILED: (FUNCTION_FAILED, FUNCTION_FINISHED),
    RunStatus.CANCELLED: (FUNCTION_CANCELLED, FUNCTION_FINISHED),
}
