"""Worker and gateways joined, with random trouble: the laws hold at every instant, and in the end
all is well. The laws themselves are asserted by `stepwell.testing.simulation.link`."""

from collections import Counter
from random import Random

import pytest

from stepwell.sdk.connect.health import COUNTERS
from tests.link.plan import check_all_is_well, suffer, troubled_link

SEEDS = range(40)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_all_is_well_in_the_end(seed: int) -> None:
    link = troubled_link(seed)
    chance = Random(seed)
    link.start()
    suffer(link, chance, seconds=900, every_s=8)
    check_all_is_well(link)
    assert len(link.desk.calls) > 20


def test_the_trouble_is_real() -> None:
    """Random trouble that never reaches a rule proves nothing."""
    seen: Counter[str] = Counter()
    for seed in range(100, 120):
        link = troubled_link(seed)
        link.start()
        suffer(link, Random(seed), seconds=900, every_s=8)
        seen.update(link.worker.counts)
    for name in (
        *("reconnects", "drains", "duplicates", "heartbeats_missed", "leases_refused"),
        *("leases_extended", "flushed", "flush_failures", "replies_unacknowledged"),
    ):
        assert seen[name] > 0, name
    assert set(seen) <= set(COUNTERS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [20_251_122, 1, 2, 3])
def test_a_day_of_trouble(seed: int) -> None:
    link = troubled_link(seed)
    chance = Random(seed)
    link.start()
    suffer(link, chance, seconds=86_400, every_s=60)
    check_all_is_well(link)
    assert len(link.starts) > 100
