"""Answers: statuses, headers and bodies (http.md 6.5 to 6.8)."""

import datetime as dt
import json

import msgspec
import pytest

from stepwell.sdk.execution import outcome
from stepwell.sdk.step.asked import Ask, Met
from stepwell.sdk.step.identity import Names
from stepwell.wire.failure import Failure
from stepwell.wire.operation import StepError, StepFailed, Timing

MET = Met(Ask("a", "Title", "race", kind="k"), Names().next("a"), None)


def test_a_result() -> None:
    answer = outcome.returned(msgspec.Raw(b"null"))
    assert (answer.status, answer.body) == (200, b"null")
    assert answer.headers == {"content-type": "application/json", "x-inngest-req-version": "2"}


def test_an_empty_report_is_never_made() -> None:
    with pytest.raises(AssertionError):
        outcome.reported(())


def test_a_step_that_ran() -> None:
    ran = outcome.step_ran(MET, msgspec.Raw(b"42"), Timing(5, 6), msgspec.Raw(b"[1]"))
    answer = outcome.reported((ran,))
    assert answer.status == 206
    (found,) = json.loads(answer.body)
    assert found == {
        "id": "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8",
        "op": "StepRun",
        "name": "Title",
        "displayName": "Title",
        "opts": {"input": [1], "type": "k", "parallelMode": "race"},
        "userland": {"id": "a"},
        "data": 42,
        "timing": {"a": 5, "b": 6},
    }


@pytest.mark.parametrize("final", [True, False])
def test_a_step_that_broke(final: bool) -> None:
    broke = outcome.step_broke(MET, Failure("E", "m"), final=final, timing=None, given=None)
    assert isinstance(broke, StepFailed if final else StepError)
    assert broke.parallel_mode == "race"
    (found,) = json.loads(outcome.reported((broke,)).body)
    assert found["error"]["name"] == "E"
    assert found["op"] == ("StepFailed" if final else "StepError")


@pytest.mark.parametrize(
    ("retriable", "attempt", "max_attempts", "final"),
    [
        (True, 0, 4, False),
        (True, 2, 4, False),
        (True, 3, 4, True),
        (True, 0, 1, True),
        (True, 9, None, False),
        (False, 0, 4, True),
        (False, 0, None, True),
    ],
)
def test_the_last_try(retriable: bool, attempt: int, max_attempts: int | None, final: bool) -> None:
    found = outcome.is_final(retriable=retriable, attempt=attempt, max_attempts=max_attempts)
    assert found is final


@pytest.mark.parametrize(
    ("given", "header"),
    [
        (dt.timedelta(seconds=5), "5"),
        (dt.timedelta(milliseconds=1), "1"),
        (dt.timedelta(milliseconds=1500), "2"),
        (dt.timedelta(0), "0"),
        (dt.timedelta(days=-1), "0"),
        (dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2030-01-02T03:04:05+00:00"),
        (None, None),
    ],
)
def test_retry_after(given: outcome.RetryAfter | None, header: str | None) -> None:
    answer = outcome.broke(Failure(), retriable=True, retry_after=given)
    assert answer.headers.get("retry-after") == header


def test_a_function_that_broke() -> None:
    told = Failure("E", "m", "s", msgspec.Raw(b"{}"), code="unknown")
    answer = outcome.broke(told, retriable=True)
    assert (answer.status, answer.headers["x-inngest-no-retry"]) == (500, "false")
    assert json.loads(answer.body) == {
        "code": "unknown",
        "name": "E",
        "message": "m",
        "stack": "s",
    }
    final = outcome.broke(Failure("E", "m", code="step_errored"), retriable=False)
    assert final.headers["x-inngest-no-retry"] == "true"
