"""How much of a function's own limits is in use, by key, in the shape of the REST API's second
version. Pure but for what the reader reads. The same numbers decide when a call begins
(`engine/places/room.py`)."""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from stepwell.server.engine.name.lane import PartKind, is_lane, lane_of
from stepwell.server.engine.row.run import ItemKind, RunStatus
from stepwell.server.flow import bucket
from stepwell.server.flow.concurrency import UNLIMITED, limit_of
from stepwell.server.flow.plan import Plan
from stepwell.server.query.not_started import key_value
from stepwell.server.query.v2.load import LoadV2
from stepwell.server.query.v2.run import InstantV2
from stepwell.server.store.port import Reader, RunFilter
from stepwell.wire.duration import format_instant

RUNS_MAX = 200
"""So many runs that go on are looked at for their keys, the oldest first."""
KEYS_MAX = 20
WAITING_MAX = 1_000
"""So many runs that wait under one key are counted."""


class OptionV2(StrEnum):
    """Which option of a function a limit is."""

    CONCURRENCY = "concurrency"
    RUN_CONCURRENCY = "runConcurrency"
    THROTTLE = "throttle"


class KeyUsageV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One limit and one value of its key (empty if it has none): how much is in use of how much,
    and how many runs wait. Of a throttle, what is in use are starts that are not there again yet;
    `nextAt` is when the next one is."""

    option: OptionV2
    key: str = ""
    in_use: int
    limit: int
    waiting: int
    next_at: InstantV2 | msgspec.UnsetType = msgspec.UNSET


class UsageV2(msgspec.Struct, frozen=True):
    """What a function has to do now, and how full its limits are, the fullest first."""

    load: LoadV2
    limits: tuple[KeyUsageV2, ...]


class _Place(NamedTuple):
    kind: PartKind
    key: str
    entry: int
    mark: str
    function: str


_OPTIONS = {
    PartKind.STEP: OptionV2.CONCURRENCY,
    PartKind.RUN: OptionV2.RUN_CONCURRENCY,
    PartKind.THROTTLE: OptionV2.THROTTLE,
}


def key_usage(reader: Reader, function: str, plan: Plan, now_ms: int) -> tuple[KeyUsageV2, ...]:
    """The limits of a function that its runs stand under now."""
    waiting: dict[_Place, int] = {}
    for queue in _lanes(reader, function):
        runs = len(reader.due_runs(queue, now_ms + 1, WAITING_MAX))
        lane = lane_of(queue)
        for index, part in lane.numbered:
            if part.kind in _OPTIONS:
                place = _Place(part.kind, part.key, index, part.mark, function)
                waiting[place] = waiting.get(place, 0) + runs
    told = (_usage(reader, place, runs, plan, now_ms) for place, runs in waiting.items())
    found = [one for one in told if one is not None]
    found.sort(key=lambda one: (-one.waiting, -one.in_use / one.limit, one.option, one.key))
    return tuple(found[:KEYS_MAX])


def _lanes(reader: Reader, function: str) -> list[str]:
    wanted = RunFilter(
        statuses=(RunStatus.SCHEDULED, RunStatus.RUNNING),
        functions=(function,),
        ascending=True,
        limit=RUNS_MAX,
    )
    items = (item for run in reader.runs(wanted) for item in reader.items(run.id))
    queues = (item.queue for item in items if item.kind is ItemKind.CALL)
    return [queue for queue in dict.fromkeys(queues) if is_lane(queue)]


def _usage(
    reader: Reader, place: _Place, waiting: int, plan: Plan, now_ms: int
) -> KeyUsageV2 | None:
    next_at: str | msgspec.UnsetType = msgspec.UNSET
    match place.kind:
        case PartKind.STEP:
            in_use = len(reader.leases_under(place.key))
            limit = limit_of(plan.steps, place.mark, place.entry)
        case PartKind.RUN:
            in_use = len(reader.slots(place.key))
            limit = limit_of(plan.runs, place.mark, place.entry)
        case _ if plan.throttle is not None:
            row = reader.flow_key(place.key)
            value, of = 0 if row is None else row.value, plan.throttle.bucket
            limit = of.capacity
            in_use = limit - bucket.free(of, value, now_ms)
            taken = bucket.take(of, value, now_ms)
            next_at = msgspec.UNSET if taken.admitted else format_instant(taken.next_ms)
        case _:
            return None
    if limit >= UNLIMITED:
        return None
    return KeyUsageV2(
        option=_OPTIONS[place.kind],
        key=key_value(place.key, place.function),
        in_use=in_use,
        limit=limit,
        waiting=waiting,
        next_at=next_at,
    )
