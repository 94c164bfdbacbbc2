"""When a failed call is tried again.

The jitter is derived from what is retried, so that deciding twice gives the same time.
"""

from zlib import crc32

SECOND_MS = 1_000
SCHEDULE_MS = tuple(
    seconds * SECOND_MS for seconds in (15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200)
)
JITTER_MS = 30 * SECOND_MS
DELAY_MIN_MS = SECOND_MS
DELAY_MAX_MS = 86_400 * SECOND_MS


def bounded_ms(asked_ms: int) -> int:
    """A wait that a function asked for (Retry-After), within one second and 24 hours."""
    return min(max(asked_ms, DELAY_MIN_MS), DELAY_MAX_MS)


def delay_ms(attempt: int, seed: str, *, asked_ms: int | None, constant_ms: int | None) -> int:
    """Milliseconds until the next try after the zero-based `attempt` failed.

    `asked_ms` is what the function asked for (Retry-After), kept within one second and 24 hours;
    `constant_ms` is the operator's own interval, which replaces the schedule.
    """
    if asked_ms is not None:
        return bounded_ms(asked_ms)
    if constant_ms is not None:
        return constant_ms
    base = SCHEDULE_MS[min(max(attempt, 0), len(SCHEDULE_MS) - 1)]
    return base + crc32(f"{seed}:{attempt}".encode()) % (JITTER_MS + 1)
