"""How many per period, smoothed: the generic cell rate algorithm. One number is remembered, the
time at which a bucket that was used would be as good as new, in microseconds since 1970."""

import msgspec

MS_US = 1_000


class Bucket(msgspec.Struct, frozen=True):
    """`capacity` at once; then one every `interval_us`."""

    capacity: int
    interval_us: int


class Taken(msgspec.Struct, frozen=True):
    """Whether there was room; what to remember; and, if there was none, when there will be."""

    admitted: bool
    value: int
    next_ms: int = 0


def bucket_of(limit: int, period_ms: int, capacity: int) -> Bucket:
    """`limit` per period in the long run, `capacity` of them at once."""
    return Bucket(max(capacity, 1), max(period_ms * MS_US // max(limit, 1), 1))


def take(bucket: Bucket, value: int, now_ms: int, weight: int = 1) -> Taken:
    """Take `weight` if there is room. More than a bucket holds is given when it is full."""
    now_us = now_ms * MS_US
    begun = max(value, now_us)
    slack = max(bucket.capacity - weight, 0) * bucket.interval_us
    if begun - now_us > slack:
        return Taken(False, value, -((slack - value) // MS_US))
    return Taken(True, begun + weight * bucket.interval_us)


def corrected(bucket: Bucket, value: int, now_ms: int, by: int) -> int:
    """What to remember when `by` more was used than had been taken (less, if negative)."""
    return max(max(value, now_ms * MS_US) + by * bucket.interval_us, now_ms * MS_US)


def free(bucket: Bucket, value: int, now_ms: int) -> int:
    """How many could be taken now, one by one."""
    debt = max(value - now_ms * MS_US, 0)
    full = bucket.capacity * bucket.interval_us
    return max((full - debt) // bucket.interval_us, 0)
