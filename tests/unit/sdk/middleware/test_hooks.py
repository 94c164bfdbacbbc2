"""Middleware: which hooks run when, what they may change, in both colours (features C.7)."""

import json
from typing import Any

import pytest

from stepwell.sdk.errors import NonRetriableError, StepError
from stepwell.sdk.middleware.hook import Middleware, MiddlewareSync
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.middleware.result import TransformOutputResult
from stepwell.sdk.step.context import Context, ContextSync
from tests.replay.stage import Client, Stage

HOOKS = [
    "transform_input",
    "before_execution",
    "after_execution",
    "transform_output",
    "before_response",
]


def recording(log: list[str], name: str, *, plain: bool) -> Any:
    """Middleware that writes down its hooks, in either colour."""

    def note(hook: str, *given: Any) -> None:
        detail = ""
        if hook == "transform_output":
            result: TransformOutputResult = given[0]
            detail = f"({result.step.id} {result.step.op})" if result.step else "(function)"
        log.append(f"{name}.{hook}{detail}")

    if plain:

        def make_plain(hook: str) -> Any:
            return lambda self, *given: note(hook, *given)

        return type(name, (MiddlewareSync,), {hook: make_plain(hook) for hook in HOOKS})

    def make_async(hook: str) -> Any:
        async def run(self: Any, *given: Any) -> None:
            note(hook, *given)

        return run

    return type(name, (Middleware,), {hook: make_async(hook) for hook in HOOKS})


async def two_steps(ctx: Context) -> Any:
    async def work() -> int:
        return 1

    await ctx.step.run("a", work)
    await ctx.step.sleep("nap", 1)
    return "done"


def two_steps_sync(ctx: ContextSync) -> Any:
    ctx.step.run("a", lambda: 1)
    ctx.step.sleep("nap", 1)
    return "done"


@pytest.mark.parametrize("handler", [two_steps, two_steps_sync])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("blocking", [False, True])
async def test_hooks_run_as_an_onion(handler: Any, plain: bool, blocking: bool) -> None:
    log: list[str] = []
    client = Client(middleware=[recording(log, "outer", plain=plain)])
    stage = Stage(
        handler,
        client=client,
        middleware=[recording(log, "inner", plain=not plain)],
        blocking=blocking,
    )
    calls = []
    for _ in range(3):
        log.clear()
        answer = await stage.call()
        calls.append(list(log))
        if answer.status == 206:
            for operation in stage.operations(answer):
                stage.settle(operation)

    def expected(output: str) -> list[str]:
        return [
            "outer.transform_input",
            "inner.transform_input",
            "outer.before_execution",
            "inner.before_execution",
            "inner.after_execution",
            "outer.after_execution",
            f"inner.transform_output{output}",
            f"outer.transform_output{output}",
            "outer.before_response",
            "inner.before_response",
        ]

    assert calls == [expected("(a StepRun)"), expected("(nap Sleep)"), expected("(function)")]


async def test_parallel_plans_have_no_output() -> None:
    log: list[str] = []

    async def handler(ctx: Context) -> Any:
        async def work() -> int:
            return 1

        await ctx.group.parallel(tuple(lambda i=i: ctx.step.run(str(i), work) for i in "ab"))  # type: ignore[misc]

    client = Client(middleware=[recording(log, "m", plain=True)])
    await Stage(handler, client=client).call()
    assert not any("transform_output" in line for line in log)
    assert log[-1] == "m.before_response"


class Sealed(MiddlewareSync):
    """Changes every output on its way out and back on its way in, as encryption does."""

    def transform_input(self, ctx: Any, function: Any, steps: StepMemos) -> None:
        for output in steps.values():
            if isinstance(output.data, dict) and "sealed" in output.data:
                output.data = json.loads(output.data["sealed"][::-1])

    def transform_output(self, result: TransformOutputResult) -> None:
        if result.step is not None and result.has_output():
            result.output = {"sealed": json.dumps(result.output)[::-1]}


@pytest.mark.parametrize("alive", [False, True])
async def test_outputs_can_be_changed_both_ways(alive: bool) -> None:
    async def handler(ctx: Context) -> Any:
        async def work(value: int) -> list[int]:
            return [value]

        first = await ctx.step.run("a", work, 1)
        return [*first, *(await ctx.step.run("b", work, 2))]

    stage = Stage(handler, client=Client(middleware=[Sealed]))
    assert await (stage.play_live() if alive else stage.play()) == [1, 2]
    assert all(b"sealed" in bytes(memo) for memo in stage.steps.values())
    assert stage.result(await stage.call()) == [1, 2]


async def test_context_and_results_of_functions_can_be_changed() -> None:
    class Inject(Middleware):
        async def transform_input(self, ctx: Any, function: Any, steps: StepMemos) -> None:
            ctx.database = f"db for {function.local_id}"
            ctx.event.data["extra"] = steps.size

        async def transform_output(self, result: TransformOutputResult) -> None:
            result.output = {"wrapped": result.output}

    async def handler(ctx: Context) -> Any:
        return [ctx.database, ctx.event.data["extra"]]  # type: ignore[attr-defined]

    stage = Stage(handler, client=Client(middleware=[Inject]))
    assert await stage.play() == {"wrapped": ["db for handler", 0]}


async def test_errors_can_be_changed() -> None:
    class Final(MiddlewareSync):
        def transform_output(self, result: TransformOutputResult) -> None:
            if isinstance(result.error, KeyError):
                result.error = NonRetriableError("no such thing")

    async def handler(ctx: Context) -> Any:
        async def work() -> None:
            raise KeyError("x")

        try:
            await ctx.step.run("a", work)
        except StepError as error:
            raise KeyError(error.message) from error

    stage = Stage(handler, client=Client(middleware=[Final]))
    found = await stage.play()
    assert stage.reports == [["StepFailed a"]]
    assert found["failed"] == "NonRetriableError"


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("plain", [False, True])
async def test_a_hook_that_raises_fails_the_call(hook: str, plain: bool) -> None:
    def broken(self: Any, *_: Any) -> None:
        raise ValueError("broken hook")

    caught: list[BaseException] = []

    async def handler(ctx: Context) -> Any:
        async def work() -> int:
            return 1

        try:
            return await ctx.step.run("a", work)
        except Exception as error:
            caught.append(error)
            raise

    def blocking(ctx: ContextSync) -> Any:
        try:
            return ctx.step.run("a", lambda: 1)
        except Exception as error:
            caught.append(error)
            raise

    broken_class = type("Bad", (MiddlewareSync,), {hook: broken})
    stage = Stage(blocking if plain else handler, client=Client(middleware=[broken_class]))
    answer = await stage.call()
    found = json.loads(answer.body)
    assert (answer.status, found["name"]) == (500, "ValueError")
    assert found["message"] == f"broken hook\nraised by middleware Bad.{hook}"
    assert caught == []


async def test_one_instance_per_call_and_what_it_is_made_with() -> None:
    made: list[Any] = []

    def factory(client: Any, raw_request: object) -> Any:
        made.append((client, raw_request))
        return MiddlewareSync(client, raw_request)

    async def handler(ctx: Context) -> None:
        return None

    client = Client(middleware=[factory])
    stage = Stage(handler, client=client)
    await stage.call()
    await stage.call()
    assert made == [(client, None)] * 2


def test_memos_as_hooks_see_them() -> None:
    memos = StepMemos.from_raw(
        {"a": {"data": 1}, "b": {"error": {"name": "E", "message": "m"}}, "c": None, "d": {"x": 1}}
    )
    assert memos.size == 4
    a, b, c, d = memos.values()
    assert (a.data, a.error) == (1, None)
    assert b.data is None
    assert b.error is not None
    assert b.error.name == "E"
    assert (c.data, d.data) == (None, {"x": 1})
    assert memos.pop("a") is a
    assert memos.pop("a") is None
    assert memos.size == 3
