"""Lines of `ctx.logger` are kept with their run: each once, however often code is gone through."""

import datetime as dt
import logging
from typing import Any

import pytest

import stepwell as sw
from stepwell.testing import Harness

logger = logging.getLogger("tests.kept")
logger.setLevel(logging.INFO)
client = sw.Inngest(app_id="writes", is_production=False, logger=logger)


@client.create_function(fn_id="async", trigger=sw.TriggerEvent(event="writes/async"), retries=1)
async def of_both(ctx: sw.Context) -> int:
    async def first() -> None:
        ctx.logger.info("in %s", "one")
        ctx.logger.debug("not kept: the logger does not write it")

    ctx.logger.info("begun")
    await ctx.step.run("one", first)
    ctx.logger.info("between")
    await ctx.step.sleep("nap", dt.timedelta(hours=1))
    ctx.logger.info("before the end")
    if ctx.attempt == 0:
        raise sw.RetryAfterError("once", 1000, quiet=True)
    return 3


BOTH: list[dict[str, Any]] = [
    {"level": "info", "text": "begun", "attempt": 0},
    {"level": "info", "text": "in one", "step": "one", "attempt": 0},
    {"level": "info", "text": "between", "attempt": 0},
    {"level": "info", "text": "before the end", "attempt": 0},
    {"level": "info", "text": "before the end", "attempt": 1},
]


@client.create_function(fn_id="sync", trigger=sw.TriggerEvent(event="writes/sync"), retries=1)
def of_threads(ctx: sw.ContextSync) -> int:
    def first() -> None:
        ctx.logger.info("in %s", "one")

    ctx.logger.info("begun")
    ctx.step.run("one", first)
    ctx.logger.info("between")
    ctx.step.sleep("nap", dt.timedelta(hours=1))
    ctx.logger.info("before the end")
    if ctx.attempt == 0:
        raise sw.RetryAfterError("once", 1000, quiet=True)
    return 3


@client.create_function(fn_id="fails", trigger=sw.TriggerEvent(event="writes/fails"), retries=1)
async def fails(ctx: sw.Context) -> None:
    async def breaks() -> None:
        ctx.logger.info("attempt %d", ctx.attempt)
        raise sw.RetryAfterError("no", 1000, quiet=True)

    await ctx.step.run("breaks", breaks)


@pytest.mark.parametrize("function", [of_both, of_threads], ids=lambda one: one.id)
async def test_each_line_is_kept_once_with_its_step_and_attempt(
    stepwell: Harness, function: sw.Function[Any]
) -> None:
    stepwell.serve(client, [function])
    run = (await stepwell.send(sw.Event(name=function.id.replace("-", "/")))).run
    await stepwell.advance(until=run)
    assert run.result == 3
    assert run.logs == BOTH


async def test_a_step_that_fails_keeps_what_it_wrote(stepwell: Harness) -> None:
    stepwell.serve(client, [fails])
    run = (await stepwell.send(sw.Event(name="writes/fails"))).run
    await stepwell.advance(until=run)
    assert run.status == "Failed"
    assert run.logs == [
        {"level": "info", "text": "attempt 0", "step": "breaks", "attempt": 0},
        {"level": "info", "text": "attempt 1", "step": "breaks", "attempt": 1},
    ]


async def test_a_client_may_keep_its_lines_back(stepwell: Harness) -> None:
    quiet = sw.Inngest(app_id="quiet", is_production=False, logger=logger, logs=False)

    @quiet.create_function(fn_id="q", trigger=sw.TriggerEvent(event="quiet/q"))
    async def q(ctx: sw.Context) -> None:
        ctx.logger.info("said")

    stepwell.serve(quiet, [q])
    assert (await stepwell.send(sw.Event(name="quiet/q"))).run.logs == []
