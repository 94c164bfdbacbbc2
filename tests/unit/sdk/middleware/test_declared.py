"""Middleware of a name and an `init` function: rows E-120 to E-128, in both colours."""

import asyncio
import datetime as dt
import gc
import logging
import weakref
from typing import Any

import pytest

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import ConfigurationError, NonRetriableError, SendEventsError
from stepwell.sdk.events.event import Event
from stepwell.sdk.execution.run import run_call
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.sdk.middleware.declared import InngestMiddleware
from stepwell.sdk.middleware.hook import MiddlewareSync
from stepwell.sdk.step.context import Context, ContextSync
from tests.replay.stage import RUN_ID, Client, Stage

RUN_HOOKS = [
    "before_memoization",
    "after_memoization",
    "before_execution",
    "after_execution",
    "before_response",
]


async def one_step(ctx: Context[Any]) -> Any:
    async def work() -> str:
        return "made"

    return await ctx.step.run("a", work)


def one_step_sync(ctx: ContextSync[Any]) -> Any:
    return ctx.step.run("a", lambda: "made")


BOTH = pytest.mark.parametrize("handler", [one_step, one_step_sync])


def noting(log: list[str], name: str) -> InngestMiddleware:
    """Middleware that writes down every hook."""

    def init(client: Any, fn: Any = None) -> Any:
        log.append(f"{name}.init {fn.local_id if fn else 'client'}")

        def on_function_run(ctx: Any, fn: Any, steps: Any, req_args: Any) -> Any:
            log.append(f"{name}.on_function_run {ctx.run_id[:3]} {fn.local_id}")
            hooks: dict[str, Any] = {
                hook: lambda hook=hook: log.append(f"{name}.{hook}") for hook in RUN_HOOKS
            }

            def transform_input(ctx: Any, steps: Any) -> None:
                log.append(f"{name}.transform_input {len(steps)}")

            async def transform_output(result: Any, step: Any = None) -> None:
                log.append(f"{name}.transform_output {result.data} {step and step.id}")

            def finished(result: Any) -> None:
                log.append(f"{name}.finished {result.data}")

            return {
                **hooks,
                "transform_input": transform_input,
                "transform_output": transform_output,
                "finished": finished,
            }

        return {"on_function_run": on_function_run}

    return InngestMiddleware(name, init)


async def test_e120_init_runs_once_and_in_order() -> None:
    log: list[str] = []
    client = Inngest(app_id="app", middleware=[noting(log, "a"), noting(log, "b")])
    assert log == ["a.init client", "b.init client"]

    @client.create_function(
        fn_id="f", trigger=TriggerEvent(event="x"), middleware=[noting(log, "c")]
    )
    async def handler(ctx: Context[Any]) -> None:
        return None

    assert log[2:] == ["c.init f"]
    stage = Stage(handler, client=client)  # type: ignore[arg-type]
    await stage.call()
    await stage.call()
    assert not [line for line in log[3:] if "init " in line]


async def test_e120_coroutine_inits_are_awaited_in_order_before_use(sender: Any) -> None:
    log: list[str] = []

    def slow(name: str) -> InngestMiddleware:
        async def init(client: Any) -> Any:
            log.append(f"{name} begins")
            await asyncio.sleep(0)
            log.append(f"{name} ends")
            return {"on_send_event": lambda: log.append(f"{name} sends")}

        return InngestMiddleware(name, init)

    client = sender.client(slow("a"), slow("b"))
    assert log == []
    await sender.send(client, Event(name="x"))
    await sender.send(client, Event(name="x"))
    first = ["a begins", "a ends", "a sends", "b begins", "b ends", "b sends"]
    assert log == [*first, "a sends", "b sends"]


async def test_e120_those_who_come_at_once_share_one_init() -> None:
    begun: list[int] = []

    async def init() -> Any:
        begun.append(1)
        await asyncio.sleep(0.01)
        return {}

    client = Client(middleware=[InngestMiddleware("m", init)])
    stage = Stage(one_step, client=client)
    answers = await asyncio.gather(*(stage.call() for _ in range(5)))
    assert [answer.status for answer in answers] == [206] * 5
    assert len(begun) == 1


def test_e120_hooks_may_be_an_object() -> None:
    class Hooks:
        def on_send_event(self) -> None:
            return None

    Inngest(app_id="app", middleware=[InngestMiddleware("m", lambda client, fn: Hooks())])


@pytest.mark.parametrize(
    ("init", "words"),
    [
        (lambda: {"onSendEvent": print}, "'onSendEvent'"),
        (lambda: {"on_send_event": 3}, "give a function"),
        (lambda: 3, "none of the hooks"),
        (lambda database: {}, '"database"'),
    ],
)
def test_e120_what_init_does_wrong_is_named(init: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as found:
        Inngest(app_id="app", middleware=[InngestMiddleware("Mine", init)])
    assert any("Mine" in note for note in found.value.__notes__)


@pytest.mark.parametrize("given", [{"name": "", "init": print}, {"name": "x", "init": 3}])
def test_e120_name_and_init_are_judged(given: Any) -> None:
    with pytest.raises(ConfigurationError):
        InngestMiddleware(**given)


async def test_e121_client_function_and_added_later(sender: Any) -> None:
    log: list[str] = []
    client = sender.client(noting(log, "first"))
    client.add_middleware(noting(log, "later"))
    assert log == ["first.init client", "later.init client"]
    log.clear()

    @client.create_function(
        fn_id="f",
        trigger=TriggerEvent(event="x"),
        middleware=[noting(log, "own")],
        on_failure=one_step,
    )
    async def handler(ctx: Context[Any]) -> None:
        return None

    await Stage(handler, client=client).call()
    asked = [line.split(".")[0] for line in log if "transform_input" in line]
    assert asked == ["first", "later", "own"]
    log.clear()
    await Stage(handler.failure_function, client=client).call()
    assert [line for line in log if "own.on_function_run" in line]


@BOTH
@pytest.mark.parametrize("blocking", [False, True])
async def test_e122_every_hook_in_the_documented_order(handler: Any, blocking: bool) -> None:
    log: list[str] = []
    client = Client(middleware=[noting(log, "out")])
    stage = Stage(handler, client=client, middleware=[noting(log, "in")], blocking=blocking)

    def expected(known: int, step: str | None) -> list[str]:
        lines = [
            "out.on_function_run 01M fn",
            f"out.transform_input {known}",
            "in.on_function_run 01M fn",
            f"in.transform_input {known}",
            "out.before_memoization",
            "in.before_memoization",
            "in.after_memoization",
            "out.after_memoization",
            "out.before_execution",
            "in.before_execution",
            "in.after_execution",
            "out.after_execution",
            f"in.transform_output made {step}",
            f"out.transform_output made {step}",
        ]
        if step is None:
            lines += ["out.finished made", "in.finished made"]
        return [*lines, "out.before_response", "in.before_response"]

    stage.function._local_id = "fn"
    answer = await stage.call()
    assert [line for line in log if ".init" not in line] == expected(0, "a")
    for operation in stage.operations(answer):
        stage.settle(operation)
    log.clear()
    await stage.call()
    assert log == expected(1, None)


@BOTH
async def test_e122_every_hook_gets_the_arguments_of_the_table(handler: Any) -> None:
    given: dict[str, list[dict[str, Any]]] = {}

    def taking(hook: str) -> Any:
        return lambda **offered: given.setdefault(hook, []).append(offered)

    def init(client: Any, fn: Any = None) -> Any:
        given["init"] = [{"client": client, "fn": fn}]

        def on_function_run(**offered: Any) -> Any:
            given.setdefault("on_function_run", []).append(offered)
            hooks = ("transform_input", "transform_output", "finished", *RUN_HOOKS)
            return {hook: taking(hook) for hook in hooks}

        return {"on_function_run": on_function_run}

    client = Client(middleware=[InngestMiddleware("m", init)])
    stage = Stage(handler, client=client)
    raw = "what the adapter was given"
    answer = await run_call(stage.function, stage.request(), client=client, raw_request=raw)
    stage.settle(stage.operations(answer)[0])
    await run_call(stage.function, stage.request(), client=client, raw_request=raw)

    names = {hook: [set(offered) for offered in each] for hook, each in given.items()}
    everything = {"ctx", "fn", "steps", "req_args"}
    assert names == {
        "init": [{"client", "fn"}],
        "on_function_run": [everything] * 2,
        "transform_input": [everything] * 2,
        "transform_output": [{"result", "step"}] * 2,
        "finished": [{"result"}],
        **{hook: [set()] * 2 for hook in RUN_HOOKS},
    }
    assert given["init"] == [{"client": client, "fn": None}]
    for hook in ("on_function_run", "transform_input"):
        first, second = given[hook]
        assert (first["ctx"].run_id, first["ctx"].event.name) == (RUN_ID, "test/start")
        assert first["fn"] is stage.function
        assert first["req_args"] == raw
        assert (first["steps"], [known.data for known in second["steps"]]) == ([], ["made"])
        assert not hasattr(second["steps"][0], "id")
    of_step, of_function = given["transform_output"]
    step = of_step["step"]
    assert (step.id, step.op, of_step["result"].data) == ("a", "StepRun", "made")
    assert (of_function["step"], of_function["result"].data) == (None, "made")
    assert given["finished"][0]["result"].data == "made"


async def test_e123_the_logger_is_there_before_any_middleware() -> None:
    seen: list[Any] = []

    def init() -> Any:
        return {"on_function_run": lambda: {"transform_input": lambda ctx: seen.append(ctx.logger)}}

    client = Client(middleware=[InngestMiddleware("m", init)], logger=logging.getLogger("x"))
    await Stage(one_step, client=client).call()
    assert seen[0].extra["run_id"]


async def test_e125_the_add_timestamp_example_of_the_seed(sender: Any) -> None:
    def now_iso() -> str:
        return dt.datetime.now(dt.UTC).isoformat()

    async def init(client: Any, fn: Any = None) -> Any:
        def on_send_event() -> Any:
            async def transform_input(payloads: list[Event]) -> Any:
                stamped = [e.copy(data={**e.data, "processedAt": now_iso()}) for e in payloads]
                return {"payloads": stamped}

            return {"transform_input": transform_input}

        return {"on_send_event": on_send_event}

    client = sender.client(InngestMiddleware(name="Add Timestamp", init=init))
    given = Event(name="x", data={"n": 1})
    assert await sender.send(client, [given, {"name": "y"}]) == ["id-0", "id-1"]
    first, second = sender.events.sent
    assert first["data"]["n"] == 1
    assert dt.datetime.fromisoformat(first["data"]["processedAt"])
    assert dt.datetime.fromisoformat(second["data"]["processedAt"])
    assert "processedAt" not in given.data


async def test_e125_payloads_may_be_mappings_and_more_or_fewer(sender: Any) -> None:
    def init() -> Any:
        def transform_input(payloads: list[Event]) -> Any:
            return {"payloads": [{"name": "a"}, *payloads[1:], {"name": "z"}]}

        return {"on_send_event": lambda: {"transform_input": transform_input}}

    client = sender.client(InngestMiddleware("m", init))
    await sender.send(client, [Event(name="x"), Event(name="y")])
    assert [event["name"] for event in sender.events.sent] == ["a", "y", "z"]


@BOTH
async def test_e126_changes_may_be_returned(handler: Any) -> None:
    def init() -> Any:
        def transform_input(ctx: Any, steps: Any) -> Any:
            return {"ctx": {"extra": 7}, "steps": [{"data": f"{s.data}!"} for s in steps]}

        def transform_output(result: Any, step: Any) -> Any:
            return None if step else {"result": {"data": [result.data, "out"]}}

        hooks = {"transform_input": transform_input, "transform_output": transform_output}
        return {"on_function_run": lambda: hooks}

    stage = Stage(handler, client=Client(middleware=[InngestMiddleware("m", init)]))
    assert await stage.play() == ["made!", "out"]


@BOTH
async def test_e126_or_made_in_place(handler: Any) -> None:
    seen: list[Any] = []

    def init() -> Any:
        def transform_input(ctx: Any, steps: Any) -> None:
            ctx.extra = 7
            for step in steps:
                step.data = f"{step.data}!"

        def transform_output(result: Any) -> None:
            if result.step is None:
                result.output = [result.output, "out"]
            seen.append(result.has_output())

        hooks = {"transform_input": transform_input, "transform_output": transform_output}
        return {"on_function_run": lambda: hooks}

    stage = Stage(handler, client=Client(middleware=[InngestMiddleware("m", init)]))
    assert await stage.play() == ["made!", "out"]
    assert seen == [True, True]


async def test_e126_what_send_returns_can_be_changed(sender: Any) -> None:
    def init() -> Any:
        def transform_output(result: Any) -> Any:
            return {"result": {"ids": [f"{i}!" for i in result.ids], "error": None}}

        return {"on_send_event": lambda: {"transform_output": transform_output}}

    client = sender.client(InngestMiddleware("m", init))
    assert await sender.send(client, Event(name="x")) == ["id-0!"]
    with pytest.warns(UserWarning, match="no events"):
        assert await sender.send(client, []) == []
    sender.events.error = "refused"
    assert await sender.send(client, Event(name="x")) == []


async def test_e126_an_error_can_be_made_of_success(sender: Any) -> None:
    def init() -> Any:
        def transform_output(result: Any) -> Any:
            return {"result": {"error": "not today"}}

        return {"on_send_event": lambda: {"transform_output": transform_output}}

    with pytest.raises(SendEventsError, match="not today") as found:
        await sender.send(sender.client(InngestMiddleware("m", init)), Event(name="x"))
    assert found.value.ids == ["id-0"]


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ({"payload": []}, '"payload"'),
        ({"payloads": 3}, "return a list"),
        ([], "return a dict"),
    ],
)
async def test_e126_wrong_returns_are_named(sender: Any, returned: Any, words: str) -> None:
    def init() -> Any:
        return {"on_send_event": lambda: {"transform_input": lambda: returned}}

    with pytest.raises(ConfigurationError, match=words) as found:
        await sender.send(sender.client(InngestMiddleware("Mine", init)), Event(name="x"))
    assert "Mine" in found.value.__notes__[0]


@BOTH
async def test_e127_hooks_run_once_a_call_however_many_steps_it_runs(handler: Any) -> None:
    log: list[str] = []

    async def many(ctx: Context[Any]) -> Any:
        async def work() -> int:
            return 1

        return [await ctx.step.run(str(n), work) for n in range(3)]

    stage = Stage(many, client=Client(middleware=[noting(log, "m")]))
    await stage.play_live()
    for hook in ["on_function_run", "transform_input", *RUN_HOOKS]:
        assert len([line for line in log if line.startswith(f"m.{hook}")]) == 1, hook
    assert len([line for line in log if "transform_output" in line]) == 4


def failing(hook: str) -> InngestMiddleware:
    def init() -> Any:
        def fail() -> None:
            raise RuntimeError("broken hook")

        if hook == "on_function_run":
            return {"on_function_run": fail}
        return {"on_function_run": lambda: {hook: fail}}

    return InngestMiddleware("Mine", init)


@BOTH
@pytest.mark.parametrize(
    "hook", ["on_function_run", "transform_input", "transform_output", "finished", *RUN_HOOKS]
)
async def test_e128_a_hook_that_raises_fails_the_request_and_is_named(
    handler: Any, hook: str
) -> None:
    log: list[str] = []
    client = Client(middleware=[noting(log, "out"), failing(hook)])
    stage = Stage(handler, client=client)
    answer = await stage.call()
    if hook == "finished":
        stage.settle(stage.operations(answer)[0])
        answer = await stage.call()
    assert answer.status == 500
    assert b"broken hook" in bytes(answer.body)
    assert b"Mine" in bytes(answer.body)
    assert log[-1] == "out.before_response"


@pytest.mark.parametrize("hook", ["on_send_event", "transform_input", "transform_output"])
async def test_e128_a_hook_that_raises_fails_send(sender: Any, hook: str) -> None:
    def init() -> Any:
        def fail() -> None:
            raise NonRetriableError("broken hook")

        return {"on_send_event": fail if hook == "on_send_event" else lambda: {hook: fail}}

    with pytest.raises(NonRetriableError, match="broken hook") as found:
        await sender.send(sender.client(InngestMiddleware("Mine", init)), Event(name="x"))
    assert len(found.value.__notes__) == 1
    assert '"Mine"' in found.value.__notes__[0]
    assert len(sender.events.sent) == (1 if hook == "transform_output" else 0)


async def test_three_generations_in_one_chain(sender: Any) -> None:
    class Official(MiddlewareSync):
        def before_send_events(self, events: list[Event]) -> None:
            events[0].data["path"] = [*events[0].data.get("path", []), "official"]  # type: ignore[index]

    def init() -> Any:
        def transform_input(payloads: Any) -> Any:
            [event] = payloads
            return {"payloads": [event.copy(data={"path": [*event.data["path"], "declared"]})]}

        return {"on_send_event": lambda: {"transform_input": transform_input}}

    client = sender.client(Official, InngestMiddleware("m", init), Official)
    await sender.send(client, Event(name="x"))
    assert sender.events.sent[0]["data"]["path"] == ["official", "declared", "official"]


async def test_hooks_made_for_a_call_are_gone_after_it() -> None:
    made: list[weakref.ref[Any]] = []

    def init() -> Any:
        def on_function_run(ctx: Any) -> Any:
            made.append(weakref.ref(ctx))
            return {"transform_input": lambda: ctx.run_id and None}

        return {"on_function_run": on_function_run}

    stage = Stage(one_step, client=Client(middleware=[InngestMiddleware("m", init)]))
    await asyncio.create_task(stage.call())
    await asyncio.sleep(0)
    gc.collect()
    assert [ref() for ref in made] == [None]
