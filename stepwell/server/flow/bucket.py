"""How many per period, smoothed: the generic cell rate algorithm. One number is remembered, the
time at which a bucket that was used would be as good as new, in microseconds since 1970."""

import msgspec

MS_US = 1_000


LATEST_US = 366 * 86_400 * 1_000_000
"""No bucket is used up for longer than so far from now."""


class Bucket(msgspec.Struct, frozen=True):
    """`capacity` at once; then `limit` per `period_us`."""

    capacity: int
    limit: int
    period_us: int

    def span_us(self, weight: int) -> int:
        """How long it takes until so much is there again."""
        return max(weight * self.period_us // self.limit, 1) if weight else 0


class Taken(msgspec.Struct, frozen=True):
    """Whether there was room; what to remember; and, if there was none, when there will be."""

    admitted: bool
    value: int
    next_ms: int = 0


def bucket_of(limit: int, period_ms: int, capacity: int) -> Bucket:
    """`limit` per period in the long run, `capacity` of them at once."""
    return Bucket(max(capacity, 1), max(limit, 1), period_ms * MS_US)


def take(bucket: Bucket, value: int, now_ms: int, weight: int = 1) -> Taken:
    """Take `weight` if there is room. More than a bucket holds is given when it is full."""
    now_us = now_ms * MS_US
    begun = max(value, now_us)
    slack = bucket.span_us(max(bucket.capacity - weight, 0))
    if begun - now_us > slack:
        return Taken(False, value, -((slack - value) // MS_US))
    return Taken(True, min(begun + bucket.span_us(weight), now_us + LATEST_US))


def corrected(bucket: Bucket, value: int, now_ms: int, by: int) -> int:
    """What to remember when `by` more was used than had been taken (less, if negative)."""
    now_us = now_ms * MS_US
    span_us = bucket.span_us(by) if by > 0 else -bucket.span_us(-by)
    return min(max(max(value, now_us) + span_us, now_us), now_us + LATEST_US)


def free(bucket: Bucket, value: int, now_ms: int, weight: int = 1) -> int:
    """How often `weight` could be taken now."""
    debt = max(value - now_ms * MS_US, 0)
    left = max(bucket.span_us(bucket.capacity) - debt, 0) * bucket.limit // bucket.period_us
    return max(left // weight, 1 if not debt else 0)
