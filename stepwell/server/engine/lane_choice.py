"""Under which keys do the calls of a run stand? Decided once, when the run begins: each key
expression is evaluated for its first event, and what it gives is kept in the names of its lanes."""

import msgspec

from stepwell.server.engine.catalog import Listing
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.lane import Lane, Part, PartKind, lane_name
from stepwell.server.engine.row import EventRow
from stepwell.server.flow.concurrency import Concurrency
from stepwell.server.flow.key import Event, shared
from stepwell.server.flow.plan import Plan
from stepwell.server.flow.priority import seconds

SECOND_MS = 1_000


class Choice(msgspec.Struct, frozen=True):
    """`first` is the lane of the first call, `lane` that of all later ones; `slots` are the keys
    under which the run takes a place; `rank_ms` is the first call's place in its lane."""

    first: str
    lane: str
    slots: tuple[str, ...] = ()
    rank_ms: int = 0


def choose(draft: Draft, listing: Listing, plan: Plan, event: EventRow) -> Choice:
    """The lanes of a run that begins with an event."""
    decoded, now_ms = draft.decoded(event), draft.now.ms
    later = _entries(PartKind.STEP, "concurrency", plan.steps, decoded, now_ms)
    if plan.fairness is not None:
        key = plan.fairness.key
        named = f"fairness:{listing.slug}:{key.mark}:{shared(key, decoded, now_ms)}"
        later.append(Part(PartKind.FAIR, plan.fairness.weight_for(decoded, now_ms), named))
    first = _entries(PartKind.RUN, "run-concurrency", plan.runs, decoded, now_ms)
    slots = tuple(part.key for part in first)
    if plan.throttle is not None:
        key = plan.throttle.key
        named = f"throttle:{listing.slug}:{key.mark}:{shared(key, decoded, now_ms)}"
        first.append(Part(PartKind.THROTTLE, key.mark, named))
    rank_ms = max(now_ms, event.ts)
    if plan.priority is not None and event.ts <= now_ms:
        first.append(Part(PartKind.PRIORITY, "", ""))
        rank_ms = now_ms - seconds(plan.priority, decoded, now_ms) * SECOND_MS
    lane = lane_name(listing.app, listing.slug, tuple(later))
    begin = lane_name(listing.app, listing.slug, (*first, *later))
    return Choice(begin, "" if lane == listing.app else lane, slots, rank_ms)


def places_needed(draft: Draft, plan: Plan, event: EventRow) -> tuple[str, ...]:
    """The keys under which a run that begins with an event would take places."""
    if not plan.runs:
        return ()
    decoded, now_ms = draft.decoded(event), draft.now.ms
    entries = _entries(PartKind.RUN, "run-concurrency", plan.runs, decoded, now_ms)
    return tuple(part.key for part in entries)


def _entries(
    kind: PartKind, word: str, entries: tuple[Concurrency, ...], event: Event, now_ms: int
) -> list[Part]:
    return [
        Part(kind, entry.mark, entry.id_for(word, event, now_ms))
        for entry in entries
        if entry.limit
    ]


def keys_to_see(lane: Lane) -> list[str]:
    """The keys that must be seen before a call of a lane may begin."""
    return [part.key for part in lane.parts if part.kind in LIMITING]


LIMITING = frozenset({PartKind.STEP, PartKind.RUN, PartKind.THROTTLE})
"""The parts whose keys have room for so many calls."""
