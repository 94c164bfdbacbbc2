"""What is done to many runs, in the shape of the REST API's second version. Pure."""

from enum import StrEnum

import msgspec

from stepwell.server.engine.row.bulk import Bulk, BulkTime
from stepwell.server.engine.row.flow import DropReason
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.query.v2.run import InstantV2, StatusV2, status_v2
from stepwell.wire.duration import format_instant


class BulkActionV2(StrEnum):
    """What is done to each run; to `replay` is to let each event that a function skipped start its
    run after all."""

    CANCEL = "cancel"
    RERUN = "rerun"
    REPLAY = "replay"


class BulkStatusV2(StrEnum):
    """Whether it goes on, was done to all runs, or was stopped by hand before that."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"


class BulkFilterV2(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    rename={
        "app_id": "appId",
        "function_id": "functionId",
        "time_field": "timeField",
        "since": "from",
    },
):
    """Which runs: those that `GET /runs` lists with the same words: `from` and `until` are about
    `timeField`, which is `queuedAt` where it is not given. What `session` asks for is told as part
    of `query`. To `replay`, one `functionId` is named, `from` and `until` are about the time at
    which an event was skipped, and `reason` is why."""

    status: tuple[StatusV2, ...] = ()
    app_id: tuple[str, ...] = ()
    function_id: tuple[str, ...] = ()
    since: InstantV2 | msgspec.UnsetType = msgspec.UNSET
    until: InstantV2 | msgspec.UnsetType = msgspec.UNSET
    time_field: BulkTime = "queuedAt"
    query: str = ""
    session: tuple[str, ...] = ()
    reason: tuple[DropReason, ...] = ()


class BulkCountV2(msgspec.Struct, frozen=True):
    """How many runs there are; `more` says that there are more than were counted."""

    count: int
    more: bool


class BulkV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Something that is done to many runs. Of `total` runs (more, if `more`) it was `done` to so
    many, and so many `refused`: their function is gone, or they had ended."""

    id: str
    action: BulkActionV2
    filter: BulkFilterV2
    rate: int
    status: BulkStatusV2
    total: int
    more: bool = False
    done: int
    refused: int
    created_at: InstantV2
    created_by: str
    ended_at: InstantV2 | msgspec.UnsetType = msgspec.UNSET


def bulk_v2(bulk: Bulk) -> BulkV2:
    """A bulk as v2 tells it."""
    status = BulkStatusV2.RUNNING
    if bulk.ended_ms:
        status = BulkStatusV2.STOPPED if bulk.stopped else BulkStatusV2.COMPLETED
    wanted = bulk.filter
    return BulkV2(
        id=bulk.id,
        action=BulkActionV2(bulk.action),
        filter=BulkFilterV2(
            status=tuple(status_v2(RunStatus(number)) for number in wanted.statuses),
            app_id=wanted.apps,
            function_id=wanted.functions,
            since=format_instant(wanted.since_ms) if wanted.since_ms else msgspec.UNSET,
            until=format_instant(wanted.until_ms),
            time_field=wanted.time,
            query=wanted.query,
            reason=wanted.reasons,
        ),
        rate=bulk.rate,
        status=status,
        total=bulk.total,
        more=bulk.more,
        done=bulk.moved.done,
        refused=bulk.moved.refused,
        created_at=format_instant(bulk.asked_ms),
        created_by=bulk.asked_by,
        ended_at=format_instant(bulk.ended_ms) if bulk.ended_ms else msgspec.UNSET,
    )
