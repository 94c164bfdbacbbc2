"""Every way data leaves or enters a function, at both levels of middleware, in both colours.

The middleware seals what leaves and opens what enters. Whatever the way: nothing plain leaves, and
user code sees nothing sealed.
"""

import json
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from stepwell.experimental import realtime
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import NonRetriableError
from stepwell.sdk.function.function import Function
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.sdk.invoke.port import Invoked, RunSeen
from stepwell.sdk.middleware.declared import InngestMiddleware
from stepwell.sdk.middleware.hook import Middleware
from stepwell.sdk.net.port import HttpReply
from stepwell.wire import operation as ops
from tests.replay.stage import EVENT, Stage
from tests.unit.sdk.middleware.conftest import Events

SECRET = "4111-1111"
PLAIN = {"card": SECRET}
SEALED = {"card": {"sealed": SECRET[::-1]}}
CHILD = TriggerEvent(event="shop/child")


def seal(value: Any) -> Any:
    """The value with every secret in it sealed; again, it stays as it is."""
    text = json.dumps(value).replace(f'"{SECRET}"', f'{{"sealed": "{SECRET[::-1]}"}}')
    return json.loads(text)


def unseal(value: Any) -> Any:
    text = json.dumps(value).replace(f'{{"sealed": "{SECRET[::-1]}"}}', f'"{SECRET}"')
    return json.loads(text)


class Sealing(Middleware):
    """By the hooks of classes."""

    async def before_send_events(self, events: list[Any]) -> None:
        for event in events:
            event.data = seal(event.data)

    async def after_send_events(self, result: Any) -> None:
        result.ids = [f"seen {one}" for one in result.ids]

    async def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
        for output in steps.values():
            output.data = unseal(output.data)
        ctx.event.data = unseal(ctx.event.data)

    async def transform_output(self, result: Any) -> None:
        if result.has_output():
            result.output = seal(result.output)
        if result.error is not None and SECRET in str(result.error):
            result.error = NonRetriableError("sealed")
        if result.step is not None and result.step.opts:
            result.step.opts.update(seal(result.step.opts))

    async def read_result(self, result: Any) -> None:
        result.data = unseal(result.data)


def declared() -> InngestMiddleware:
    """By an `init` function, as the third version has them."""

    def init() -> Any:
        def on_function_run(ctx: Any, steps: Any) -> Any:
            def transform_input(ctx: Any, steps: Any) -> Any:
                return {
                    "ctx": {"event": ctx.event.copy(data=unseal(ctx.event.data))},
                    "steps": [{"data": unseal(step.data)} for step in steps],
                }

            def transform_output(result: Any) -> Any:
                if result.error is not None and SECRET in str(result.error):
                    return {"result": {"error": NonRetriableError("sealed")}}
                return {"result": {"data": seal(result.output)}} if result.has_output() else None

            return {"transform_input": transform_input, "transform_output": transform_output}

        def on_send_event() -> Any:
            return {
                "transform_input": lambda payloads: {
                    "payloads": [one.copy(data=seal(one.data)) for one in payloads]
                },
                "transform_output": lambda result: {
                    "result": {"ids": [f"seen {one}" for one in result.ids]}
                },
            }

        return {"on_function_run": on_function_run, "on_send_event": on_send_event}

    return InngestMiddleware(name="sealing", init=init)


class Runs:
    """Takes invocations, and says that they returned something sealed."""

    def __init__(self) -> None:
        self.started: list[Any] = []

    def start_sync(self, invoked: Invoked) -> str:
        self.started.append(msgspec.json.decode(invoked.data))
        return "run"

    async def start(self, invoked: Invoked) -> str:
        return self.start_sync(invoked)

    def look_sync(self, run_id: str, wait_seconds: float) -> RunSeen:
        return RunSeen(run_id, "Completed", msgspec.Raw(json.dumps(SEALED).encode()))

    async def look(self, run_id: str, wait_seconds: float) -> RunSeen:
        return self.look_sync(run_id, wait_seconds)


class World:
    """A client, and a function that leaves its mark; the middleware at one of two levels."""

    def __init__(self, level: str, make: Callable[[], Any], *, blocking: bool) -> None:
        self.blocking = blocking
        self.reads = isinstance(make(), type)
        self.own = [make()] if level == "function" else []
        everywhere = [make()] if level == "client" else []
        self.client = Inngest(app_id="app", is_dev=True, middleware=everywhere)
        self.client.event_port = self.events = Events()
        self.client.run_port = self.runs = Runs()
        self.seen: list[Any] = []

    def function(self, body: Callable[..., Any], **options: Any) -> Function[Any]:
        """The handler `body`, which awaits nothing, in the colour that is asked for."""

        async def coroutine(ctx: Any) -> Any:
            asked = body(ctx)
            return await asked if hasattr(asked, "__await__") else asked

        def plain(ctx: Any) -> Any:
            return body(ctx)

        declare: Any = self.client.create_function(
            fn_id="f", trigger=TriggerEvent(event="test/start"), middleware=self.own, **options
        )
        return cast("Function[Any]", declare(plain if self.blocking else coroutine))

    def stage(self, body: Callable[..., Any], **options: Any) -> Stage:
        return Stage(self.function(body), client=cast(Any, self.client), max_attempts=1, **options)


MAKERS: dict[str, Callable[[], Any]] = {"hooks": lambda: Sealing, "declared": declared}


@pytest.fixture(params=["client", "function"])
def level(request: pytest.FixtureRequest) -> str:
    return cast(str, request.param)


@pytest.fixture(params=["async", "sync"])
def colour(request: pytest.FixtureRequest) -> str:
    return cast(str, request.param)


@pytest.fixture(params=sorted(MAKERS))
def world(request: pytest.FixtureRequest, level: str, colour: str) -> World:
    return World(level, MAKERS[request.param], blocking=colour == "sync")


async def test_events_a_step_sends(world: World) -> None:
    stage = world.stage(lambda ctx: ctx.step.send_event("s", {"name": "a/b", "data": PLAIN}))
    assert await stage.play() == ["seen id-0"]
    assert [event["data"] for event in world.events.sent] == [SEALED]


async def test_events_a_client_sends(world: World, level: str) -> None:
    """Which no function's middleware has to do with."""
    event = {"name": "a/b", "data": PLAIN}
    sent = world.client.send_sync(event) if world.blocking else await world.client.send(event)
    on_client = level == "client"
    assert list(sent) == (["seen id-0"] if on_client else ["id-0"])
    assert [event["data"] for event in world.events.sent] == [SEALED if on_client else PLAIN]


async def test_results_of_steps_and_functions(world: World) -> None:
    stage = world.stage(lambda ctx: ctx.step.run("s", lambda: PLAIN))
    assert await stage.play() == SEALED
    assert [json.loads(bytes(memo)) for memo in stage.steps.values()] == [{"data": SEALED}]


async def test_results_of_steps_that_are_saved_on_the_way(world: World) -> None:
    stage = world.stage(lambda ctx: ctx.step.run("s", lambda: PLAIN))
    assert await stage.play_live() == SEALED
    assert [json.loads(bytes(memo)) for memo in stage.steps.values()] == [{"data": SEALED}]


async def test_known_results_come_back_open(world: World) -> None:
    async def body(ctx: Any) -> None:
        world.seen.append(await ctx.step.run("s", lambda: PLAIN))
        await ctx.step.sleep("rest", 1000)

    def body_sync(ctx: Any) -> None:
        world.seen.append(ctx.step.run("s", lambda: PLAIN))
        ctx.step.sleep("rest", 1000)

    await world.stage(body_sync if world.blocking else body).play()
    assert world.seen == [PLAIN, PLAIN]


async def test_events_that_start_a_function(world: World) -> None:
    stage = world.stage(
        lambda ctx: world.seen.append(ctx.event.data), event={**EVENT, "data": SEALED}
    )
    await stage.play()
    assert world.seen == [PLAIN]


async def test_events_that_are_waited_for(world: World) -> None:
    def noted(event: Any) -> Any:
        world.seen.append(event.data)

    async def wait(ctx: Any) -> None:
        noted(await ctx.step.wait_for_event("w", event="a/b", timeout="1h"))

    def wait_sync(ctx: Any) -> None:
        noted(ctx.step.wait_for_event("w", event="a/b", timeout="1h"))

    body = wait_sync if world.blocking else wait
    stage = world.stage(body, answers={"w": {"name": "a/b", "data": SEALED}})
    await stage.play()
    assert world.seen == [PLAIN]


async def test_what_a_step_invokes(world: World) -> None:
    stage = world.stage(
        lambda ctx: ctx.step.invoke_by_id("i", function_id="child", data=PLAIN),
        answers={"i": SEALED},
    )
    response = await stage.call()
    (asked,) = stage.operations(response)
    assert isinstance(asked, ops.InvokeFunction)
    assert json.loads(bytes(asked.data)) == SEALED
    stage.settle(asked)
    assert await stage.play() == SEALED  # opened, returned, sealed again


async def test_what_a_client_invokes(world: World) -> None:
    function = world.function(lambda ctx: None)
    if world.blocking:
        found = world.client.invoke_sync(function, data=PLAIN)
    else:
        found = await world.client.invoke(function, data=PLAIN)
    assert world.runs.started == [SEALED]
    assert found == (PLAIN if world.reads else SEALED)  # the third version has no hook for it


async def test_errors(world: World) -> None:
    def failing(ctx: Any) -> Any:
        raise NonRetriableError(f"card {SECRET} was refused")

    assert SECRET not in str(await world.stage(failing).play())
    stage = world.stage(lambda ctx: ctx.step.run("s", lambda: failing(ctx)))
    await stage.play()
    assert SECRET not in str([bytes(memo) for memo in stage.steps.values()])


async def test_handlers_of_failures_are_told_openly(world: World) -> None:
    def failed(ctx: Any) -> Any:
        world.seen.append(ctx.event.data["event"]["data"])

    async def failed_async(ctx: Any) -> Any:
        failed(ctx)

    function = world.function(
        lambda ctx: None, on_failure=failed if world.blocking else failed_async
    )
    companion = function.failure_function
    assert companion is not None
    data = {"event": {"name": "test/start", "data": SEALED}, "error": {"name": "E", "message": ""}}
    event = {"name": "inngest/function.failed", "data": data}
    stage = Stage(cast(Any, companion), client=cast(Any, world.client), event=event)
    await stage.play()
    assert world.seen == [PLAIN]


async def test_ends_of_runs_that_a_function_listens_to(world: World) -> None:
    data = {"function_id": "app-f", "run_id": "r", "result": SEALED}
    event = {"name": "inngest/function.finished", "data": data}
    stage = world.stage(lambda ctx: world.seen.append(ctx.event.data["result"]), event=event)
    await stage.play()
    assert world.seen == [PLAIN]


async def test_what_is_published_to_subscribers_goes_past_middleware(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Subscribers have no middleware to open it with; the official SDK has no hook for it either.
    (Its functions cannot defer, and neither can ours: there is no such path.)"""
    sent: list[bytes | None] = []

    def answer(request: Any) -> HttpReply:
        sent.append(request.body)
        return HttpReply(200, {}, b"{}")

    async def answer_later(request: Any) -> HttpReply:
        return answer(request)

    monkeypatch.setattr(world.client.api, "ask", answer_later)
    monkeypatch.setattr(world.client.api, "ask_sync", answer)

    async def body(ctx: Any) -> None:
        await realtime.publish(world.client, "channel", "topic", PLAIN)

    def body_sync(ctx: Any) -> None:
        realtime.publish_sync(world.client, "channel", "topic", PLAIN)

    await world.stage(body_sync if world.blocking else body).play()
    assert [json.loads(one or b"") for one in sent] == [PLAIN]
