"""What a call writes into the log: once, in whatever style the logger has."""

import logging
from typing import Any

import pytest

from stepwell.sdk.errors import (
    NonRetriableError,
)
from stepwell.sdk.step.context import Context, ContextSync
from tests.replay.stage import Client, Stage
from tests.unit.sdk.execution.handlers import fail, give, in_both_colours, stepping


def logger_of(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    caplog.set_level(logging.DEBUG, "tests.run")
    return logging.getLogger("tests.run")


@pytest.mark.parametrize("plain", [False, True])
async def test_lines_are_written_once(plain: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ctx: Context) -> None:
        ctx.logger.info("start")
        await ctx.step.run("a", give, 1)
        ctx.logger.info("between", extra={"mine": 5})
        await ctx.step.sleep("nap", 1)
        ctx.logger.warning("end")

    def blocking(ctx: ContextSync) -> None:
        ctx.logger.info("start")
        ctx.step.run("a", lambda: 1)
        ctx.logger.info("between", extra={"mine": 5})
        ctx.step.sleep("nap", 1)
        ctx.logger.warning("end")

    client = Client(logger=logger_of(caplog))
    await Stage(blocking if plain else handler, client=client).play()
    lines = [r for r in caplog.records if r.name == "tests.run" and r.levelno > logging.DEBUG]
    assert [record.message for record in lines] == ["start", "between", "end"]
    assert lines[1].mine == 5  # type: ignore[attr-defined]
    assert {line.event_name for line in lines} == {"test/start"}  # type: ignore[attr-defined]
    assert {line.attempt for line in lines} == {0}  # type: ignore[attr-defined]


async def test_errors_are_logged_unless_quiet(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(logger=logger_of(caplog))
    for error in (ValueError("loud"), NonRetriableError("still", quiet=True)):
        for handler in (*in_both_colours(lambda: fail(error)), *stepping(lambda: fail(error))):  # noqa: B023
            await Stage(handler, client=client).call()
    found = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(found) == 4
    assert all("loud" in record.message and record.exc_info for record in found)


class Foreign:
    """A logger in another style."""

    def __init__(self, lines: list[Any], facts: dict[str, Any] | None = None) -> None:
        self.lines, self.facts, self.level = lines, facts or {}, 7

    def bind(self, **facts: Any) -> "Foreign":
        return Foreign(self.lines, facts)

    def info(self, line: str) -> None:
        self.lines.append((line, self.facts.get("function_name")))

    def error(self, line: str, **_: Any) -> None:
        raise RuntimeError("a broken logger")


async def test_loggers_of_other_styles() -> None:
    async def handler(ctx: Context) -> None:
        ctx.logger.info("start")
        await ctx.step.run("a", give, 1)
        ctx.logger.info("end")
        raise ValueError(str(ctx.logger.level))  # type: ignore[union-attr]

    lines: list[Any] = []
    found = await Stage(handler, client=Client(logger=Foreign(lines))).play()
    assert found["message"] == "7"
    assert lines == [("start", "handler"), ("end", "handler")]


# Context
