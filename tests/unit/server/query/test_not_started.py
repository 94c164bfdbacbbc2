"""Why an event has no run of a function: the words, for every reason there is."""

import pytest

from stepwell.server.engine.row.flow import Dropped, DropReason, Hold, HoldKind
from stepwell.server.query.not_started import NotStarted, key_value, not_started

AT = 1_800_000_000_000
LATER = AT + 90_000


def one(row: Dropped | Hold) -> NotStarted:
    (found,) = not_started(*(([row], []) if isinstance(row, Dropped) else ([], [row])))
    return found


@pytest.mark.parametrize("reason", list(DropReason))
def test_every_reason_has_its_sentence(reason: DropReason) -> None:
    told = one(Dropped("e", "shop-work", reason, AT, "", LATER, "R"))
    assert told.reason == reason.value
    assert told.detail.endswith("; admitted again from 2027-01-15T08:01:30Z")
    assert "{" not in told.detail
    assert (told.at, told.admitted_at) == ("2027-01-15T08:00:00Z", "2027-01-15T08:01:30Z")


def test_the_limit_its_key_and_what_was_in_the_way_are_named() -> None:
    rate = Dropped("e", "a-f", DropReason.RATE_LIMIT, AT, 'rate:a-f:9f2:"amy"', LATER)
    assert one(rate).detail.startswith(
        'the rate limit of "amy" was used up when it came, at 2027-01-15T08:00:00Z; admitted again'
    )
    locked = Dropped("e", "a-f", DropReason.SINGLETON, AT, 'singleton:a-f:"amy"', 0, "01RUN")
    assert one(locked).detail == (
        "run 01RUN was under way when it came, at 2027-01-15T08:00:00Z, and the function is a"
        ' singleton of "amy"; the end of a run makes room'
    )
    assert (one(locked).run_id, one(locked).admitted_at) == ("01RUN", None)


def test_what_is_held_says_when_it_starts() -> None:
    debounce = Hold('debounce:a-f:"amy"', "a-f", HoldKind.DEBOUNCE, AT, LATER, "e", AT)
    assert one(debounce).detail == (
        'waits in the debounce of "amy", since 2027-01-15T08:00:00Z: starts at'
        " 2027-01-15T08:01:30Z unless another event comes"
    )
    assert one(debounce).reason == "Debouncing"
    batch = Hold("batch:a-f:", "a-f", HoldKind.BATCH, AT, LATER, "e", AT, count=3)
    assert one(batch).detail == (
        "waits in the batch, with 3 events so far, since 2027-01-15T08:00:00Z: starts when full, or"
        " at 2027-01-15T08:01:30Z"
    )
    assert (one(batch).reason, one(batch).key) == ("Batching", "")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rate:a:f:0f:x:y", "x:y"),
        ("idempotency:a:f:0f:5", "5"),
        ("singleton:a:f:x", "x"),
        ("batch:a:f:", ""),
        ("", ""),
    ],
)
def test_the_value_of_a_key(key: str, value: str) -> None:
    assert key_value(key, "a:f") == value
