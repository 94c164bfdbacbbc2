"""A run ends: its output is kept, its parent resumes, and the lifecycle events go out.

Source: http.md 6.12, server.md 3.10. Lifecycle events are stored only where somebody can hear
them; for everyone else the run itself tells the same.
"""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.input import Broke
from stepwell.server.engine.resume import resume
from stepwell.server.engine.row import EventRow, Run, RunStatus
from stepwell.wire.event import (
    FUNCTION_CANCELLED,
    FUNCTION_FAILED,
    FUNCTION_FINISHED,
    Lifecycle,
    lifecycle_event,
)
from stepwell.wire.failure import Failure, encode_failure, error_memo
from stepwell.wire.identifier import derived_ulid

NULL = b"null"


def complete(draft: Draft, run: Run, output: bytes) -> None:
    """The function returned."""
    _end(draft, run, RunStatus.COMPLETED, output or NULL, None)


def fail(draft: Draft, run: Run, broke: Broke) -> None:
    """The function failed for good."""
    _end(draft, run, RunStatus.FAILED, broke.output, broke)


def fail_with(draft: Draft, run: Run, name: str, message: str) -> None:
    """The engine itself ends the run: a limit, an invalid wait. Never tried again."""
    failure = Failure(name=name, message=message)
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
    draft.end(ended)
    _resume_parent(draft, ended, broke)
    if not run.quiet:
        _emit_lifecycle(draft, ended, broke)


def _resume_parent(draft: Draft, run: Run, broke: Broke | None) -> None:
    if not run.parent:
        return
    parent_id, _, step_id = run.parent.partition(".")
    parent = draft.run(parent_id)
    wait = None if parent is None else draft.view.wait(parent_id, step_id)
    if parent is None or parent.ended or wait is None or draft.has_ended(parent_id):
        return
    resume(draft, parent, wait, _child_memo(run, broke))


def _child_memo(run: Run, broke: Broke | None) -> bytes:
    if run.status is RunStatus.COMPLETED:
        return b'{"data":' + (run.output or NULL) + b"}"
    if broke is not None:
        return error_memo(broke.failure)
    return error_memo(Failure(name="Error", message="function cancelled"))


def _emit_lifecycle(draft: Draft, run: Run, broke: Broke | None) -> None:
    names = {
        RunStatus.COMPLETED: (FUNCTION_FINISHED,),
        RunStatus.FAILED: (FUNCTION_FAILED, FUNCTION_FINISHED),
        RunStatus.CANCELLED: (FUNCTION_CANCELLED, FUNCTION_FINISHED),
    }[run.status]
    heard = [name for name in names if is_heard(draft, name)]
    if not heard:
        return
    bodies = [draft.body(event_id) for event_id in run.event_ids]
    triggers = tuple(event.body for event in bodies if event is not None)
    for name in heard:
        draft.emit(_lifecycle_row(draft, run, broke, name, triggers))


def is_heard(draft: Draft, event_name: str) -> bool:
    """Whether any function listens to an internal event, or any run waits for it."""
    return bool(draft.view.catalog.listeners(event_name)) or event_name in draft.view.waited


def _lifecycle_row(
    draft: Draft, run: Run, broke: Broke | None, name: str, triggers: tuple[bytes, ...]
) -> EventRow:
    is_finished = name == FUNCTION_FINISHED
    event_id = derived_ulid(draft.now.ms, run.id, name) if is_finished else run.id
    told = Lifecycle(
        name=name,
        id=event_id,
        ts=draft.now.ms,
        function_id=run.function,
        run_id=run.id,
        status=run.status.word,
        events=triggers,
        result=run.output,
        failure=None if broke is None else broke.failure,
        no_retry=broke is not None and broke.no_retry,
        correlation_id=run.parent,
    )
    stored_id = event_id if is_finished else derived_ulid(draft.now.ms, run.id, name)
    return EventRow(
        id=stored_id,
        name=name,
        ts=draft.now.ms,
        received_ms=draft.now.ms,
        body=lifecycle_event(told),
    )
