"""What a run leaves to be started at its end, and which run left one that was started so, in the
shape of the REST API's second version. Pure but for what the reader reads."""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from stepwell.server.engine.life.deferral import left
from stepwell.server.engine.row.run import EventRow, Run
from stepwell.server.query.v2.run import DeferredFromV2, NamedV2, function_ref
from stepwell.server.store.port import EventFilter, Reader
from stepwell.wire.event import DEFERRED_SCHEDULE, decode_event
from stepwell.wire.lifecycle import Deferral
from stepwell.wire.outside import decode

LOOKED_MAX = 2_000
"""So many deferrals are looked at that were started in the millisecond in which a run ended."""


class DeferStatusV2(StrEnum):
    """Whether a deferral stands, or was taken back."""

    SCHEDULED = "SCHEDULED"
    ABORTED = "ABORTED"


class DeferV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A function that a run left to be started at its end; once it has ended, the event and the run
    that this became. `id` and `name` are those of the deferral in the code."""

    function: NamedV2
    status: DeferStatusV2
    id: str = ""
    name: str = ""
    event_id: str = ""
    run_id: str = ""


class _Data(msgspec.Struct, rename={"deferral": "_inngest"}):
    deferral: Deferral | msgspec.UnsetType = msgspec.UNSET


_DATA = msgspec.json.Decoder(_Data)


def defers_v2(reader: Reader, run: Run) -> list[DeferV2]:
    """What a run leaves; once it has ended, what was started of it."""
    if run.ended:
        return [*_started(reader, run)]
    return [
        DeferV2(
            function=function_ref(one.function),
            status=DeferStatusV2.ABORTED if one.is_taken_back else DeferStatusV2.SCHEDULED,
            id=one.id,
            name=one.name,
        )
        for one in left(reader.waits(run.id))
    ]


def deferred_from_v2(reader: Reader, run: Run) -> DeferredFromV2 | msgspec.UnsetType:
    """The run that left this one to be started, as long as its event is kept."""
    event = reader.event(run.event_ids[0]) if run.deferred and run.event_ids else None
    found = None if event is None else _deferral(event.body)
    if found is None or not found.parent_run_id:
        return msgspec.UNSET
    return DeferredFromV2(found.parent_run_id, function_ref(found.parent_fn_slug))


def sent_of(reader: Reader, run: Run) -> Iterator[tuple[EventRow, Deferral]]:
    """The events that what an ended run left became: they were stored in the moment it ended."""
    at_that_moment = EventFilter(
        name=DEFERRED_SCHEDULE,
        since_ms=run.ended_ms,
        until_ms=run.ended_ms + 1,
        limit=LOOKED_MAX,
    )
    for event in reversed(reader.events(at_that_moment)):
        found = _deferral(event.body)
        if found is not None and found.parent_run_id == run.id:
            yield event, found


def _started(reader: Reader, run: Run) -> Iterator[DeferV2]:
    for event, found in sent_of(reader, run):
        started = reader.runs_of_event(event.id)
        yield DeferV2(
            function=function_ref(found.fn_slug),
            status=DeferStatusV2.SCHEDULED,
            id=found.defer_id or "",
            name=found.defer_name or "",
            event_id=event.id,
            run_id=started[0].id if started else "",
        )


def _deferral(body: bytes) -> Deferral | None:
    try:
        found = decode(decode_event(body).data, _DATA).deferral
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if found is msgspec.UNSET else found
