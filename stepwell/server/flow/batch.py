"""Start together: so many events, or fewer after a while, or as many as a run may hold."""

import msgspec

from stepwell.expr.dialect import EvaluationError, Program
from stepwell.server.flow.key import NO_KEY, Evaluate, Key

BYTES_MAX = 10 * 1024 * 1024


class Batch(msgspec.Struct, frozen=True):
    """`condition` None takes every event."""

    max_size: int
    timeout_ms: int
    key: Key = NO_KEY
    condition: Program | None = None


def joins(batch: Batch, evaluate: Evaluate) -> bool:
    """Whether an event waits for others; if not, it runs alone."""
    try:
        return batch.condition is None or evaluate(batch.condition) is True
    except EvaluationError:
        return False


def is_full(batch: Batch, count: int, size: int) -> bool:
    """Whether so many events, or bytes, are to start now."""
    return count >= batch.max_size or size >= BYTES_MAX
