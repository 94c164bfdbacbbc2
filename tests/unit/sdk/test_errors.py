"""The public tree: official names, positions, codes and defaults (features C.6)."""

import datetime as dt
import inspect as looking
import pickle
from typing import Any

import inngest._internal.errors as official
import pytest

from stepwell.sdk import errors
from stepwell.sdk.errors import (
    Error,
    NaiveDatetimeWarning,
    NonRetriableError,
    OutputUnserializableError,
    RetryAfterError,
    StepError,
    StepUnexpectedError,
)

NAMES = [
    name
    for name, thing in vars(official).items()
    if looking.isclass(thing) and issubclass(thing, official.Error)
]


@pytest.mark.parametrize("name", NAMES)
def test_every_official_error_has_its_name_code_and_retriability(name: str) -> None:
    ours, theirs = getattr(errors, name), getattr(official, name)
    assert ours.code.value == theirs.code.value
    assert ours.include_stack == theirs.include_stack
    if not issubclass(ours, errors.ConfigurationError):
        assert ours.is_retriable == theirs.is_retriable


def test_configuration_errors_are_not_tried_again() -> None:
    """The official SDK would repeat a mistake of declaration four times."""
    assert errors.FunctionConfigInvalidError("x").is_retriable is False


@pytest.mark.parametrize("name", NAMES)
def test_constructors_take_what_the_official_ones_take(name: str) -> None:
    theirs = looking.signature(getattr(official, name).__init__).parameters
    ours = looking.signature(getattr(errors, name).__init__).parameters
    assert [p for p in theirs if p not in ours] == []
    positions = [p for p in ours if p in theirs]
    assert positions == [p for p in theirs if p in ours]


def test_message_name_and_stack() -> None:
    try:
        raise NonRetriableError("over")
    except Error as error:
        assert (error.message, error.name) == ("over", "NonRetriableError")  # noqa: PT017
        assert "test_message_name_and_stack" in (error.stack or "")  # noqa: PT017
        assert error.quiet is False  # noqa: PT017
    assert NonRetriableError(quiet=True).quiet is True
    assert NonRetriableError().message == ""
    assert StepUnexpectedError("x").stack is None


def test_e_158_step_error_speaks_for_the_original() -> None:
    error = StepError("no", "ValueError", "line 1", step_id="charge")
    assert (error.message, error.name, error.stack) == ("no", "ValueError", "line 1")
    assert error.step_id == "charge"
    assert error.cause is None
    assert error.is_retriable is False


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(1500, 1.5), (dt.timedelta(minutes=1), 60), ("1h30m", 5400)],
)
def test_retry_after_takes_lengths_of_time(given: int | str | dt.timedelta, seconds: float) -> None:
    assert RetryAfterError("later", given).retry_after == dt.timedelta(seconds=seconds)


def test_retry_after_takes_instants() -> None:
    when = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    assert RetryAfterError("later", when).retry_after == when
    with pytest.warns(NaiveDatetimeWarning, match="retry_after has no time zone") as warned:
        naive = RetryAfterError("later", dt.datetime(2030, 1, 1)).retry_after
    assert warned[0].filename == __file__
    assert isinstance(naive, dt.datetime)
    assert naive == dt.datetime(2030, 1, 1).astimezone()
    with pytest.raises(ValueError, match=r"retry_after: 'soon' is no duration"):
        RetryAfterError("later", "soon")


def test_our_frames_are_left_out_of_stacks() -> None:
    from stepwell.sdk.value.codec import PLAIN, CodecError

    try:
        PLAIN.encode(object())
    except CodecError as error:
        assert "test_our_frames" in errors.stack_of(error)  # noqa: PT017
    assert OutputUnserializableError("x").is_retriable is False


class OfAUser(RetryAfterError):
    def __init__(self, order: int) -> None:
        super().__init__(f"order {order}", 5_000, scope="key")
        self.order = order


@pytest.mark.parametrize(
    "error",
    [
        OfAUser(3),
        RetryAfterError("busy", 5_000, quiet=True),
        NonRetriableError("no", quiet=True),
        StepError("told", "ValueError", "at 1", step_id="charge"),
        errors.CodedError(errors.ErrorCode.UNKNOWN, "x", is_retriable=False),
        errors.SendEventsError("away", ["1"]),
        errors.EventValidationError([(0, "data.n", "no number")], ["order"]),
        errors.RunFailedError("failed", "01"),
        errors.RunTimeoutError("late", "01"),
        errors.ConfigurationError("wrong"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_come_out_of_other_processes_as_they_were(error: Error) -> None:
    """A pool of processes stands still, or breaks, for one that cannot be made again."""
    again: Any = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))
