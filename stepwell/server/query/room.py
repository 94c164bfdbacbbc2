"""Which limit of flow control a call waits for: how much of it is in use, by whom, since when, how
many come first, and what makes room. Also: that its function rests.

Pure but for what the reader reads. The same numbers decide when the call begins
(`engine/places/room.py`).
"""

from collections.abc import Mapping

import msgspec

from stepwell.server.engine.name.lane import (
    AT_ANY_TIME_MS,
    LIMITS,
    Lane,
    Part,
    PartKind,
    is_lane,
    lane_of,
    pause_key,
)
from stepwell.server.engine.row.flow import KeyKind
from stepwell.server.engine.row.limit import key_text, limit_name, limit_of_row, numbers_id
from stepwell.server.engine.row.run import Item, ItemKind, Run
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.flow import bucket, named_limit
from stepwell.server.flow.concurrency import UNLIMITED, limit_of
from stepwell.server.flow.named_limit import NO_NUMBERS, Numbers
from stepwell.server.flow.plan import NO_PLAN, Plan
from stepwell.server.query.not_started import key_value
from stepwell.server.query.other_code import code_rest
from stepwell.server.query.rest import Hindrance, Rest
from stepwell.server.store.port import Reader
from stepwell.server.store.reading import order_of
from stepwell.wire.duration import format_duration, format_instant

AHEAD_MAX = 200
"""So many that come first are counted."""


class _Full(msgspec.Struct, frozen=True):
    """A limit without room: what it is, in words, and what makes room. `key` is the one that calls
    of other lanes wait for, too."""

    told: str
    frees: str
    key: str = ""


def rests(
    reader: Reader, run: Run, listing: Listing | None, now_ms: int, items: list[Item]
) -> Mapping[str, Rest]:
    """Why calls of a run wait for flow control, by the key of their item."""
    if listing is None or run.ended:
        return {}
    begun = {lease.key for lease in reader.leases(run.id)}
    calls = [item for item in items if item.kind is ItemKind.CALL and item.key not in begun]
    paused = paused_rest(reader, run.function)
    if paused is not None:
        return {item.key: paused for item in calls}
    by_code = code_rest(run, listing.config.code, calls)
    if by_code:
        return by_code
    due = [item for item in calls if item.due_ms <= now_ms or _is_ranked(item)]
    cooling = _cooling(reader, run.function, now_ms) if due else None
    if cooling is not None:
        return {item.key: cooling for item in due}
    found: dict[str, Rest] = {}
    for item in due:
        if not is_lane(item.queue):
            continue
        full = _full(reader, item, listing.plan or NO_PLAN, now_ms)
        if full:
            since_ms = item.due_ms if run.started_ms else run.queued_ms
            text = f"{_told(reader, item, full)}, since {format_instant(since_ms)}"
            found[item.key] = Rest(Hindrance.LIMIT, text, since_ms)
    return found


def paused_rest(reader: Reader, function: str) -> Rest | None:
    """What is told of every call of a function that was told to rest; None of one that was not."""
    row = reader.flow_key(pause_key(function))
    if row is None or not row.data:
        return None
    text = (
        f"function {function} is paused since {format_instant(row.value)}: let it go on with"
        f" stepwell resume {function}; what has waited a week is cancelled"
    )
    return Rest(Hindrance.PAUSED, text, row.value)


def _is_ranked(item: Item) -> bool:
    return is_lane(item.queue) and lane_of(item.queue).is_ranked


def _cooling(reader: Reader, function: str, now_ms: int) -> Rest | None:
    """What is told of every call of a function that rests because one of them was told to wait."""
    cool = reader.flow_key(f"cool:{function}")
    if cool is not None and cool.kind is KeyKind.COOL and cool.value > now_ms:
        until = format_instant(cool.value)
        text = f"function {function} rests until {until}: a call of it was told not to come before"
        return Rest(Hindrance.LIMIT, text)
    return None


def _told(reader: Reader, item: Item, full: list[_Full]) -> str:
    ahead, lane = _ahead(reader, item), lane_of(item.queue)
    told = "; ".join(
        f"{one.told}{_first(ahead + _beside(reader, item, one.key))}; {one.frees}" for one in full
    )
    fair = next((part for part in lane.parts if part.kind is PartKind.FAIR), None)
    return told if fair is None else f"{told}; {_name(fair, lane)} takes turns with others"


def _first(ahead: int) -> str:
    if not ahead:
        return ""
    more = f"{AHEAD_MAX} or more" if ahead >= AHEAD_MAX else str(ahead)
    return f"; {more} come first" if ahead > 1 else "; 1 comes first"


def _ahead(reader: Reader, item: Item) -> int:
    """How many calls of the same lane come first."""
    turn = order_of(item)
    waiting = reader.due_runs(item.queue, item.due_ms + 1, AHEAD_MAX)
    items = (one for run in waiting for one in reader.items(run.id))
    return sum(one.queue == item.queue and order_of(one) < turn for one in items)


def _beside(reader: Reader, item: Item, key: str) -> int:
    """How many runs wait longer under the same key of a named limit, in other lanes."""
    if not key:
        return 0
    lanes = (queue for queue in reader.lanes_under(limit_name(key)) if queue != item.queue)
    others = (queue for queue in lanes if any(part.key == key for part in lane_of(queue).parts))
    return sum(len(_waiting(reader, queue, item.due_ms, AHEAD_MAX)) for queue in others)


def _waiting(reader: Reader, queue: str, before_ms: int, limit: int) -> list[Run]:
    """Runs with a call that waits in a lane since before a time. Where the times of calls are
    ranks, it is when the run was queued that tells."""
    if not lane_of(queue).is_ranked:
        return reader.due_runs(queue, before_ms, limit)
    runs = reader.due_runs(queue, AT_ANY_TIME_MS, AHEAD_MAX)
    return [run for run in runs if run.queued_ms < before_ms][:limit]


def _full(reader: Reader, item: Item, plan: Plan, now_ms: int) -> list[_Full]:
    lane = lane_of(item.queue)
    found = [_judged(reader, lane, plan, index, part, now_ms) for index, part in lane.numbered]
    full = [one for one in found if one is not None]
    named = (part for part in lane.parts if part.kind in LIMITS) if not full else ()
    turns = (_turn(reader, item, part, now_ms) for part in named)
    return full or [one for one in turns if one is not None]


def _turn(reader: Reader, item: Item, part: Part, now_ms: int) -> _Full | None:
    """A named limit with room that is kept for others: they wait, too, and take more."""
    numbers = _numbers(reader, part)
    if numbers == NO_NUMBERS:
        return None
    row = reader.flow_key(part.key)
    load, value = _load(reader, part.key), 0 if row is None else row.value
    for queue in reader.lanes_under(limit_name(part.key)):
        theirs = [one for one in lane_of(queue).parts if one.key == part.key]
        if queue == item.queue or not theirs:
            continue
        room = named_limit.free(numbers, theirs[0].weight, load, value, now_ms)
        if not room and _waiting(reader, queue, now_ms + 1, 1):
            told = f"{_name(part, lane_of(item.queue))} has room, which is kept"
            return _Full(told, "for others that wait and take more", part.key)
    return None


def _load(reader: Reader, key: str) -> int:
    """How much is under way under a key."""
    leases = reader.leases_under(key)
    return sum(load for lease in leases for name, load in lease.counts if name == key)


def _judged(
    reader: Reader, lane: Lane, plan: Plan, index: int, part: Part, now_ms: int
) -> _Full | None:
    row = None if part.kind in _WITHOUT_ROW else reader.flow_key(part.key)
    if row is not None and row.cool_ms > now_ms:
        until = format_instant(row.cool_ms)
        return _Full(
            f"{_name(part, lane)} rests until {until}", "a call was told to wait", part.key
        )
    value = 0 if row is None else row.value
    match part.kind:
        case PartKind.STEP:
            used = [(lease.run_id, lease.granted_ms) for lease in reader.leases_under(part.key)]
            limit = limit_of(plan.steps, part.mark, index)
            return _taken(_name(part, lane), used, limit, "the end of a step")
        case PartKind.RUN:
            used = [(slot.run_id, slot.taken_ms) for slot in reader.slots(part.key)]
            limit = limit_of(plan.runs, part.mark, index)
            return _taken(_name(part, lane), used, limit, "the end of a run")
        case PartKind.THROTTLE if plan.throttle is not None:
            taken = bucket.take(plan.throttle.bucket, value, now_ms)
            if taken.admitted:
                return None
            frees = f"the next start is at {format_instant(taken.next_ms)}"
            return _Full(f"{_name(part, lane)} has no start left", frees)
        case _ if part.kind in LIMITS:
            return _named(reader, lane, part, value, now_ms)
        case _:
            return None


_WITHOUT_ROW = frozenset({PartKind.PRIORITY, PartKind.PAUSE})


def _named(reader: Reader, lane: Lane, part: Part, value: int, now_ms: int) -> _Full | None:
    numbers = _numbers(reader, part)
    leases = reader.leases_under(part.key) if numbers.concurrency else []
    load = sum(load for lease in leases for key, load in lease.counts if key == part.key)
    if named_limit.free(numbers, part.weight, load, value, now_ms) > 0:
        return None
    name = _name(part, lane)
    if numbers.concurrency:
        used = [(lease.run_id, lease.granted_ms) for lease in leases]
        word = "used up" if load >= numbers.concurrency else "in use"
        wants = f", and it takes {part.weight}" if part.weight > 1 else ""
        told = f"{name} is {word}, {load} of {numbers.concurrency}{_longest(used)}{wants}"
        return _Full(told, "the end of a step frees it", part.key)
    next_ms = named_limit.next_ms(numbers, part.weight, value, now_ms)
    per = f"{numbers.rate} per {format_duration(numbers.period_ms)}"
    left = bucket.free(numbers.bucket, value, now_ms)
    told = f"{name} of {per} has {left or 'nothing'} left, and it takes {part.weight}"
    return _Full(told, f"so much is there at {format_instant(next_ms)}", part.key)


def _numbers(reader: Reader, part: Part) -> Numbers:
    row = reader.flow_key(numbers_id(limit_name(part.key)))
    limit = None if row is None else limit_of_row(row)
    numbers = NO_NUMBERS if limit is None else limit.numbers
    if part.kind is PartKind.LIMIT_LATER:
        return Numbers(concurrency=numbers.concurrency)
    return numbers


def _taken(name: str, used: list[tuple[str, int]], limit: int, frees: str) -> _Full | None:
    if limit >= UNLIMITED or len(used) < limit:
        return None
    told = f"{name} is used up, {len(used)} of {limit}{_longest(used)}"
    return _Full(told, f"{frees} frees it")


def _longest(used: list[tuple[str, int]]) -> str:
    """Who has had a place for longest."""
    if not used:
        return ""
    run_id, since_ms = used[0]
    longest = "longest " if len(used) > 1 else ""
    return f", {longest}by run {run_id} since {format_instant(since_ms)}"


def _name(part: Part, lane: Lane) -> str:
    """What people call a limit, with the value of its key."""
    if part.kind in LIMITS:
        text = key_text(part.key)
        return f"limit {limit_name(part.key)}{f' of {text}' if text else ''}"
    value = key_value(part.key, lane.function)
    scope = _SCOPES.get(part.mark.partition(".")[0], "") if part.kind in _SCOPED else ""
    return _WORDS.get(part.kind, "its key") + scope + (f" of {value}" if value else "")


_WORDS = {
    PartKind.STEP: "its concurrency",
    PartKind.RUN: "its run concurrency",
    PartKind.THROTTLE: "the throttle",
    PartKind.FAIR: "its fairness",
}
_SCOPED = frozenset({PartKind.STEP, PartKind.RUN})
_SCOPES = {"env": " in the environment", "account": " in the account"}
