"""The logger of a call: rows E-140 to E-145, in both colours."""

import logging
from typing import Any

import pytest

from stepwell.sdk.client import Inngest
from stepwell.sdk.errors import NonRetriableError
from stepwell.sdk.execution.context import Context, ContextSync
from stepwell.sdk.middleware.log import ReplayFilter
from tests.replay.stage import Client, Stage

LOGGER = logging.getLogger("tests.calls")
OTHER = logging.getLogger("tests.elsewhere")


async def handler(ctx: Context[Any]) -> Any:
    async def work() -> int:
        ctx.logger.info("inside")
        OTHER.info("elsewhere inside")
        return 1

    ctx.logger.info("before")
    OTHER.info("elsewhere before")
    await ctx.step.run("a", work)
    ctx.logger.info("after")
    OTHER.info("elsewhere after")
    return 1


def handler_sync(ctx: ContextSync[Any]) -> Any:
    def work() -> int:
        ctx.logger.info("inside")
        OTHER.info("elsewhere inside")
        return 1

    ctx.logger.info("before")
    OTHER.info("elsewhere before")
    ctx.step.run("a", work)
    ctx.logger.info("after")
    OTHER.info("elsewhere after")
    return 1


BOTH = pytest.mark.parametrize("work", [handler, handler_sync])


class Foreign:
    """A logger as structlog and loguru make them."""

    def __init__(self, facts: dict[str, object] | None = None) -> None:
        self.facts = facts or {}
        self.lines: list[str] = []
        self.flushed = 0
        self.bound: list[Foreign] = []

    def bind(self, **facts: object) -> "Foreign":
        self.bound.append(Foreign(facts))
        return self.bound[-1]

    def info(self, text: str) -> None:
        self.lines.append(text)

    def error(self, text: str, **_: object) -> None:
        self.lines.append(text)

    def flush(self) -> None:
        self.flushed += 1


def test_e140_any_logger_and_a_default() -> None:
    assert Inngest(app_id="app").logger.name == "stepwell"
    foreign: Any = Foreign()
    assert Inngest(app_id="app", logger=foreign).logger is foreign


@BOTH
async def test_e141_lines_say_what_they_belong_to(
    work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    await Stage(work, client=Client(logger=LOGGER)).play()
    for record in caplog.records:
        facts: Any = record
        assert (facts.run_id[:3], facts.event_name, facts.attempt) == ("01M", "test/start", 0)
        assert facts.function_name
    inside: Any = next(record for record in caplog.records if record.message == "inside")
    assert inside.step_id == "a"
    assert not hasattr(caplog.records[0], "step_id")


async def test_e141_others_are_bound_and_may_break() -> None:
    foreign = Foreign()
    await Stage(handler, client=Client(logger=foreign)).play()
    assert [set(bound.facts) for bound in foreign.bound] == [
        {"run_id", "event_name", "function_name", "attempt"}
    ] * len(foreign.bound)

    class Broken(Foreign):
        def bind(self, **facts: object) -> Foreign:
            raise RuntimeError("no")

    broken = Broken()
    await Stage(handler, client=Client(logger=broken)).play()
    assert broken.lines == ["before", "inside", "after"]


@BOTH
async def test_e142_replayed_code_logs_nothing(work: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    await Stage(work, client=Client(logger=LOGGER)).play()
    lines = [record.message for record in caplog.records if record.name == LOGGER.name]
    assert lines == ["before", "inside", "after"]


@BOTH
async def test_e142_other_loggers_through_the_filter(work: Any) -> None:
    seen: list[Any] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), getattr(record, "step_id", None)))

    keeping = Keeping()
    keeping.addFilter(ReplayFilter())
    OTHER.addHandler(keeping)
    OTHER.setLevel(logging.INFO)
    try:
        OTHER.info("of no call")
        await Stage(work, client=Client(logger=LOGGER)).play()
    finally:
        OTHER.removeHandler(keeping)
    assert seen == [
        ("of no call", None),
        ("elsewhere before", None),
        ("elsewhere inside", "a"),
        ("elsewhere after", None),
    ]


@pytest.mark.parametrize("quiet", [False, True])
async def test_e143_errors_are_logged_with_their_traceback(
    quiet: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(ctx: Context[Any]) -> Any:
        raise NonRetriableError("no", quiet=quiet)

    await Stage(failing, client=Client(logger=LOGGER)).call()
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == (0 if quiet else 1)
    assert quiet or errors[0].exc_info


@BOTH
async def test_e144_handlers_are_flushed(work: Any) -> None:
    class Holding(logging.Handler):
        flushes = 0

        def flush(self) -> None:
            Holding.flushes += 1

    holding = Holding()
    LOGGER.addHandler(holding)
    LOGGER.setLevel(logging.INFO)
    try:
        await Stage(work, client=Client(logger=LOGGER)).call()
    finally:
        LOGGER.removeHandler(holding)
    assert Holding.flushes == 1

    foreign = Foreign()
    await Stage(work, client=Client(logger=foreign)).call()
    assert [bound.flushed for bound in foreign.bound] == [1]


async def test_e144_a_broken_flush_harms_nobody() -> None:
    class Broken(Foreign):
        def bind(self, **facts: object) -> Foreign:
            return self

        def flush(self) -> None:
            raise RuntimeError("no")

    assert await Stage(handler, client=Client(logger=Broken())).play() == 1


@BOTH
async def test_e145_calls_are_recorded_at_debug_level(
    work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, LOGGER.name)
    stage = Stage(work, client=Client(logger=LOGGER))
    await stage.call()
    mine = [record for record in caplog.records if record.name == LOGGER.name]
    lines = [record.message for record in mine if record.levelno == logging.DEBUG]
    assert lines == [
        f'call of function "{stage.function.id}" started',
        f'call of function "{stage.function.id}" finished with 206',
    ]
    assert all(record.run_id for record in mine)  # type: ignore[attr-defined]
