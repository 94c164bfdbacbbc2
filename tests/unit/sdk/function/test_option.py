"""Option classes: official names and defaults, refusals that name field, value and fix."""

import datetime as dt
import inspect as looking
from typing import Any

import inngest
import pydantic
import pytest

import stepwell
from stepwell.sdk.errors import FunctionConfigInvalidError
from stepwell.sdk.function.option import Retries
from stepwell.sdk.value.duration import duration_ms, whole_seconds
from tests.ids import steady

CLASSES = [
    "Batch",
    "Cancel",
    "Concurrency",
    "Debounce",
    "Priority",
    "RateLimit",
    "Singleton",
    "Throttle",
    "Timeouts",
    "TriggerCron",
    "TriggerEvent",
    "Event",
]

OURS = {
    "Debounce": {"collect", "max_events", "max_bytes"},
    "Event": {"v", "user", "meta"},
    "RateLimit": {"algorithm"},
    "Singleton": {"limit"},
}


@pytest.mark.parametrize("name", CLASSES)
def test_fields_and_defaults_are_the_official_ones(name: str) -> None:
    ours: dict[str, Any] = getattr(stepwell, name).model_fields
    theirs: dict[str, Any] = getattr(inngest, name).model_fields
    for field, info in theirs.items():
        assert ours[field].is_required() == info.is_required(), field
        if not info.is_required():
            assert ours[field].get_default(call_default_factory=True) == info.get_default(
                call_default_factory=True
            ), field
    assert set(ours) - set(theirs) == OURS.get(name, set())
    for field in set(ours) - set(theirs):
        assert not ours[field].is_required(), field


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: stepwell.Concurrency(limit="x"), r"Concurrency\.limit = 'x': .*integer"),
        (lambda: stepwell.Concurrency(), r"Concurrency\.limit is missing: give it a value"),  # noqa: PLW0108
        (lambda: stepwell.Concurrency(limit=1, lim=2), "Concurrency has no option lim: remove"),
        (lambda: stepwell.Concurrency(limit=1, scope="env"), "scope = 'env': needs a key"),
        (lambda: stepwell.Concurrency(limit=-1), r"limit = -1"),
        (lambda: stepwell.Debounce(period=1500), "period = 1500: must be whole seconds"),
        (lambda: stepwell.Debounce(period=0), "period = 0: must be whole seconds"),
        (lambda: stepwell.Debounce(period="soon"), "'soon' is no duration"),
        (lambda: stepwell.Debounce(period=1.5), "period = 1.5: write milliseconds"),
        (lambda: stepwell.Debounce(period=True), "period = True: write milliseconds"),
        (lambda: stepwell.Timeouts(start=dt.timedelta(0)), "start = .*: must be whole seconds"),
        (lambda: stepwell.RateLimit(limit=0, period=1000), "limit = 0"),
        (lambda: stepwell.Singleton(mode="queue"), "mode = 'queue': .*'skip' or 'cancel'"),
        (lambda: stepwell.Singleton(mode="skip", limit=0), "limit = 0: .*greater than or equal"),
        (lambda: stepwell.RateLimit(limit=1, period=1000, algorithm="x"), "'gcra' or 'window'"),
        (lambda: stepwell.Debounce(period=1000, collect="few"), "'last' or 'all'"),
        (lambda: stepwell.Debounce(period=1000, max_events=0), "max_events = 0"),
        (lambda: stepwell.Backlog(limit=0), "limit.*= 0"),
        (lambda: stepwell.Backlog(limit=10_001), "limit.*= 10001"),
        (lambda: stepwell.Fairness(key="event.data.x", weight=0), "weight.*= 0"),
        (lambda: stepwell.TriggerEvent(event=" "), "name the event"),
        (lambda: stepwell.TriggerEvent(event="x" * 256), "shorten the name to 255"),
        (lambda: stepwell.TriggerEvent(), "TriggerEvent.event is missing"),  # noqa: PLW0108
        (lambda: stepwell.TriggerCron(cron="* * *"), "has 3 fields: use five"),
        (lambda: stepwell.TriggerCron(cron=""), "has 0 fields: use five"),
        (lambda: stepwell.TriggerCron(cron="* * * * *", jitter="6m"), "between 1s and 5m"),
        (lambda: stepwell.TriggerCron(cron="* * * * *", jitter="x"), "is no duration"),
        (lambda: Retries(attempts=21), "attempts = 21"),
    ],
    ids=steady,
)
def test_refusals_name_field_value_and_fix(make: Any, words: str) -> None:
    with pytest.raises(FunctionConfigInvalidError, match=words):
        make()


def test_good_declarations() -> None:
    assert stepwell.TriggerCron(cron="TZ=Europe/Paris 0 12 * * 5", jitter="30s").jitter == "30s"
    assert stepwell.TriggerCron(cron="0 0 * * *").cron == "0 0 * * *"
    assert stepwell.Throttle(limit=1, period="1h30m").burst == 1
    assert stepwell.Concurrency(limit=1, scope="account", key="event.data.x").scope == "account"


@pytest.mark.parametrize(
    ("given", "milliseconds"),
    [(5, 5), (dt.timedelta(seconds=1.5), 1500), ("1h30m", 5_400_000), ("250ms", 250), (0, 0)],
)
def test_durations(given: Any, milliseconds: int) -> None:
    assert duration_ms(given) == milliseconds


def test_a_fraction_of_a_millisecond_is_rounded_up() -> None:
    assert duration_ms(dt.timedelta(microseconds=1)) == 1


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (90_000, "90s"),
        (7_200_000, "2h"),
        ("90m", "90m"),
        (dt.timedelta(days=14), "2w"),
        ("1d", "1d"),
        (None, None),
    ],
)
def test_the_wire_form_uses_one_unit(given: Any, written: str | None) -> None:
    """The largest that divides evenly, as the official SDK does."""
    assert whole_seconds(given) == written


def test_signatures_take_keywords_only() -> None:
    for name in CLASSES:
        parameters = looking.signature(getattr(stepwell, name)).parameters.values()
        assert all(p.kind is not p.POSITIONAL_OR_KEYWORD for p in parameters), name


def test_events_are_strict_and_keep_what_they_do_not_know() -> None:
    event = stepwell.Event(name="a", data=None, v="1", user={"id": 5}, further=3)  # type: ignore[arg-type, call-arg]
    assert event.data == {}
    assert event.model_extra == {"further": 3}
    assert (event.id, event.ts) == ("", 0)
    with pytest.raises(pydantic.ValidationError):
        stepwell.Event(name="a", ts="5")  # type: ignore[arg-type]
    with pytest.raises(pydantic.ValidationError):
        stepwell.Event(name="a", data=[1])  # type: ignore[arg-type]
