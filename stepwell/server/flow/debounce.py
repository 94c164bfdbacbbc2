"""Start later, once: when no event came for a while, and at the latest at a deadline that nothing
puts off."""

import msgspec

from stepwell.server.flow.key import NO_KEY, Key

EVENTS_MAX = 1_000
BYTES_MAX = 10 * 1024 * 1024


class Debounce(msgspec.Struct, frozen=True):
    """`timeout_ms` 0 is no deadline. `collects` keeps every event, not only the latest."""

    period_ms: int
    timeout_ms: int = 0
    key: Key = NO_KEY
    collects: bool = False
    events_max: int = EVENTS_MAX
    bytes_max: int = BYTES_MAX


def due_ms(debounce: Debounce, opened_ms: int, now_ms: int) -> int:
    """When to start, if an event came now and the first at `opened_ms`."""
    due = now_ms + debounce.period_ms
    return min(due, opened_ms + debounce.timeout_ms) if debounce.timeout_ms else due


def is_full(debounce: Debounce, count: int, size: int) -> bool:
    """Whether so many events, or bytes, are to start at once."""
    return debounce.collects and (count >= debounce.events_max or size >= debounce.bytes_max)
