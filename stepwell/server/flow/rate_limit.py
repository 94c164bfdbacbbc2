"""May it start at all? What is too much is dropped, and told when it would have been admitted.

Idempotency is a rate limit of one a day. Smoothed, a tenth of the limit may come at
once; counted exactly, all of it may.
"""

import msgspec

from stepwell.server.flow import bucket, window
from stepwell.server.flow.bucket import Bucket
from stepwell.server.flow.key import Key

DAY_MS = 86_400_000
BURST_PART = 10


class RateLimit(msgspec.Struct, frozen=True):
    """`limit` per period for each value of the key."""

    limit: int
    period_ms: int
    key: Key
    exact: bool = False
    idempotency: bool = False

    @property
    def word(self) -> str:
        """What the ids of its keys begin with."""
        return "idempotency" if self.idempotency else "rate"

    @property
    def bucket(self) -> Bucket:
        """The smoothed form."""
        return bucket.bucket_of(self.limit, self.period_ms, self.limit // BURST_PART + 1)


class Judged(msgspec.Struct, frozen=True):
    """Whether it may start; what to remember, and until when; when to come again if not."""

    admitted: bool
    value: int = 0
    data: bytes = b""
    until_ms: int = 0
    next_ms: int = 0


def judge(rate: RateLimit, value: int, data: bytes, now_ms: int) -> Judged:
    """Whether one more may start, given what is remembered of the key."""
    if rate.exact:
        counted = window.count(rate.limit, rate.period_ms, data, now_ms)
        until_ms = now_ms + rate.period_ms
        return Judged(counted.admitted, 0, counted.data, until_ms, counted.next_ms)
    taken = bucket.take(rate.bucket, value, now_ms)
    until_ms = taken.value // bucket.MS_US + 1
    return Judged(taken.admitted, taken.value, b"", until_ms, taken.next_ms)
