"""How durations and errors are counted."""

import random

import pytest

from stepwell.server.store.ended_counts import bucket_of, kind_of, middle_of, pattern_of


def test_a_time_is_told_to_a_sixteenth() -> None:
    chance = random.Random(3)
    times = [*range(300), *(chance.randrange(2**40) for _ in range(2_000))]
    for took_ms in times:
        assert abs(middle_of(bucket_of(took_ms)) - took_ms) <= took_ms / 16


def test_longer_times_are_in_later_buckets() -> None:
    buckets = [bucket_of(took_ms) for took_ms in range(5_000)]
    assert buckets == sorted(buckets)
    assert set(buckets) == set(range(buckets[-1] + 1))
    assert bucket_of(366 * 86_400_000) < 270


@pytest.mark.parametrize(
    ("message", "shared"),
    [
        ("order 7 is gone", "order … is gone"),
        ("at 0x7f3a: 1.5 s\nand more", "at …: ….… s"),
        ("run 01HZZZZZZZZZZZZZZZZZZZZZZZ", "run …"),
        ("id 6f1c2d3e-0a1b-4c2d-8e3f-001122334455", "id …"),
        ("commit deadbeef01", "commit …"),
        ("the facade defaced", "the facade defaced"),
        ("", ""),
    ],
)
def test_what_messages_of_one_kind_share(message: str, shared: str) -> None:
    assert pattern_of(message) == shared
    assert kind_of("Oops", message) == kind_of("Oops", shared)
    assert kind_of("Oops", message) not in (kind_of("Other", message), 0)
