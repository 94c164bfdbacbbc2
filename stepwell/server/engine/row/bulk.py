"""Something that is done to many runs, as a row: to which, how fast, and how far it has come."""

from typing import Literal, TypeAlias

import msgspec

from stepwell.server.engine.row.flow import DropReason

BulkAction: TypeAlias = Literal["cancel", "rerun", "replay"]
BulkTime: TypeAlias = Literal["queuedAt", "startedAt", "endedAt"]

BULKS_KEPT = 1_000
"""So many are remembered, besides those that go on."""


class BulkFilter(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Runs that were queued (or started, or ended, as `time` says) from `since_ms` on and before
    `until_ms`, with one of these statuses (their numbers), functions and apps, that satisfy
    `query`; empty is any. Of what is replayed: events that the one function skipped in that time,
    for one of these `reasons`."""

    until_ms: int
    since_ms: int = 0
    statuses: tuple[int, ...] = ()
    functions: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    query: str = ""
    reasons: tuple[DropReason, ...] = ()
    time: BulkTime = "queuedAt"


class BulkMove(msgspec.Struct, frozen=True, gc=False):
    """How far a bulk has come: the place of the run it looked at last (the time that the filter is
    about, and its id), how many runs it was done to, and how many refused."""

    at_ms: int = 0
    run_id: str = ""
    done: int = 0
    refused: int = 0


class Bulk(msgspec.Struct, frozen=True, gc=False):
    """Runs are cancelled, or run again, or events that were skipped start theirs (`replay`), `rate`
    of them a second at most. The time that the filter ends with has passed, so no more of them will
    come. `ended_ms` is 0 as long as it goes on; `stopped` says that somebody ended it before its
    end. `total` is how many there were when it was asked for, or at least (`more`)."""

    id: str
    action: BulkAction
    filter: BulkFilter
    rate: int
    asked_ms: int
    asked_by: str
    total: int
    more: bool = False
    moved: BulkMove = BulkMove()
    ended_ms: int = 0
    stopped: bool = False
