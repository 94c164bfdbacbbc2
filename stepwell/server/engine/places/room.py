"""Is there room for one more call under every key it stands under? The only place that compares
what counts under a key with its present limit, and that writes what a call takes of it."""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.name.lane import LIMITS, Lane, Part, PartKind, pause_key
from stepwell.server.engine.row.flow import FlowKey, KeyKind
from stepwell.server.engine.row.limit import limit_name
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.flow import bucket, named_limit
from stepwell.server.flow.bucket import Bucket
from stepwell.server.flow.concurrency import UNLIMITED, limit_of
from stepwell.server.flow.named_limit import NO_NUMBERS, Numbers
from stepwell.server.flow.plan import NO_PLAN, Plan

UNKNOWN_FUNCTION_DELAY_MS = 30_000
IN_TURN = 0
"""The bound of those that begin strictly in the order in which they came."""


def cool_key(function: str) -> str:
    """The key behind which the calls of a function rest that cools as a whole."""
    return f"cool:{function}"


def stopped_by(draft: Draft, function: str) -> str:
    """The key behind which all calls of a function rest now; empty if they do not."""
    catalog = draft.view.catalog
    if function in catalog.paused:
        return pause_key(function)
    return cool_key(function) if catalog.cooled.get(function, 0) > draft.now.ms else ""


class Blocked(msgspec.Struct, frozen=True):
    """Which key stops a lane, and when it lets go (0: when a slot is free). With `has_room` it is
    only the turn of another. `bound` is the limit that was met (`bound_of`)."""

    key: str
    until_ms: int = 0
    has_room: bool = False
    bound: int = IN_TURN


def planned(draft: Draft, lane: Lane) -> tuple[Listing | None, Plan]:
    """The function of a lane as it is now, if there is one, and its flow control."""
    listing = draft.view.catalog.listing(lane.function)
    return listing, (listing.plan if listing is not None else None) or NO_PLAN


def blocked(draft: Draft, lane: Lane) -> Blocked | None:
    """The first key that has no room for one more call of a lane."""
    listing, plan = planned(draft, lane)
    if listing is None:
        return Blocked(f"unknown:{lane.function}", draft.now.ms + UNKNOWN_FUNCTION_DELAY_MS)
    stop = stopped_by(draft, lane.function)
    if stop:
        is_paused = lane.function in draft.view.catalog.paused
        return Blocked(stop, 0 if is_paused else draft.view.catalog.cooled[lane.function])
    for index, part in lane.numbered:
        if free(draft, plan, index, part) < 1:
            bound = bound_of(draft, plan, index, part)
            return Blocked(part.key, _until(draft, plan, part), bound=bound)
    return None


def bound_of(draft: Draft, plan: Plan, index: int, part: Part) -> int:
    """What tells when a part has room, beside what counts under its key: those that rest behind a
    key with the same bound wait for each other, and for nobody else there."""
    match part.kind:
        case PartKind.STEP:
            return limit_of(plan.steps, part.mark, index)
        case PartKind.RUN:
            return limit_of(plan.runs, part.mark, index)
        case PartKind.THROTTLE if plan.throttle is not None:
            return IN_TURN
        case PartKind.LIMIT | PartKind.LIMIT_FIRST | PartKind.LIMIT_LATER:
            return UNLIMITED if numbers_of(draft, part) == NO_NUMBERS else IN_TURN
        case _:
            return UNLIMITED


def free(draft: Draft, plan: Plan, index: int, part: Part) -> int:
    """How many more calls a part of a lane has room for."""
    flow, now_ms = draft.flow, draft.now.ms
    if part.kind is PartKind.PRIORITY or part.kind is PartKind.PAUSE:
        return UNLIMITED
    row = flow.row(part.key)
    if row is not None and row.cool_ms > now_ms:
        return 0
    value = 0 if row is None else row.value
    match part.kind:
        case PartKind.STEP:
            return bound_of(draft, plan, index, part) - flow.leased(part.key)
        case PartKind.RUN:
            return bound_of(draft, plan, index, part) - flow.taken(part.key)
        case PartKind.THROTTLE if plan.throttle is not None:
            return bucket.free(plan.throttle.bucket, value, now_ms)
        case PartKind.LIMIT | PartKind.LIMIT_FIRST | PartKind.LIMIT_LATER:
            numbers = numbers_of(draft, part)
            return named_limit.free(numbers, part.weight, flow.leased(part.key), value, now_ms)
        case _:
            return UNLIMITED


def _until(draft: Draft, plan: Plan, part: Part) -> int:
    """When a part has room again by itself; 0 if only the end of something makes room."""
    row, now_ms = draft.flow.row(part.key), draft.now.ms
    value, cool_ms = (0, 0) if row is None else (row.value, row.cool_ms)
    source = _bucket(draft, plan, part)
    next_ms = 0 if source is None else bucket.take(source, value, now_ms, part.weight).next_ms
    return max(next_ms, cool_ms if cool_ms > now_ms else 0)


def numbers_of(draft: Draft, part: Part) -> Numbers:
    """The present numbers of a part that stands for a named limit. Of one that takes nothing when
    a call begins, only what counts at once."""
    known = draft.view.catalog.limits.get(limit_name(part.key))
    if known is None:
        return Numbers()
    numbers = known.numbers
    if part.kind is PartKind.LIMIT_LATER:
        return Numbers(concurrency=numbers.concurrency)
    return numbers


def _bucket(draft: Draft, plan: Plan, part: Part) -> Bucket | None:
    """What a call takes from when it begins, if it takes from anything."""
    if part.kind is PartKind.THROTTLE:
        return None if plan.throttle is None else plan.throttle.bucket
    if part.kind in LIMITS:
        numbers = numbers_of(draft, part)
        return numbers.bucket if numbers.rate else None
    return None


def take(draft: Draft, plan: Plan, part: Part) -> None:
    """A call begins: it takes what the part of its lane says."""
    source = _bucket(draft, plan, part)
    if source is None:
        return
    row, kind = draft.flow.row(part.key), KeyKind.USE
    if part.kind is PartKind.THROTTLE:
        kind = KeyKind.THROTTLE
    value = 0 if row is None else row.value
    taken = bucket.take(source, value, draft.now.ms, part.weight)
    put_value(draft, part.key, kind, taken.value)


def put_value(draft: Draft, key: str, kind: KeyKind, value: int) -> None:
    """Remember what is used of a key, beside how long it cools."""
    row = draft.flow.row(key)
    cool_ms = 0 if row is None else row.cool_ms
    until_ms = max(value // bucket.MS_US + 1, cool_ms)
    draft.flow.put(FlowKey(key, kind, until_ms, value, row.data if row and cool_ms else b""))
