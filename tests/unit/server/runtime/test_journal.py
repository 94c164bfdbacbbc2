"""What the log tells of runs and apps: each thing once, with what is needed to find it again."""

import logging
import threading
from typing import Any, cast

import pytest

from stepwell.server.engine.message.action import Announce, Topic
from stepwell.server.engine.message.input import CancelAsked
from stepwell.server.engine.row.run import AppRow
from stepwell.server.runtime.journal import Journal
from stepwell.server.runtime.perform import Performer
from stepwell.server.store.port import Reader, Unavailable
from stepwell.wire.failure import Failure
from stepwell.wire.operation import StepError
from tests.bench import Bench, broke, function, progressed

PAY_FAILED = StepError(id="hash-pay", display_name="pay", failure=Failure("ValueError", "no luck"))


class Told:
    """A bench whose actions reach a journal."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.bench = Bench()
        self.performer = Performer()
        self.journal = Journal(self.performer, self.bench.reader)
        self.caplog = caplog

    def lines(self) -> list[tuple[str, dict[str, Any]]]:
        self.performer.perform(self.bench.actions)
        told = [
            (record.getMessage(), getattr(record, "facts", {})) for record in self.caplog.records
        ]
        self.caplog.clear()
        return told


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    caplog.set_level(logging.INFO, "stepwell.server")
    return Told(caplog)


def test_a_failing_attempt_and_the_end_of_the_run_are_told_once_each(told: Told) -> None:
    run = told.bench.begin(function(event="go", retries=1))
    assert told.lines() == []
    told.bench.answer(progressed(PAY_FAILED))
    ((line, facts),) = told.lines()
    assert line.startswith(f"run {run.id} of shop-work: attempt 1 of step pay failed")
    assert (facts["run_id"], facts["function"], facts["step"], facts["attempt"]) == (
        run.id,
        "shop-work",
        "pay",
        1,
    )
    told.bench.pass_time(60_000)
    told.bench.answer(progressed(PAY_FAILED))
    assert told.lines() == []  # the step failed for good: the function is told, and may catch it
    told.bench.answer(broke(no_retry=True))
    ((line, facts),) = told.lines()
    assert line.startswith(f"run {run.id} of shop-work failed: ")
    assert facts["reason"]


def test_a_failing_function_is_told_without_a_step(told: Told) -> None:
    run = told.bench.begin(function(event="go", retries=1))
    told.bench.answer(broke())
    ((line, _),) = told.lines()
    assert line.startswith(f"run {run.id} of shop-work: attempt 1 of function failed")


def test_a_run_that_is_cancelled_is_told(told: Told) -> None:
    run = told.bench.begin(function(event="go"))
    told.bench.submit(CancelAsked(run.id))
    assert [line for line, _ in told.lines()] == [f"run {run.id} of shop-work was cancelled"]


def test_a_function_that_goes_is_told_where_runs_hang_on_it(told: Told) -> None:
    told.bench.begin(function(event="go"), function("other", event="other"))
    told.bench.register(checksum="2")
    assert [line for line, _ in told.lines()] == [
        "function shop-work is served no longer; runs of it wait: stepwell doctor"
    ]


def test_a_registration_is_told_when_something_is_different(told: Told) -> None:
    row = AppRow("shop", "http://shop.test/api", "serve", "py:v1", "", "", "1", 0)
    for app, functions in (
        (row, 1),
        (row, 1),
        (AppRow("shop", "ws", "connect", "", "", "", "2", 0), 2),
    ):
        told.journal.registered(app, functions)
    assert [line for line, _ in told.lines()] == [
        "app shop registered 1 function at http://shop.test/api (py:v1)",
        "app shop registered 2 functions by connect (unknown SDK)",
    ]


class Far:
    """A reader on a network, which is away."""

    blocks = True

    def __init__(self) -> None:
        self.asked_on: set[int] = set()

    def run(self, run_id: str) -> None:
        self.asked_on.add(threading.get_ident())
        raise Unavailable("it is away")


def test_a_database_that_is_away_is_asked_beside_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stepwell.server")
    performer, far = Performer(), Far()
    journal = Journal(performer, cast("Reader", far))
    performer.perform([Announce(Topic.RUN_FAILED, "R1"), Announce(Topic.RUN_FAILED, "R2")])
    journal.close()
    assert threading.get_ident() not in far.asked_on
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"run.failed of {run} cannot be told: it is away" for run in ("R1", "R2")]
