"""Under which keys do the calls of a run stand? Decided once, when the run begins: each key
expression is evaluated for its first event, and what it gives is kept in the names of its lanes."""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.name.lane import (
    LIMITS,
    Lane,
    Part,
    PartKind,
    lane_name,
    lane_of,
    place_of,
)
from stepwell.server.engine.row.limit import own_name, use_key
from stepwell.server.engine.row.run import EventRow, Run
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.flow.concurrency import Concurrency
from stepwell.server.flow.key import Evaluate, shared, text_of
from stepwell.server.flow.plan import Plan
from stepwell.server.flow.priority import seconds
from stepwell.wire.operation import Operation, StepPlanned, label

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
    evaluate, now_ms = draft.evaluating(event), draft.now.ms
    later = _entries(PartKind.STEP, "concurrency", plan.steps, evaluate)
    limits = _limits(plan, evaluate)
    if plan.fairness is not None:
        key = plan.fairness.key
        named = f"fairness:{listing.slug}:{key.mark}:{shared(key, evaluate)}"
        later.append(Part(PartKind.FAIR, plan.fairness.weight_for(evaluate), named))
    first = _entries(PartKind.RUN, "run-concurrency", plan.runs, evaluate)
    slots = tuple(part.key for part in first)
    if plan.throttle is not None:
        key = plan.throttle.key
        named = f"throttle:{listing.slug}:{key.mark}:{shared(key, evaluate)}"
        first.append(Part(PartKind.THROTTLE, key.mark, named))
    rank_ms = max(now_ms, event.ts)
    if plan.priority is not None and event.ts <= now_ms:
        first.append(Part(PartKind.PRIORITY, "", ""))
        rank_ms = now_ms - seconds(plan.priority, evaluate) * SECOND_MS
    begin = lane_name(listing.app, listing.slug, (*first, *later, *limits))
    later += (_later(part) for part in limits)
    later += (Part(PartKind.KEY, "", part.key) for part in first if _is_keyed(plan, part))
    lane = lane_name(listing.app, listing.slug, tuple(later))
    return Choice(begin, "" if lane == listing.app else lane, slots, rank_ms)


def _limits(plan: Plan, evaluate: Evaluate) -> list[Part]:
    """The named limits that the first call of a run stands under."""
    return [
        Part(
            PartKind.LIMIT_FIRST,
            str(use.weight_for(evaluate)),
            use_key(use.name, shared(use.key, evaluate)),
        )
        for use in plan.limits
    ]


def _later(part: Part) -> Part:
    return msgspec.structs.replace(part, kind=PartKind.LIMIT_LATER)


def _is_keyed(plan: Plan, part: Part) -> bool:
    """Whether a key of first calls tells events apart, so that it may cool by itself."""
    if part.kind is PartKind.THROTTLE:
        return plan.throttle is not None and plan.throttle.key.program is not None
    named = (entry for entry in plan.runs if entry.mark == part.mark)
    return part.kind is PartKind.RUN and any(entry.key.program is not None for entry in named)


def step_lane(run: Run, operation: StepPlanned) -> str:
    """The lane of a step that stands under named limits, beside those of its function."""
    own = [
        Part(
            PartKind.LIMIT,
            str(limit.weight),
            key_of_step(run, operation, limit.name, limit.key),
        )
        for limit in operation.limits
    ]
    keys = {part.key for part in own}
    known = lane_of(run.lane).parts if run.lane else ()
    # A limit that both name is taken once, as the step says.
    kept = (part for part in known if part.key not in keys)
    return lane_name(place_of(run.queue), run.function, (*kept, *own))


def key_of_step(run: Run, operation: Operation, name: str, value: str) -> str:
    """The key a step stands under that names a limit, with the value of its key, which is JSON."""
    told = text_of(msgspec.json.decode(value)) if value else ""
    return use_key(limit_of_step(run, operation, name), told)


def limit_of_step(run: Run, operation: Operation, name: str) -> str:
    """The name of a limit that a step stands under: if it has none, it is the step's own."""
    return name or own_name(run.function, label(operation))


def places_needed(draft: Draft, plan: Plan, event: EventRow) -> tuple[str, ...]:
    """The keys under which a run that begins with an event would take places."""
    if not plan.runs:
        return ()
    evaluate = draft.evaluating(event)
    entries = _entries(PartKind.RUN, "run-concurrency", plan.runs, evaluate)
    return tuple(part.key for part in entries)


def _entries(
    kind: PartKind, word: str, entries: tuple[Concurrency, ...], evaluate: Evaluate
) -> list[Part]:
    return [
        Part(kind, entry.mark, entry.id_for(word, evaluate)) for entry in entries if entry.limit
    ]


def keys_to_see(lane: Lane) -> list[str]:
    """The keys that must be seen before a call of a lane may begin."""
    return [part.key for part in lane.parts if part.kind in LIMITING]


LIMITING = LIMITS | {
    PartKind.STEP,
    PartKind.RUN,
    PartKind.THROTTLE,
    PartKind.FAIR,
    PartKind.KEY,
}
"""The parts whose keys have room for so many calls, or cool."""
