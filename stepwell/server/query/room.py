"""Which limit of flow control a call waits for: how much of it is in use, by whom, since when, how
many come first, and what makes room.

Pure but for what the reader reads. The same numbers decide when the call begins (`engine/room.py`).
"""

from collections.abc import Mapping

import msgspec

from stepwell.server.engine.catalog import Listing
from stepwell.server.engine.lane import Lane, Part, PartKind, is_lane, lane_of, pause_key
from stepwell.server.engine.row import Item, ItemKind, Run
from stepwell.server.flow import bucket
from stepwell.server.flow.concurrency import UNLIMITED, limit_of
from stepwell.server.flow.plan import NO_PLAN, Plan
from stepwell.server.query.not_started import key_value
from stepwell.server.query.rest import Hindrance, Rest
from stepwell.server.store.port import Reader
from stepwell.server.store.reading import order_of
from stepwell.wire.duration import format_instant

AHEAD_MAX = 200
"""So many that come first are counted."""


class _Full(msgspec.Struct, frozen=True):
    """A limit without room: what it is, in words, and what makes room."""

    told: str
    frees: str


def rests(
    reader: Reader, run: Run, listing: Listing | None, now_ms: int, items: list[Item]
) -> Mapping[str, Rest]:
    """Why calls of a run wait for flow control, by the key of their item."""
    if listing is None or run.ended:
        return {}
    found: dict[str, Rest] = {}
    begun = {lease.key for lease in reader.leases(run.id)}
    paused = _paused(reader, run.function)
    for item in items if paused is None else ():
        if item.kind is not ItemKind.CALL or item.key in begun or not is_lane(item.queue):
            continue
        lane = lane_of(item.queue)
        if item.due_ms > now_ms and not lane.is_ranked:
            continue
        full = _full(reader, lane, listing.plan or NO_PLAN, now_ms)
        if full:
            since_ms = item.due_ms if run.started_ms else run.queued_ms
            text = f"{_told(reader, item, full)}, since {format_instant(since_ms)}"
            found[item.key] = Rest(Hindrance.LIMIT, text, since_ms)
    if paused is not None:
        calls = (item.key for item in items if item.kind is ItemKind.CALL)
        found |= dict.fromkeys((key for key in calls if key not in begun), paused)
    return found


def _paused(reader: Reader, function: str) -> Rest | None:
    """What is told of every call of a function that was told to rest."""
    row = reader.flow_key(pause_key(function))
    if row is None or not row.data:
        return None
    text = (
        f"function {function} is paused since {format_instant(row.value)}: let it go on with"
        f" stepwell resume {function}; what has waited a week is cancelled"
    )
    return Rest(Hindrance.PAUSED, text, row.value)


def _told(reader: Reader, item: Item, full: list[_Full]) -> str:
    turn = order_of(item)
    waiting = reader.due_runs(item.queue, item.due_ms + 1, AHEAD_MAX)
    items = (one for run in waiting for one in reader.items(run.id))
    ahead = sum(one.queue == item.queue and order_of(one) < turn for one in items)
    more = f"{ahead} or more" if ahead == AHEAD_MAX else str(ahead)
    first = f"; {more} come first" if ahead > 1 else "; 1 comes first" if ahead else ""
    return "; ".join(f"{one.told}{first}; {one.frees}" for one in full)


def _full(reader: Reader, lane: Lane, plan: Plan, now_ms: int) -> list[_Full]:
    parts = lane.numbered
    found = (_judged(reader, lane, plan, index, part, now_ms) for index, part in parts)
    return [one for one in found if one is not None]


def _judged(
    reader: Reader, lane: Lane, plan: Plan, index: int, part: Part, now_ms: int
) -> _Full | None:
    match part.kind:
        case PartKind.STEP:
            used = [(lease.run_id, lease.granted_ms) for lease in reader.leases_under(part.key)]
            limit = limit_of(plan.steps, part.mark, index)
            return _taken("concurrency", _of(part, lane), used, limit, "the end of a step")
        case PartKind.RUN:
            used = [(slot.run_id, slot.taken_ms) for slot in reader.slots(part.key)]
            limit = limit_of(plan.runs, part.mark, index)
            return _taken("run concurrency", _of(part, lane), used, limit, "the end of a run")
        case PartKind.THROTTLE if plan.throttle is not None:
            row = reader.flow_key(part.key)
            taken = bucket.take(plan.throttle.bucket, 0 if row is None else row.value, now_ms)
            if taken.admitted:
                return None
            frees = f"the next start is at {format_instant(taken.next_ms)}"
            return _Full(f"the throttle{_of(part, lane)} has no start left", frees)
        case _:
            return None


def _taken(name: str, of: str, used: list[tuple[str, int]], limit: int, frees: str) -> _Full | None:
    if limit >= UNLIMITED or len(used) < limit:
        return None
    run_id, since_ms = used[0]
    longest = f"by run {run_id} since {format_instant(since_ms)}"
    if len(used) > 1:
        longest = f"longest {longest}"
    return _Full(
        f"its {name}{of} is used up, {len(used)} of {limit}, {longest}", f"{frees} frees it"
    )


def _of(part: Part, lane: Lane) -> str:
    value = key_value(part.key, lane.function)
    return f" of {value}" if value else ""
