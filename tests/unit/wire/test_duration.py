"""Durations and dates as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.wire import duration
from stepwell.wire.duration import DurationError

NOW = 1_795_381_027_215
HOUR = 3_600_000


@given(st.integers(0, 10**12), st.booleans())
def test_round_trip(length_ms: int, clock_units: bool) -> None:
    text = duration.format_duration(length_ms, clock_units=clock_units)
    assert duration.parse_duration_ms(text) == length_ms
    if clock_units:
        assert "d" not in text
        assert "w" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("0", 0), ("0s", 0), ("30s", 30_000), ("1h30m", 5_400_000), ("1.5h", 5_400_000)),
        *(("1w2d", 777_600_000), ("1w2d3h4m5s", 788_645_000), ("250ms", 250), ("1s500ms", 1500)),
        *(("1us", 1), ("1µs", 1), ("1μs", 1), ("1ns", 1), ("1000us", 1), ("1500us", 2)),
        *(("0.5m", 30_000), ("1h 30m", 5_400_000), ("2m2m", 240_000), ("0.0005s", 1)),
    ],
)
def test_durations(text: str, expected: int) -> None:
    assert duration.parse_duration_ms(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5",
        "s",
        "1x",
        "-1s",
        "1.s",
        ".5s",
        "1,5h",
        "1h30",
        "one hour",
        "1H",
        "1e3s",
        "9" * 300,
    ],
)
def test_no_durations(text: str) -> None:
    with pytest.raises(DurationError, match="no duration"):
        duration.parse_duration_ms(text)


def test_format() -> None:
    assert duration.format_duration(0) == "0s"
    assert duration.format_duration(90_061_001) == "1d1h1m1s1ms"
    assert duration.format_duration(90_061_001, clock_units=True) == "25h1m1s1ms"
    with pytest.raises(ValueError, match="negative"):
        duration.format_duration(-1)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T20:57:07Z",
        "2026-11-22T20:57:07",
        "2026-11-22 20:57:07",
        "2026-11-22T20:57:07.000000000Z",
        "2026-11-22T21:57:07+01:00",
        "2026-11-22 20:57:07 +0000",
        "Sun, 22 Nov 2026 20:57:07 GMT",
        "Sun, 22 Nov 2026 21:57:07 +0100",
        "Sunday, 22-Nov-26 20:57:07 GMT",
        "Sun Nov 22 20:57:07 2026",
        "2026/11/22 20:57:07",
    ],
)
def test_dates(text: str) -> None:
    assert duration.parse_date_ms(text) == 1_795_381_027_000


def test_fractions_of_a_second_in_dates_are_rounded_up() -> None:
    assert duration.parse_date_ms("2026-11-22T20:57:07.2151Z") == 1_795_381_027_216
    assert duration.parse_date_ms("2026-11-22T20:57:07.215000001Z") == 1_795_381_027_215
    assert duration.parse_date_ms("1970-01-01") == 0


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01T00:00:00Z", "2026", "now and then"])
def test_no_dates(text: str) -> None:
    with pytest.raises(DurationError, match="no date"):
        duration.parse_date_ms(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", NOW),
        ("10s", NOW + 10_000),
        ("1h30m15s500ms", NOW + 5_415_500),
        ("2026-11-22T20:57:08Z", 1_795_381_028_000),
        ("2020-01-01T00:00:00Z", NOW),
    ],
)
def test_when(text: str, expected: int) -> None:
    assert duration.parse_when(text, NOW) == expected


@pytest.mark.parametrize("text", ["soon", "in a while, perhaps", "5"])
def test_when_is_refused(text: str) -> None:
    with pytest.raises(DurationError, match=text):
        duration.parse_when(text, NOW)


@given(st.integers(0, 4_102_444_800_000))
def test_instants_round_trip(instant_ms: int) -> None:
    assert duration.parse_date_ms(duration.format_instant(instant_ms)) == instant_ms


def test_instants_are_short_where_they_can() -> None:
    assert duration.format_instant(1_795_374_900_000) == "2026-11-22T19:15:00Z"
    assert duration.format_instant(1_795_374_900_007) == "2026-11-22T19:15:00.007Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("12345678", None),
        ("²", None),
        ("2", NOW + 2000),
        (" 2 ", NOW + 2000),
        ("0", NOW + 1000),
        ("9999999", NOW + 24 * HOUR),
        ("2026-11-22T20:58:07Z", 1_795_381_087_000),
        ("Sun, 22 Nov 2026 20:58:07 GMT", 1_795_381_087_000),
        ("2020-01-01T00:00:00Z", NOW + 1000),
        ("2036-01-01T00:00:00Z", NOW + 24 * HOUR),
    ],
)
def test_retry_after(text: str | None, expected: int | None) -> None:
    assert duration.parse_retry_after(text, NOW) == expected


@given(st.integers(1000, 24 * HOUR))
def test_retry_after_is_never_sooner_than_asked(delay_ms: int) -> None:
    due_ms = duration.parse_retry_after(duration.format_retry_after(delay_ms), NOW)
    assert due_ms is not None
    assert 0 <= due_ms - NOW - delay_ms < 1000
