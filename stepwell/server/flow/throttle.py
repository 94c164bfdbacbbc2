"""Starts per period: `limit` of them in the long run, `limit + burst` at once. What is too much
waits. A token is taken by the first call of a run, and is not given back."""

import msgspec

from stepwell.server.flow.bucket import Bucket, bucket_of
from stepwell.server.flow.key import NO_KEY, Key


class Throttle(msgspec.Struct, frozen=True):
    """So many starts per period for each value of the key."""

    limit: int
    period_ms: int
    burst: int = 0
    key: Key = NO_KEY

    @property
    def bucket(self) -> Bucket:
        """The bucket the tokens come from."""
        return bucket_of(self.limit, self.period_ms, self.limit + self.burst)
