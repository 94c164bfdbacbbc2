"""The law of rate limits notices an admission that was written over another one."""

from collections.abc import Sequence

import msgspec
import pytest

from stepwell.server.engine.row.flow import FlowKey, KeyKind
from stepwell.server.engine.state.changes import Changes
from stepwell.server.flow.key import NO_KEY
from stepwell.server.flow.plan import NO_PLAN
from stepwell.server.flow.rate_limit import RateLimit, judge
from stepwell.testing.simulation.rates import RateJudge

NOW = 1_750_000_000_000
KEY = "rate:shop-work::1"


def problems(rate: RateLimit, sees: Sequence[int]) -> list[str]:
    """What is said of admissions a second apart, each by what the one of that number had left; -1
    is nothing."""
    told = RateJudge({"shop-work": msgspec.structs.replace(NO_PLAN, rate=rate)})
    kind = KeyKind.WINDOW if rate.exact else KeyKind.RATE
    rows = {-1: FlowKey(KEY, kind, 0)}
    found: list[str] = []
    for number, seen in enumerate(sees):
        was = rows[seen]
        judged = judge(rate, was.value, was.data, NOW + 1_000 * number)
        assert judged.admitted
        rows[number] = FlowKey(KEY, kind, judged.until_ms, judged.value, judged.data)
        changes = Changes()
        changes.keys[KEY] = rows[number]
        found += told.committed(changes)
    return found


@pytest.mark.parametrize("exact", [False, True])
def test_an_admission_that_another_one_did_not_see_is_found(exact: bool) -> None:
    rate = RateLimit(40, 3_600_000, NO_KEY, exact)
    assert not problems(rate, [-1, 0, 1, 2])
    assert problems(rate, [-1, 0, 0, 2])
