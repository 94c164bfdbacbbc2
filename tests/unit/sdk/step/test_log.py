"""The logger of a call: rows E-140 to E-145, in both colours."""

import asyncio
import logging
from typing import Any, cast

import loguru
import msgspec
import pytest
import structlog

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import NonRetriableError
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sdk.step.log import ReplayFilter, is_replaying
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


ACCEPTED = (200, {}, b'{"ids":["1"],"status":200}')
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


def test_e_140_any_logger_and_a_default() -> None:
    assert Inngest(app_id="app").logger.name == "stepwell"
    foreign: Any = Foreign()
    assert Inngest(app_id="app", logger=foreign).logger is foreign


@BOTH
async def test_e_141_lines_say_what_they_belong_to(
    work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    await Stage(work, client=Client(logger=LOGGER)).play()
    ours = [record for record in caplog.records if record.name == LOGGER.name]
    for record in ours:
        facts: Any = record
        assert (facts.run_id[:3], facts.event_name, facts.attempt) == ("01M", "test/start", 0)
        assert facts.function_name
    inside: Any = next(record for record in ours if record.message == "inside")
    assert inside.step_id == "a"
    assert not hasattr(ours[0], "step_id")


class Mine(logging.Logger):
    """A logger class as users write it: with methods changed, and one more."""

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        kwargs["stacklevel"] = 2
        super().info(f"mine: {msg}", *args, **kwargs)

    def error(self, msg: object) -> None:  # type: ignore[override]
        super().error("short: %s", msg)

    def audit(self, msg: str) -> None:
        self.info("audit: %s", msg)


@BOTH
async def test_e_141_a_logger_class_of_the_user_is_called_by_its_own_methods(
    work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    mine = Mine("tests.mine")
    mine.addHandler(caplog.handler)
    mine.setLevel(logging.INFO)
    await Stage(work, client=Client(logger=mine)).play()
    own = [r for r in caplog.records if r.name == mine.name]
    told = [(r.getMessage(), r.filename, r.__dict__.get("run_id")) for r in own]
    assert [text for text, _, _ in told] == ["mine: before", "mine: inside", "mine: after"]
    assert {file for _, file, _ in told} == {"test_log.py"}
    assert None not in {run for _, _, run in told}

    async def more(ctx: Context[Any]) -> None:
        logger: Any = ctx.logger
        logger.error("no keywords")
        logger.audit("who")
        logger.info("%s", "own", extra={"mine": 1})

    caplog.clear()
    await Stage(more, client=Client(logger=mine)).play()
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["short: no keywords", "mine: audit: who", "mine: own"]
    assert caplog.records[2].__dict__["mine"] == 1
    assert caplog.records[2].__dict__["run_id"]


async def test_e_141_others_are_bound_and_may_break() -> None:
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
async def test_e_142_replayed_code_logs_nothing(
    work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    await Stage(work, client=Client(logger=LOGGER)).play()
    lines = [record.message for record in caplog.records if record.name == LOGGER.name]
    assert lines == ["before", "inside", "after"]


async def beside(ctx: Context[Any]) -> Any:
    async def work(name: str) -> None:
        ctx.logger.info(name)

    async def both(names: str) -> None:
        await asyncio.gather(*(ctx.step.run(name, work, name) for name in names))

    ctx.logger.info("before")
    await both("ab")
    ctx.logger.info("between")
    await both("cd")
    ctx.logger.info("after")


def beside_sync(ctx: ContextSync[Any]) -> Any:
    def both(names: str) -> None:
        ctx.group.parallel(
            tuple(lambda name=name: ctx.step.run(name, ctx.logger.info, name) for name in names)  # type: ignore[misc]
        )

    ctx.logger.info("before")
    both("ab")
    ctx.logger.info("between")
    both("cd")
    ctx.logger.info("after")


@pytest.mark.parametrize("work", [beside, beside_sync])
async def test_e_142_calls_for_one_step_of_several_log_only_that(
    work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    await Stage(work, client=Client(logger=LOGGER)).play()
    lines = [record.message for record in caplog.records if record.name == LOGGER.name]
    assert lines == ["before", "a", "b", "between", "c", "d", "after"]


@BOTH
async def test_e_142_other_loggers_through_the_filter(work: Any) -> None:
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
async def test_e_143_errors_are_logged_with_their_traceback(
    quiet: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(ctx: Context[Any]) -> Any:
        raise NonRetriableError("no", quiet=quiet)

    await Stage(failing, client=Client(logger=LOGGER)).call()
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == (0 if quiet else 1)
    assert quiet or errors[0].exc_info


@BOTH
async def test_e_144_handlers_are_flushed(work: Any) -> None:
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


async def test_e_144_a_broken_flush_harms_nobody() -> None:
    class Broken(Foreign):
        def bind(self, **facts: object) -> Foreign:
            return self

        def flush(self) -> None:
            raise RuntimeError("no")

    assert await Stage(handler, client=Client(logger=Broken())).play() == 1


@BOTH
async def test_e_145_calls_are_recorded_at_debug_level(
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


# The real structlog and loguru


@BOTH
async def test_e_140_an_adapter_of_another_logger_decides_by_that(
    work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bound = structlog.stdlib.BoundLogger(logging.getLogger("tests.bound"), [], {})
    adapter = logging.LoggerAdapter(cast(Any, bound), {})
    assert await Stage(work, client=Client(logger=adapter)).play() == 1
    assert "tests.bound" not in {one.name for one in caplog.records}  # nobody asked for INFO


async def test_lines_that_are_awaited_are_written_once() -> None:
    """Both by methods for it and by loggers of which every method is one."""

    async def work(ctx: Any) -> int:
        await ctx.logger.ainfo("began %s", "a")
        await ctx.step.run("one", lambda: 1)
        await ctx.logger.ainfo("ended")
        return 1

    async def all_wait(ctx: Any) -> int:
        await ctx.logger.info("began %s", "a")
        await ctx.step.run("one", lambda: 1)
        await ctx.logger.info("ended")
        return 1

    for one, kind in (
        (work, structlog.make_filtering_bound_logger(logging.INFO)),
        (all_wait, structlog.stdlib.AsyncBoundLogger),
    ):
        written: list[Any] = []

        def keep(_: object, __: str, event: Any, written: list[Any] = written) -> Any:
            written.append(event["event"])
            raise structlog.DropEvent

        async def play(one: Any, kind: Any, keep: Any) -> object:
            logger = structlog.wrap_logger(
                structlog.PrintLogger(), processors=[keep], wrapper_class=kind
            )
            return await Stage(one, client=Client(logger=logger)).play()

        assert await play(one, kind, keep) == 1
        assert [text for text in written if not text.startswith("call of")] == [
            "began a" if one is work else "began %s",
            "ended",
        ]


class Line(msgspec.Struct):
    """What somebody reads of a line."""

    text: str
    facts: dict[str, Any]
    error: object = None


Written = list[Line]
Kept = tuple[Any, Written]


def by_structlog() -> Kept:
    written: Written = []

    def keep(_: object, level: str, event: Any) -> str:
        error = event.pop("exc_info", None)
        written.append(Line(event.pop("event"), event, error))
        raise structlog.DropEvent

    return structlog.wrap_logger(structlog.PrintLogger(), processors=[keep]), written


def by_loguru() -> Kept:
    written: Written = []

    def keep(message: Any) -> None:
        record = message.record
        error = record["exception"] and record["exception"].value
        written.append(Line(record["message"], dict(record["extra"]), error))

    core = loguru.logger.opt()
    core.remove()
    core.add(keep, format="{message}", level="TRACE")
    return core, written


KINDS = pytest.mark.parametrize("kind", [by_structlog, by_loguru])


@BOTH
@KINDS
async def test_e_142_structlog_and_loguru_write_each_line_once(work: Any, kind: Any) -> None:
    logger, written = kind()
    await Stage(work, client=Client(logger=logger)).play()
    assert [line.text for line in written] == ["before", "inside", "after"]
    facts = {"run_id", "event_name", "function_name", "attempt"}
    assert [set(line.facts) - facts for line in written] == [set(), {"step_id"}, set()]
    assert all(facts <= set(line.facts) for line in written)
    assert written[1].facts["step_id"] == "a"


@KINDS
async def test_e_143_structlog_and_loguru_get_errors_with_their_traceback(kind: Any) -> None:
    logger, written = kind()
    raised = NonRetriableError("a {brace} and 100% %s")

    async def failing(ctx: Context[Any]) -> Any:
        raise raised

    await Stage(failing, client=Client(logger=logger)).call()
    (line,) = written
    assert line.text.endswith("a {brace} and 100% %s")
    assert line.error is raised


@KINDS
async def test_e_140_structlog_and_loguru_get_the_sdks_own_lines_whole(kind: Any) -> None:
    logger, written = kind()
    client = Inngest(app_id="app", is_dev=True, logger=logger, http_client=lambda *_: ACCEPTED)
    await client.send({"name": "{big} %s", "data": {"x": "y" * 300_000}})
    (line,) = written
    assert line.text.startswith("event '{big} %s' is large: 3000")
    client.log.info("%d of %d", 1, 2)
    client.log.log(logging.WARNING, "%s", "level by number")
    try:
        raise KeyError("lost")
    except KeyError:
        client.log.exception("while looking")
    assert isinstance(written[-1].error, KeyError)
    assert [line.text for line in written[1:]] == ["1 of 2", "level by number", "while looking"]


@BOTH
async def test_e_142_any_logger_can_ask_whether_code_is_replayed(work: Any) -> None:
    """As a processor of structlog and a filter of loguru do, for loggers of modules."""
    assert not is_replaying()
    seen: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not is_replaying():
                seen.append(record.getMessage())

    keeping = Keeping()
    OTHER.addHandler(keeping)
    OTHER.setLevel(logging.INFO)
    try:
        await Stage(work, client=Client(logger=LOGGER)).play()
    finally:
        OTHER.removeHandler(keeping)
    assert seen == ["elsewhere before", "elsewhere inside", "elsewhere after"]
