"""Schedules: what is understood, when they fire, and what changing clocks do."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import cron
from stepwell.cron import CronError, Schedule, jitter_ms, next_after, parse

NOW = datetime(2026, 11, 22, 20, 57, 7, 215_000, tzinfo=UTC)


def fires(text: str, after: str, count: int) -> list[str]:
    """The next times, as they are in UTC."""
    schedule, instant = parse(text), datetime.fromisoformat(after)
    found: list[str] = []
    for _ in range(count):
        following = next_after(schedule, instant)
        assert following is not None
        found.append(following.strftime("%m-%d %H:%M"))
        instant = following
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", "2026-11-22T20:58:00"),
        ("*/15 * * * *", "2026-11-22T21:00:00"),
        ("5/15 * * * *", "2026-11-22T21:05:00"),
        ("0 12 * * *", "2026-11-23T12:00:00"),
        ("0 12 * * 5", "2026-11-27T12:00:00"),
        ("0 12 * * fri", "2026-11-27T12:00:00"),
        ("0 12 * * MON-FRI", "2026-11-23T12:00:00"),
        ("0 12 * * 7", "2026-11-29T12:00:00"),
        ("0 12 * JAN,feb *", "2027-01-01T12:00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00"),
        ("0 0 1 * MON", "2026-11-23T00:00:00"),
        ("0 0 ? * MON", "2026-11-23T00:00:00"),
        ("1-10/3,30 8 * * *", "2026-11-23T08:01:00"),
        ("  0   12 * *  5 ", "2026-11-27T12:00:00"),
        ("TZ=UTC 0 12 * * *", "2026-11-23T12:00:00"),
        ("TZ=Europe/Paris 0 12 * * *", "2026-11-23T11:00:00"),
        ("CRON_TZ=America/New_York 0 12 * * *", "2026-11-23T17:00:00"),
        ("TZ=Asia/Kolkata 0 12 * * *", "2026-11-23T06:30:00"),
    ],
)
def test_e_94_when_a_schedule_fires_next(text: str, expected: str) -> None:
    following = next_after(parse(text), NOW)
    assert following == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_next_is_later_even_from_an_occurrence() -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert next_after(parse("0 12 * * *"), noon) == noon + timedelta(days=1)
    just_before = noon - timedelta(microseconds=1)
    assert next_after(parse("0 12 * * *"), just_before) == noon


@pytest.mark.parametrize(
    "text", ["0 0 31 2 *", "0 0 30 FEB *", "TZ=Europe/Paris 0 0 31 4,6,9,11 *"]
)
def test_dates_that_never_come(text: str) -> None:
    assert next_after(parse(text), NOW) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has 0 fields: use five"),
        ("@daily", "has 1 fields"),
        ("* * * *", "has 4 fields"),
        ("0 * * * * *", "has 6 fields"),
        ("60 * * * *", "minute '60' is not understood: use *, 0-59"),
        ("* 24 * * *", "hour '24'"),
        ("* * 0 * *", "day of month '0'"),
        ("* * 32 * *", "day of month '32'"),
        ("* * * 13 *", "month '13'"),
        ("* * * * 8", "day of week '8'"),
        ("* * L * *", "day of month 'L'"),
        ("* * LW * *", "day of month 'LW'"),
        ("* * 15W * *", "day of month '15W'"),
        ("* * * * 5L", "day of week '5L'"),
        ("* * * * 5#2", "day of week '5#2'"),
        ("? * * * *", "minute '?'"),
        ("*/0 * * * *", "minute '*/0'"),
        ("5-1 * * * *", "minute '5-1'"),
        ("a * * * *", "minute 'a'"),
        ("MON * * * *", "minute 'MON'"),
        ("1, * * * *", "minute '1,'"),
        ("-1 * * * *", "minute '-1'"),
        ("² * * * *", "minute '²'"),
        ("TZ=Mars/Base 0 12 * * *", "time zone 'Mars/Base' is unknown"),
        ("TZ= 0 12 * * *", "time zone '' is unknown"),
        ("TZ=../etc 0 12 * * *", "time zone '../etc' is unknown"),
        ("TZ=UTC", "has 1 fields"),
        ("0 12 * * *" + " " * 300, "310 characters: use at most 255"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(CronError) as caught:
        parse(text)
    assert words in str(caught.value)


def test_e_94_clocks_that_go_forward() -> None:
    """Paris, 29 March 2026: after 01:59 comes 03:00 (01:00 UTC)."""
    after = "2026-03-28T12:00:00+00:00"
    assert fires("TZ=Europe/Paris 30 2 * * *", after, 2) == ["03-29 01:00", "03-30 00:30"]
    assert fires("TZ=Europe/Paris 0 4 * * *", after, 2) == ["03-29 02:00", "03-30 02:00"]
    hourly = fires("TZ=Europe/Paris 0 * * * *", "2026-03-28T23:30:00+00:00", 4)
    assert hourly == ["03-29 00:00", "03-29 01:00", "03-29 02:00", "03-29 03:00"]


def test_e_94_clocks_that_go_back() -> None:
    """Paris, 25 October 2026: after 02:59 (00:59 UTC) comes 02:00 again (01:00 UTC)."""
    after = "2026-10-24T12:00:00+00:00"
    assert fires("TZ=Europe/Paris 30 2 * * *", after, 2) == ["10-25 00:30", "10-26 01:30"]
    hourly = fires("TZ=Europe/Paris 0 * * * *", "2026-10-24T22:30:00+00:00", 4)
    assert hourly == ["10-24 23:00", "10-25 00:00", "10-25 01:00", "10-25 02:00"]
    assert fires("TZ=Europe/Paris 30 2 * * *", "2026-10-25T01:10:00+00:00", 1) == ["10-26 01:30"]


ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Paris",
        "America/New_York",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "Asia/Tehran",
    ]
)
NUMBERS = st.sampled_from(["*", "*/5", "0", "30", "1-3", "2,3"])
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))


@given(ZONES, NUMBERS, NUMBERS, st.sampled_from(["*", "1-7", "28-31"]), INSTANTS)
def test_time_only_goes_forward(
    zone: str, minute: str, hour: str, day: str, start: datetime
) -> None:
    schedule = parse(f"TZ={zone} {minute.replace('30', '29')} {hour.replace('30', '2')} {day} * *")
    ticks = [start]
    for _ in range(4):
        following = next_after(schedule, ticks[-1])
        assert following is not None
        ticks.append(following)
    assert all(before < after for before, after in pairwise(ticks))
    between = ticks[1] - (ticks[1] - start) / 2
    if start < between < ticks[1]:
        assert next_after(schedule, between) == ticks[1]


@given(st.text(), st.integers(0, 2**42), st.integers(1000, 300_000))
def test_jitter_is_steady_and_within_its_bounds(key: str, at_ms: int, most_ms: int) -> None:
    jitter = jitter_ms(key, at_ms, most_ms)
    assert jitter == jitter_ms(key, at_ms, most_ms)
    assert 1000 <= jitter < max(most_ms, 1001)


def test_jitter_differs_between_occurrences_and_functions() -> None:
    jitters = {jitter_ms(key, at_ms, 300_000) for key in ("a", "b") for at_ms in range(50)}
    assert len(jitters) > 90


def test_schedules_are_values() -> None:
    assert parse("tz=UTC * * * *".replace("tz", "TZ") + " *") == Schedule("* * * * *")
    assert parse("TZ=Europe/Paris 0 0 31 2 *") == Schedule("0 0 31 2 *", "Europe/Paris", never=True)
    assert cron.parse("0 12 * * mon") == cron.parse(" 0 12 * * MON")


@pytest.mark.parametrize(
    ("text", "count", "first", "last"),
    [
        ("* * * * *", 3, "2026-11-22T20:57", "2026-11-22T20:55"),
        ("0 9 * * MON-FRI", 3, "2026-11-20T09:00", "2026-11-18T09:00"),
        ("0 0 1 1 *", 2, "2026-01-01T00:00", "2025-01-01T00:00"),
        ("TZ=Europe/Paris 30 2 25 10 *", 2, "2026-10-25T00:30", "2025-10-25T00:30"),
    ],
)
def test_the_latest_times_the_newest_first(text: str, count: int, first: str, last: str) -> None:
    found = cron.last_before(parse(text), NOW, 3)
    assert [at.strftime("%Y-%m-%dT%H:%M") for at in (found[0], found[-1])] == [first, last]
    assert len(found) == count
    assert all(earlier < later for later, earlier in pairwise(found))


def test_a_date_that_never_came_has_no_latest_time() -> None:
    assert cron.last_before(parse("0 0 31 2 *"), NOW, 3) == []


@pytest.mark.parametrize(
    ("zone", "at", "minutes"),
    [
        ("Europe/Paris", "2027-03-28T01:00", 60),
        ("America/New_York", "2027-03-14T07:00", 60),
        ("Australia/Lord_Howe", "2027-04-03T15:00", -30),
    ],
)
def test_when_the_clocks_of_a_zone_change(zone: str, at: str, minutes: int) -> None:
    change = cron.clock_change(zone, NOW)
    assert change == cron.ClockChange(datetime.fromisoformat(at).replace(tzinfo=UTC), minutes)


def test_a_zone_whose_clocks_do_not_change() -> None:
    assert cron.clock_change("Asia/Tokyo", NOW) is None
    assert cron.clock_change("UTC", NOW) is None
