"""Is there room for one more call under every key it stands under? The only place that compares
what counts under a key with its present limit."""

import msgspec

from stepwell.server.engine.catalog import Listing
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.lane import Lane, Part, PartKind
from stepwell.server.flow import bucket
from stepwell.server.flow.concurrency import UNLIMITED, limit_of
from stepwell.server.flow.plan import NO_PLAN, Plan

UNKNOWN_FUNCTION_DELAY_MS = 30_000


def pause_key(function: str) -> str:
    """The key behind which the calls of a paused function rest."""
    return f"pause:{function}"


class Blocked(msgspec.Struct, frozen=True):
    """Which key stops a lane, and when it lets go (0: when a slot is free)."""

    key: str
    until_ms: int = 0


def planned(draft: Draft, lane: Lane) -> tuple[Listing | None, Plan]:
    """The function of a lane as it is now, if there is one, and its flow control."""
    listing = draft.view.catalog.listing(lane.function)
    return listing, (listing.plan if listing is not None else None) or NO_PLAN


def blocked(draft: Draft, lane: Lane) -> Blocked | None:
    """The first key that has no room for one more call of a lane."""
    listing, plan = planned(draft, lane)
    if listing is None:
        return Blocked(f"unknown:{lane.function}", draft.now.ms + UNKNOWN_FUNCTION_DELAY_MS)
    if lane.function in draft.view.catalog.paused:
        return Blocked(pause_key(lane.function))
    for index, part in enumerate(lane.parts):
        if free(draft, plan, index, part) < 1:
            return Blocked(part.key, _until(draft, plan, part))
    return None


def free(draft: Draft, plan: Plan, index: int, part: Part) -> int:
    """How many more calls a part of a lane has room for."""
    flow = draft.flow
    match part.kind:
        case PartKind.STEP:
            return limit_of(plan.steps, part.mark, index) - flow.leased(part.key)
        case PartKind.RUN:
            return limit_of(plan.runs, part.mark, index) - flow.taken(part.key)
        case PartKind.THROTTLE if plan.throttle is not None:
            row = flow.row(part.key)
            value = 0 if row is None else row.value
            return bucket.free(plan.throttle.bucket, value, draft.now.ms)
        case _:
            return UNLIMITED


def _until(draft: Draft, plan: Plan, part: Part) -> int:
    """When a part has room again by itself; 0 if only the end of something makes room."""
    if part.kind is not PartKind.THROTTLE or plan.throttle is None:
        return 0
    row = draft.flow.row(part.key)
    value = 0 if row is None else row.value
    return bucket.take(plan.throttle.bucket, value, draft.now.ms).next_ms
