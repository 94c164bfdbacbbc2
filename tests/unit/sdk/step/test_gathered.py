"""What `ctx.logger` writes goes to a server that keeps it: with what it belongs to, and bounded."""

import json
import logging
from typing import Any

import loguru
import msgspec
import pytest
import structlog

from stepwell.sdk.execution.run import run_call, run_call_sync
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sdk.step.gathered import Gathered
from stepwell.sdk.step.log import is_kept
from stepwell.wire import log
from stepwell.wire.execution import CallResponse
from stepwell.wire.log import LogLine, lines_in_error
from stepwell.wire.operation import Logs, Operation, RunComplete, StepRun
from stepwell.wire.operation_decode import decode_operations
from tests.replay.stage import Client, Stage

LOGGER = logging.getLogger("tests.gathered")
LOGGER.setLevel(logging.INFO)


async def call(work: Any, *, logger: Any = LOGGER, kept: bool = True, save: Any = None) -> Any:
    """Call a function once, as a server would that keeps lines."""
    stage = Stage(work, client=Client(logger=logger))
    request = msgspec.structs.replace(stage.request(), keeps_logs=kept)
    if stage.function.is_handler_async:
        return await run_call(stage.function, request, client=stage.client, save=save)
    return run_call_sync(stage.function, request, client=stage.client)


def lines_of(answer: CallResponse) -> list[LogLine]:
    told = decode_operations(answer.body)
    return [line for one in told if isinstance(one, Logs) for line in one.lines]


async def both(ctx: Context[Any]) -> int:
    async def work() -> int:
        ctx.logger.warning("inside %s", "it")
        return 1

    ctx.logger.info("before")
    ctx.logger.debug("too fine")
    return await ctx.step.run("a", work)


def plain(ctx: ContextSync[Any]) -> int:
    def work() -> int:
        ctx.logger.warning("inside %s", "it")
        return 1

    ctx.logger.info("before")
    ctx.logger.debug("too fine")
    return ctx.step.run("a", work)


@pytest.mark.parametrize("work", [both, plain])
@pytest.mark.logs("inside it")
async def test_lines_go_with_the_step_they_were_written_before(work: Any) -> None:
    answer = await call(work)
    step, _ = decode_operations(answer.body)
    assert isinstance(step, StepRun)
    before, inside = lines_of(answer)
    assert (before.level, before.text, before.step, before.name) == ("info", "before", "", "")
    assert (inside.level, inside.text) == ("warning", "inside it")
    assert (inside.step, inside.name) == (step.id, "a")
    assert before.at < inside.at


@pytest.mark.parametrize("work", [both, plain])
@pytest.mark.logs("inside it")
async def test_other_servers_are_sent_nothing(work: Any) -> None:
    answer = await call(work, kept=False)
    (step,) = decode_operations(answer.body)
    assert isinstance(step, StepRun)


async def test_what_a_function_returns_and_raises_takes_lines_along() -> None:
    async def returns(ctx: Context[Any]) -> int:
        ctx.logger.info("said")
        return 3

    async def silent(ctx: Context[Any]) -> int:
        return 3

    async def raises(ctx: Context[Any]) -> None:
        ctx.logger.info("said")
        raise ValueError("no")

    logger = logging.getLogger("tests.gathered.quiet")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    lines, end = decode_operations((await call(returns, logger=logger)).body)
    assert isinstance(lines, Logs)
    assert isinstance(end, RunComplete)
    assert bytes(end.data) == b"3"
    quiet = await call(silent, logger=logger)
    assert (quiet.status, quiet.body) == (200, b"3")
    broken = await call(raises, logger=logger)
    body, told = lines_in_error(broken.body)
    assert (broken.status, [line.text for line in told]) == (500, ["said"])
    assert json.loads(body)["message"] == "no"
    assert "stepwell_logs" not in json.loads(body)


@pytest.mark.parametrize("fails", [False, True], ids=["saved", "not saved"])
@pytest.mark.logs("inside it")
async def test_what_was_saved_on_the_way_is_not_told_again(fails: bool) -> None:
    saved: list[tuple[Operation, ...]] = []

    async def save(operations: tuple[Operation, ...]) -> None:
        saved.append(operations)
        if fails:
            raise OSError("lost")

    async def work(ctx: Context[Any]) -> int:
        found = await both(ctx)
        ctx.logger.info("after")
        return found

    answer = await call(work, save=save)
    (_, first), *_ = saved
    assert isinstance(first, Logs)
    assert [line.text for line in first.lines] == ["before", "inside it"]
    # The server knows the same line by its time: what it may have kept comes as it was.
    assert [line.text for line in lines_of(answer)] == (
        ["before", "inside it"] if fails else ["after"]
    )
    if fails:
        assert lines_of(answer) == list(first.lines)


CHOSEN = [
    ({}, logging.INFO, True),
    ({}, logging.DEBUG, False),
    ({}, logging.WARNING, True),
    ({"shop": logging.WARNING}, logging.INFO, False),
    ({"shop.orders": logging.ERROR}, logging.WARNING, False),
    ({"shop": logging.DEBUG}, logging.DEBUG, True),
    ({"": logging.ERROR}, logging.INFO, False),
    ({"": logging.INFO}, logging.INFO, True),
]


@pytest.mark.parametrize(("levels", "level", "kept"), CHOSEN)
@pytest.mark.parametrize("adapted", [False, True])
def test_info_is_kept_where_nobody_chose_a_level(
    levels: dict[str, int], level: int, kept: bool, adapted: bool
) -> None:
    manager = logging.Manager(logging.RootLogger(logging.WARNING))
    for name, chosen in levels.items():
        (manager.getLogger(name) if name else manager.root).setLevel(chosen)
    logger = manager.getLogger("shop.orders")
    assert is_kept(logging.LoggerAdapter(logger) if adapted else logger, level) is kept
    manager.disable = level
    assert not is_kept(manager.getLogger("shop.orders.later"), level)


def test_an_answer_takes_so_many_lines_and_says_what_it_left() -> None:
    many = Gathered()
    for number in range(300):
        many.add(logging.INFO, "line %d", (number,), {})
    *kept, last = many.waiting()
    assert len(kept) == log.LINES_PER_ANSWER_MAX
    assert last.text.startswith("[100 more lines are not kept: ")
    large = Gathered()
    for _ in range(300):
        large.add(logging.INFO, "x" * 9_000, (), {})
    *kept, last = large.waiting()
    assert sum(len(line.text) for line in kept) <= log.BYTES_PER_ANSWER_MAX
    assert "[shortened: 9000 characters]" in kept[0].text
    large.kept(large.operation())
    assert not large


def test_lines_read_as_they_were_meant() -> None:
    lines = Gathered()
    try:
        raise KeyError("lost")
    except KeyError as error:
        lines.add(logging.ERROR, "while looking", (), {"exc_info": True, "extra": {"a": 1}})
        lines.add(logging.ERROR, "so", (), {"exc_info": error})
    lines.add(logging.INFO, "%(a)s and %(b)d", ({"a": "x", "b": 2},), {})
    lines.add(logging.INFO, "{} of {n}", (1,), {"n": 2}, braces=True)
    lines.add(logging.INFO, "paid", (), {"amount": 3})
    lines.add(logging.INFO, "%d", ("no number",), {})
    lines.add(logging.INFO, "half a \ud83d pair", (), {})
    lines.add(logging.DEBUG, "too fine", (), {})
    texts = [line.text for line in lines.waiting()]
    for text in texts[:2]:
        assert "Traceback (most recent call last):" in text
        assert text.endswith("KeyError: 'lost'")
    assert texts[2:] == [
        "x and 2",
        "1 of 2",
        "paid amount=3",
        "(this line could not be written)",
        "half a ? pair",
    ]
    assert json.loads(bytes(log.encode_lines(lines.waiting())))


class Mine(logging.Logger):
    """A logger class of the user's."""


async def test_whoever_writes_lines_finds_the_place_they_come_from(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No frame of ours stands between, whatever the logger."""

    async def work(ctx: Context[Any]) -> None:
        ctx.logger.info("said")

    mine = Mine("tests.gathered.mine")
    mine.addHandler(caplog.handler)
    for logger in (LOGGER, mine):
        caplog.clear()
        with caplog.at_level(logging.INFO, LOGGER.name):
            answer = await call(work, logger=logger)
        assert [line.text for line in lines_of(answer)] == ["said"]
        assert [(one.filename, one.funcName) for one in caplog.records] == [
            ("test_gathered.py", "work")
        ]
    places: list[Any] = []
    core = loguru.logger.opt()
    core.remove()
    core.add(lambda message: places.append(message.record["function"]), level="INFO")
    assert [line.text for line in lines_of(await call(work, logger=core))] == ["said"]
    core.remove()

    def keep(_: object, __: str, event: Any) -> str:
        places.append(event["func_name"])
        raise structlog.DropEvent

    found = structlog.processors.CallsiteParameterAdder(
        {structlog.processors.CallsiteParameter.FUNC_NAME}
    )
    of_structlog = structlog.wrap_logger(structlog.PrintLogger(), processors=[found, keep])
    assert [line.text for line in lines_of(await call(work, logger=of_structlog))] == ["said"]
    assert places == ["work", "work"]
