"""A limit that functions and steps name and share: so much at once, or so much per period.

What is at once is counted from leases, by weight; what is per period comes from a bucket, which
holds `rate` when it is full. What weighs more than there can ever be has to itself whatever there
is: it is let in when nothing else is there.
"""

import msgspec

from stepwell.expr.dialect import EvaluationError, Program
from stepwell.server.flow import bucket
from stepwell.server.flow.bucket import Bucket
from stepwell.server.flow.concurrency import UNLIMITED
from stepwell.server.flow.key import NO_KEY, Evaluate, Key
from stepwell.wire import limit


class Numbers(msgspec.Struct, frozen=True, omit_defaults=True):
    """`concurrency` at once, or `rate` per `period_ms`; nothing of both is no limit."""

    concurrency: int = 0
    rate: int = 0
    period_ms: int = 0

    @property
    def bucket(self) -> Bucket:
        """Where what is per period comes from."""
        return bucket.bucket_of(self.rate, self.period_ms, self.rate)


NO_NUMBERS = Numbers()


class NamedLimit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A limit by its name: what the code says of it, and what an operator said since."""

    name: str
    declared: Numbers = Numbers()
    changed: Numbers | None = None

    @property
    def numbers(self) -> Numbers:
        """What holds now."""
        return self.declared if self.changed is None else self.changed


class Use(msgspec.Struct, frozen=True):
    """A function whose calls stand under a limit."""

    name: str
    key: Key = NO_KEY
    weight: Program | None = None

    def weight_for(self, evaluate: Evaluate) -> int:
        """The weight an event gives a call; what is no number of at least 1 counts as 1."""
        if self.weight is None:
            return 1
        try:
            value = evaluate(self.weight)
        except EvaluationError:
            return 1
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 1:
            return 1
        return int(min(value, limit.NAMED_WEIGHT_MAX))


def free(numbers: Numbers, weight: int, leased: int, value: int, now_ms: int) -> int:
    """How many calls of a weight may begin now, given the weight of those under way and what the
    bucket remembers."""
    if numbers.concurrency:
        room = (numbers.concurrency - leased) // weight
        return max(room, 1 if leased <= 0 else 0)
    if numbers.rate:
        return bucket.free(numbers.bucket, value, now_ms, weight)
    return UNLIMITED


def next_ms(numbers: Numbers, weight: int, value: int, now_ms: int) -> int:
    """When a call of a weight may begin for which there is no room; 0: when something ends."""
    if not numbers.rate:
        return 0
    return bucket.take(numbers.bucket, value, now_ms, weight).next_ms
