"""Class middleware with transforms, wraps and observers: rows B-70 to B-75, in both colours."""

import asyncio
import logging
from typing import Any

import pytest

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import NonRetriableError, SendEventsError, StepError
from stepwell.sdk.events.event import Event
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.sdk.middleware.layer import BaseMiddleware
from stepwell.sdk.step.context import Context, ContextSync
from tests.replay.stage import Client, Stage


async def steps(ctx: Context[Any]) -> Any:
    async def work(value: int) -> int:
        return value + 1

    first = await ctx.step.run("a", work, 1)
    await ctx.step.sleep("nap", 1)
    return first


def steps_sync(ctx: ContextSync[Any]) -> Any:
    first = ctx.step.run("a", lambda value: value + 1, 1)
    ctx.step.sleep("nap", 1)
    return first


BOTH = pytest.mark.parametrize("handler", [steps, steps_sync])


async def test_b70_registered_once_and_made_for_each_request() -> None:
    told: list[Any] = []
    made: list[Any] = []

    class Mine(BaseMiddleware):
        @staticmethod
        def on_register(client: Any, fn: Any) -> None:
            told.append(fn and fn.local_id)

        def __init__(self, client: Any, raw_request: object = None) -> None:
            super().__init__(client, raw_request)
            made.append(self)

    client = Inngest(app_id="app", middleware=[Mine])

    @client.create_function(fn_id="f", trigger=TriggerEvent(event="x"), middleware=[Mine])
    async def handler(ctx: Context[Any]) -> None:
        return None

    assert told == [None, "f"]
    stage = Stage(handler, client=client)  # type: ignore[arg-type]
    await stage.call()
    await stage.call()
    assert len(set(map(id, made))) == 4
    assert made[0].client is client


async def test_b70_a_coroutine_that_fails_to_register_is_named() -> None:
    class Mine(BaseMiddleware):
        @staticmethod
        async def on_register(client: Any, fn: Any) -> None:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError) as found:
        Inngest(app_id="app", middleware=[Mine])
    assert found.value.__notes__ == ["raised by middleware Mine.on_register"]


@BOTH
@pytest.mark.parametrize("returning", [False, True])
async def test_b71_transforms_go_inwards(handler: Any, returning: bool) -> None:
    class Outer(BaseMiddleware):
        async def transform_function_input(self, ctx: Any, fn: Any, steps: Any) -> Any:
            if returning:
                return {"ctx": {"mark": "outer"}}
            ctx.mark = "outer"
            return None

        async def transform_step_input(self, step: Any, args: list[Any]) -> Any:
            if returning:
                return [args[0] * 10]
            args[0] *= 10
            return None

    class Inner(BaseMiddleware):
        def transform_function_input(self, ctx: Any, fn: Any, steps: Any) -> None:
            assert ctx.mark == "outer"
            for output in steps.values():
                output.data = output.data and output.data + 1000

        def transform_step_input(self, step: Any, args: list[Any]) -> None:
            assert (step.id, step.memoized) == ("a", False)
            args[0] += 3

    stage = Stage(handler, client=Client(middleware=[Outer]), middleware=[Inner])
    assert await stage.play() == 1014


async def test_b71_events(sender: Any) -> None:
    class One(BaseMiddleware):
        async def transform_send_event(self, events: list[Event]) -> Any:
            return [*events, {"name": "more"}]

    class Two(BaseMiddleware):
        def transform_send_event(self, events: list[Event]) -> None:
            for event in events:
                event.data = {"seen": len(events)}

    await sender.send(sender.client(One, Two), Event(name="x"))
    assert [(e["name"], e["data"]["seen"]) for e in sender.events.sent] == [("x", 2), ("more", 2)]


def wrapping(log: list[str], name: str, *, plain: bool = False) -> type[BaseMiddleware]:
    """Middleware that writes down how its wraps begin and end."""

    class Wrapping(BaseMiddleware):
        id = name

        async def wrap_request(self, next: Any) -> Any:
            log.append(f"<{name} request")
            try:
                return await next()
            finally:
                log.append(f"{name} request>")

        async def wrap_function_handler(self, next: Any, ctx: Any, fn: Any) -> Any:
            log.append(f"<{name} handler")
            try:
                return await next()
            finally:
                log.append(f"{name} handler>")

        async def wrap_step(self, next: Any, step: Any, ctx: Any) -> Any:
            log.append(f"<{name} {step.id} {'known' if step.memoized else 'new'}")
            try:
                return await next()
            finally:
                log.append(f"{name} {step.id}>")

        async def wrap_step_handler(self, next: Any, step: Any, ctx: Any) -> Any:
            log.append(f"<{name} run {step.id}")
            try:
                return await next()
            finally:
                log.append(f"{name} run {step.id}>")

    return Wrapping


@BOTH
@pytest.mark.parametrize("blocking", [False, True])
async def test_b72_wraps_are_an_onion(handler: Any, blocking: bool) -> None:
    log: list[str] = []
    client = Client(middleware=[wrapping(log, "out")])
    stage = Stage(handler, client=client, middleware=[wrapping(log, "in")], blocking=blocking)
    answer = await stage.call()
    stage.settle(stage.operations(answer)[0])

    def onion(*names: str) -> list[str]:
        opening = [f"<{who} {name}" for name in names for who in ("out", "in")]
        closing = [f"{who} {name}>" for name in reversed(names) for who in ("in", "out")]
        return opening + [line.replace(" new>", ">").replace(" known>", ">") for line in closing]

    assert log == onion("request", "handler", "a new", "run a")
    log.clear()
    await stage.call()
    known, nap = onion("a known"), onion("nap new")
    assert log == [*onion("request", "handler")[:4], *known, *nap, *onion("request", "handler")[4:]]


@BOTH
@pytest.mark.parametrize("blocking", [False, True])
async def test_b72_what_wraps_return_counts(handler: Any, blocking: bool) -> None:
    class Changing(BaseMiddleware):
        async def wrap_function_handler(self, next: Any, ctx: Any, fn: Any) -> Any:
            return {"result": await next()}

        async def wrap_step(self, next: Any, step: Any, ctx: Any) -> Any:
            found = await next()
            return found if step.id == "nap" else found * 3

        async def wrap_step_handler(self, next: Any, step: Any, ctx: Any) -> Any:
            return await next() + 100

    stage = Stage(handler, client=Client(middleware=[Changing]), blocking=blocking)
    assert await stage.play() == {"result": 306}
    assert b"102" in bytes(next(iter(stage.steps.values())))


@BOTH
async def test_b72_plain_wraps(handler: Any) -> None:
    class Plain(BaseMiddleware):
        def wrap_step_handler(self, next: Any, step: Any, ctx: Any) -> Any:  # type: ignore[override]
            return next()

        def wrap_function_handler(self, next: Any, ctx: Any, fn: Any) -> Any:  # type: ignore[override]
            ctx.seen = True
            return next()

    assert await Stage(handler, client=Client(middleware=[Plain])).play() == 2


@BOTH
async def test_b72_a_wrap_may_try_again(handler: Any) -> None:
    tries: list[int] = []

    class Twice(BaseMiddleware):
        async def wrap_step_handler(self, next: Any, step: Any, ctx: Any) -> Any:
            tries.extend([await next(), await next()])
            return tries[-1]

    assert await Stage(handler, client=Client(middleware=[Twice])).play() == 2
    assert tries == [2, 2]


@BOTH
@pytest.mark.parametrize(
    ("hook", "status"),
    [("wrap_request", 500), ("wrap_function_handler", 500), ("wrap_step_handler", 206)],
)
async def test_e128_a_wrap_that_raises_is_named(handler: Any, hook: str, status: int) -> None:
    async def fail(self: Any, next: Any, *given: Any) -> Any:
        raise RuntimeError("broken wrap")

    mine = type("Mine", (BaseMiddleware,), {hook: fail})
    answer = await Stage(handler, client=Client(middleware=[mine])).call()
    assert answer.status == status
    assert f"broken wrap\\nraised by middleware Mine.{hook}".encode() in bytes(answer.body)


@pytest.mark.parametrize("blocking", [False, True])
async def test_errors_of_users_are_not_blamed_on_wraps(blocking: bool) -> None:
    def handler(ctx: ContextSync[Any]) -> Any:
        raise NonRetriableError("mine")

    client = Client(middleware=[wrapping([], "out"), wrapping([], "in")])
    answer = await Stage(handler, client=client, blocking=blocking).call()
    assert answer.status == 500
    assert b"raised by middleware" not in bytes(answer.body)


async def test_b72_an_answer_must_be_that_of_next() -> None:
    class Mine(BaseMiddleware):
        async def wrap_request(self, next: Any) -> Any:
            await next()

    answer = await Stage(steps, client=Client(middleware=[Mine])).call()
    assert answer.status == 500
    assert b"return what next() gave" in bytes(answer.body)


async def test_b72_sending(sender: Any) -> None:
    log: list[Any] = []

    class Mine(BaseMiddleware):
        async def wrap_send_event(self, next: Any, events: list[Event]) -> Any:
            log.append([event.name for event in events])
            try:
                return [f"{found}!" for found in await next()]
            except SendEventsError as error:
                log.append(str(error))
                raise

    client = sender.client(Mine)
    assert await sender.send(client, Event(name="x")) == ["id-0!"]
    sender.events.error = "refused"
    with pytest.raises(SendEventsError):
        await sender.send(client, Event(name="x"))
    assert log == [["x"], ["x"], "Inngest API Error: 400 refused"]


class Watching(BaseMiddleware):
    """Writes down what it sees."""

    log: list[str]

    async def on_memoization_end(self, ctx: Any, fn: Any) -> None:
        self.log.append("memoization end")

    def on_run_start(self, ctx: Any, fn: Any) -> None:
        self.log.append("run start")

    def on_run_complete(self, ctx: Any, fn: Any, output: Any) -> None:
        self.log.append(f"run complete {output}")

    async def on_run_error(self, ctx: Any, fn: Any, error: Any, is_final_attempt: bool) -> None:
        self.log.append(f"run error {error} {is_final_attempt}")

    def on_step_start(self, ctx: Any, step: Any) -> None:
        self.log.append(f"step start {step.id}")

    def on_step_complete(self, ctx: Any, step: Any, output: Any) -> None:
        self.log.append(f"step complete {step.id} {output}")

    def on_step_error(self, ctx: Any, step: Any, error: Any, is_final_attempt: bool) -> None:
        self.log.append(f"step error {step.id} {error} {is_final_attempt}")


@BOTH
async def test_b73_observers(handler: Any) -> None:
    log: list[str] = []
    watching = type("Watching", (Watching,), {"log": log})
    await Stage(handler, client=Client(middleware=[watching])).play()
    end = "memoization end"
    assert log == [
        *[end, "run start", "step start a", "step complete a 2"],
        *[end, end, "run complete 2"],
    ]


async def test_b73_a_run_begins_once_however_many_steps_are_called_for() -> None:
    async def handler(ctx: Context[Any]) -> Any:
        async def work() -> None: ...

        await asyncio.gather(*(ctx.step.run(name, work) for name in "abc"))

    log: list[str] = []
    watching = type("Watching", (Watching,), {"log": log})
    await Stage(handler, client=Client(middleware=[watching])).play()
    assert log.count("run start") == 1
    assert [line for line in log if line.startswith("step start")] == [
        "step start a",
        "step start b",
        "step start c",
    ]


async def test_b73_errors_and_final_attempts() -> None:
    async def handler(ctx: Context[Any]) -> Any:
        async def work() -> None:
            raise ValueError("no")

        try:
            await ctx.step.run("a", work)
        except StepError:
            raise NonRetriableError("given up") from None

    log: list[str] = []
    watching = type("Watching", (Watching,), {"log": log})
    stage = Stage(handler, client=Client(middleware=[watching]), max_attempts=2)
    for attempt in (0, 1):
        stage.attempt = attempt
        answer = await stage.call()
    stage.settle(stage.operations(answer)[0])
    stage.attempt = 0
    await stage.call()
    assert [line for line in log if "error" in line] == [
        "step error a no False",
        "step error a no True",
        "run error given up True",
    ]
    assert log.count("run start") == 1


@BOTH
async def test_b73_what_observers_raise_is_logged(
    handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Any, *given: Any) -> None:
        raise RuntimeError("broken observer")

    async def fail_later(self: Any, *given: Any) -> None:
        raise RuntimeError("broken observer")

    mine = type("Mine", (BaseMiddleware,), {"on_run_start": fail, "on_step_start": fail_later})
    client = Client(middleware=[mine], logger=logging.getLogger("observers"))
    assert await Stage(handler, client=client).play() == 2
    assert [record.message.split(" raised")[0] for record in caplog.records] == [
        "middleware Mine.on_run_start",
        "middleware Mine.on_step_start",
    ]


async def test_b75_steps_inside_wraps() -> None:
    log: list[str] = []

    class Audit(BaseMiddleware):
        async def wrap_function_handler(self, next: Any, ctx: Any, fn: Any) -> Any:
            async def note() -> str:
                log.append("noted")
                return "noted"

            before = await ctx.step.run("audit-run", note)
            return [before, await next()]

        async def wrap_step(self, next: Any, step: Any, ctx: Any) -> Any:
            async def note() -> str:
                log.append(f"noted {step.id}")
                return step.id  # type: ignore[no-any-return]

            if step.id == "a":
                assert await ctx.step.run(f"audit-{step.id}", note) == "a"
            return await next()

    stage = Stage(steps, client=Client(middleware=[Audit]))
    assert await stage.play() == ["noted", 2]
    assert log == ["noted", "noted a"]
