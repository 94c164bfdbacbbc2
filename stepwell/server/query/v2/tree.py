"""The runs that a run began, those that these began, and the run that began it: one tree, in the
shape of the REST API's second version. Pure but for what the reader reads.

No row says which runs a run began. The ids of the events that begin them follow from what is
stored of it, and an event knows its runs.
"""

from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

import msgspec

from stepwell.server.engine.row.run import EventRow, Run, RunStatus, WaitKind
from stepwell.server.query.v2.defer import sent_of
from stepwell.server.query.v2.run import RunV2, runs_v2
from stepwell.server.store.port import Reader
from stepwell.wire.event import DEFERRED_SCHEDULE, FUNCTION_FAILED, FUNCTION_INVOKED
from stepwell.wire.identifier import derived_ulid
from stepwell.wire.outside import decode

RUNS_MAX = 100
"""A tree shows so many runs."""
ABOVE_MAX = 64
"""So many runs above one are looked for."""
_INVOKE = "InvokeFunction"


class How(StrEnum):
    """How a run came of another: a step invoked it, it was left to be started at its end, or it
    handles its failure."""

    INVOKED = "invoked"
    DEFERRED = "deferred"
    FAILED = "failed"


class TreeRunV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A run of a tree, and the runs that came of it, the first to be queued first. `stepId`
    (hashed) and `stepName` tell the step that invoked it."""

    run: RunV2
    how: How | msgspec.UnsetType = msgspec.UNSET
    step_id: str = ""
    step_name: str = ""
    children: tuple["TreeRunV2", ...] = ()


class TreeV2(msgspec.Struct, frozen=True, rename="camel"):
    """Where a run stands among runs that began each other: from the topmost on. `isCut` says that
    there are more, or that looking for them took too long."""

    run_id: str
    root: TreeRunV2
    is_cut: bool


class _Came(NamedTuple):
    """A run, and how it came of the one above it."""

    run: Run
    how: How | None = None
    step_id: str = ""
    step_name: str = ""


class _Origin(msgspec.Struct):
    """What events of the server say of the run they come of, each in a field of its own."""

    parent_run_id: str = ""


class _Data(msgspec.Struct):
    run_id: object = ""
    inner: _Origin = msgspec.field(default_factory=_Origin, name="_inngest")


class _Body(msgspec.Struct):
    data: _Data = msgspec.field(default_factory=_Data)


_BODY = msgspec.json.Decoder(_Body)


def tree_v2(reader: Reader, run: Run, goes_on: Callable[[], bool]) -> TreeV2:
    """The tree that a run is part of. No further run is looked for once `goes_on` says no."""
    top = _top(reader, run)
    found = {top.id: _Came(top)}
    under: dict[str, list[str]] = {}
    ahead, is_cut = deque([top]), False
    while ahead:
        above = ahead.popleft()
        for came in _children(reader, above):
            if came.run.id in found:
                continue
            if len(found) >= RUNS_MAX or not goes_on():
                is_cut = True
                ahead.clear()
                break
            found[came.run.id] = came
            under.setdefault(above.id, []).append(came.run.id)
            ahead.append(came.run)
    shown = {told.id: told for told in runs_v2(reader, [came.run for came in found.values()])}
    return TreeV2(run.id, _node(found, under, shown, top.id), is_cut)


def _node(
    found: dict[str, _Came], under: dict[str, list[str]], shown: dict[str, RunV2], run_id: str
) -> TreeRunV2:
    came = found[run_id]
    return TreeRunV2(
        run=shown[run_id],
        how=came.how or msgspec.UNSET,
        step_id=came.step_id,
        step_name=came.step_name,
        children=tuple(_node(found, under, shown, one) for one in under.get(run_id, ())),
    )


def _top(reader: Reader, run: Run) -> Run:
    """The run that nothing above began, as far as it is still kept."""
    seen = {run.id}
    for _ in range(ABOVE_MAX):
        above = _above(reader, run)
        if above is None or above.id in seen:
            break
        seen.add(above.id)
        run = above
    return run


def _above(reader: Reader, run: Run) -> Run | None:
    if run.parent:
        return reader.run(run.parent.partition(".")[0])
    event = reader.event(run.event_ids[0]) if run.event_ids else None
    if event is None or event.name not in (DEFERRED_SCHEDULE, FUNCTION_FAILED):
        return None
    named = _named(event)
    return reader.run(named) if named else None


def _named(event: EventRow) -> str:
    """The run that an event of the server comes of; empty if it names none."""
    try:
        data = decode(event.body, _BODY).data
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    named = data.inner.parent_run_id if event.name == DEFERRED_SCHEDULE else data.run_id
    return named if isinstance(named, str) else ""


def _children(reader: Reader, run: Run) -> Iterator[_Came]:
    """The runs that one began itself."""
    invoked = [
        (one.began_ms, one.id, one.name) for one in reader.steps(run.id) if one.op == _INVOKE
    ]
    invoked += [
        (one.opened_ms, one.step_id, one.label)
        for one in reader.waits(run.id)
        if one.kind is WaitKind.INVOKE
    ]
    for began_ms, step_id, name in sorted(invoked):
        event_id = derived_ulid(began_ms, f"{run.id}.{step_id}", FUNCTION_INVOKED)
        for child in reader.runs_of_event(event_id):
            yield _Came(child, How.INVOKED, step_id, name)
    if not run.ended:
        return
    for event, _ in sent_of(reader, run):
        for child in reader.runs_of_event(event.id):
            yield _Came(child, How.DEFERRED)
    if run.status is RunStatus.FAILED:
        for child in reader.runs_of_event(derived_ulid(run.ended_ms, run.id, FUNCTION_FAILED)):
            yield _Came(child, How.FAILED)
