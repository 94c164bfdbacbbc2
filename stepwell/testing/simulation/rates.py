"""The law of rate limits in a simulated world: what is remembered of a key grows by each admission.

Two servers that admit at once, each by what it saw before the other, would write the same twice:
one of them would not count. Rows are enough to tell, whatever their keys are made of.
"""

from collections.abc import Iterator

import msgspec

from stepwell.server.engine.row.flow import FlowKey, KeyKind
from stepwell.server.engine.state.changes import Changes
from stepwell.server.flow.plan import Plan
from stepwell.server.flow.rate_limit import RateLimit

_times = msgspec.msgpack.Decoder(tuple[int, ...])


class RateJudge:
    """Hears of every commit."""

    def __init__(self, plans: dict[str, Plan]) -> None:
        """`plans` of functions, by slug."""
        self._rates = {slug: plan.rate for slug, plan in plans.items() if plan.rate}
        self._known: dict[str, FlowKey] = {}
        self.admitted = 0
        """So many changes of keys were judged."""

    def committed(self, changes: Changes) -> Iterator[str]:
        """A commit was made: what it breaks, in words."""
        for key, row in changes.keys.items():
            rate = self._rates.get(key.split(":")[1]) if key.startswith("rate:") else None
            if rate is None:
                continue
            was = self._known.pop(key, None)
            if row is None:
                continue
            self._known[key] = row
            self.admitted += 1
            if was is not None and was.kind is row.kind and not _grows(rate, was, row):
                yield f"{key} was {was}, and is {row}: one who was admitted does not count"


def _grows(rate: RateLimit, was: FlowKey, row: FlowKey) -> bool:
    if row.kind is not KeyKind.WINDOW:
        return row.value >= was.value + rate.bucket.span_us(1)
    before, times = list(_times.decode(was.data)), list(_times.decode(row.data))
    lately = [at for at in before if at > times[-1] - rate.period_ms]
    more = len(times) > len(lately) and len(times) <= rate.limit
    return more and all(times.count(at) >= lately.count(at) for at in lately)
