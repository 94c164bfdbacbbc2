"""Why an event started no run of a function, or has not yet, as the APIs and the terminal tell it.

Pure: rows in, values with a sentence for people out.
"""

from collections.abc import Iterable

import msgspec

from stepwell.server.engine.row.flow import Dropped, DropReason, Hold, HoldKind
from stepwell.server.query.v2.run import InstantV2, NamedV2, function_ref
from stepwell.wire.duration import format_instant

HELD_DEBOUNCE = "Debouncing"
HELD_BATCH = "Batching"


class NotStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A function that listens to an event and has no run for it.

    `reason` is a word for programs, `detail` a sentence; `admitted_at` is when an event would be
    admitted again, or when what is held starts; `run_id` the run that was in the way.
    """

    function: str
    reason: str
    detail: str
    at: str
    admitted_at: str | None = None
    run_id: str | None = None
    key: str = ""


def not_started(dropped: Iterable[Dropped], holds: Iterable[Hold]) -> list[NotStarted]:
    """Everything known of an event that is no run, by function."""
    found = [*(_dropped(one) for one in dropped), *(_held(hold) for hold in holds)]
    return sorted(found, key=lambda one: one.function)


class NotStartedV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A function that listens to an event and has no run for it; the same in the shape of v2."""

    function: NamedV2
    reason: str
    detail: str
    at: InstantV2
    admitted_at: InstantV2 | None
    run_id: str | None
    key: str


def not_started_v2(one: NotStarted) -> NotStartedV2:
    """The same in the shape of the v2 API."""
    return NotStartedV2(
        function=function_ref(one.function),
        reason=one.reason,
        detail=one.detail,
        at=one.at,
        admitted_at=one.admitted_at,
        run_id=one.run_id,
        key=one.key,
    )


def key_value(key: str, function: str) -> str:
    """The value of a key expression, taken out of the id of its key; empty if there is none."""
    _, _, rest = key.partition(":")
    value = rest.removeprefix(function).removeprefix(":")
    if key.startswith(_MARKED):
        _, _, value = value.partition(":")
    return value


_MARKED = (
    "rate:",
    "idempotency:",
    "throttle:",
    "concurrency:",
    "run-concurrency:",
    "backlog:",
    "fairness:",
)
"""Ids of keys that name their expression before its value."""


def _dropped(row: Dropped) -> NotStarted:
    value = key_value(row.key, row.function)
    return NotStarted(
        function=row.function,
        reason=row.reason.value,
        detail=_told(row, value),
        at=format_instant(row.at_ms),
        admitted_at=format_instant(row.until_ms) if row.until_ms else None,
        run_id=row.run_id or None,
        key=value,
    )


def _told(row: Dropped, value: str) -> str:
    """What was in the way of which key, when, and what lets such events by."""
    of, at = f" of {value}" if value else "", format_instant(row.at_ms)
    told = _DETAILS[row.reason].format(of=of, run=row.run_id, at=at, function=row.function)
    if row.until_ms:
        told += f"; admitted again from {format_instant(row.until_ms)}"
    return told


_DETAILS = {
    DropReason.RATE_LIMIT: "the rate limit{of} was used up when it came, at {at}",
    DropReason.IDEMPOTENCY: "the idempotency key{of} had started a run already when it came,"
    " at {at}",
    DropReason.DEBOUNCE: "a newer event took its place in the debounce{of}, at {at}",
    DropReason.DEBOUNCE_OLD: "the debounce{of} held an event that is newer by its ts when it came,"
    " at {at}",
    DropReason.SINGLETON: "run {run} was under way when it came, at {at}, and the function is a"
    " singleton{of}; the end of a run makes room",
    DropReason.PAUSED: "the function was paused when it came, at {at}; stepwell replay {function}"
    " starts it after all",
    DropReason.BACKLOG: "the backlog{of} was full when it came, at {at}; the first call of a run"
    " that waits makes room",
    DropReason.TOO_COSTLY: "the condition of its trigger takes too much work for this event, which"
    " came at {at}, and so counts as false: ask for less in it, or send shorter lists and texts",
}


def _held(hold: Hold) -> NotStarted:
    value, due = key_value(hold.key, hold.function), format_instant(hold.due_ms)
    since = format_instant(hold.opened_ms)
    of = f" of {value}" if value else ""
    if hold.kind is HoldKind.BATCH:
        reason = HELD_BATCH
        count = f"{hold.count} event{'s' if hold.count > 1 else ''}"
        detail = (
            f"waits in the batch{of}, with {count} so far, since {since}: starts when full, or at"
            f" {due}"
        )
    else:
        reason = HELD_DEBOUNCE
        detail = (
            f"waits in the debounce{of}, since {since}: starts at {due} unless another event comes"
        )
    return NotStarted(
        function=hold.function,
        reason=reason,
        detail=detail,
        at=format_instant(hold.opened_ms),
        admitted_at=due,
        key=value,
    )
