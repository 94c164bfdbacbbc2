"""What a run leaves to be started at its end: `ctx.defer`."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from stepwell.sdk.errors import ConfigurationError, FunctionConfigInvalidError, StepError
from stepwell.sdk.execution.run import run_call_sync
from stepwell.sdk.function.function import Function
from stepwell.sdk.function.trigger import TriggerDefer, TriggerEvent
from stepwell.sdk.function.wire import FunctionOptions
from stepwell.sdk.middleware.hook import Middleware
from stepwell.sdk.step.annotation import ExperimentRef
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sdk.step.defer import Defer
from stepwell.sdk.step.parent import ParentRun
from stepwell.wire.operation_decode import decode_operations
from tests.ids import steady
from tests.replay.stage import Client, Stage, function

COLOURS = pytest.mark.parametrize("blocking", [False, True], ids=["coroutine", "plain"])


async def give(value: Any) -> Any:
    return value


async def later(ctx: Context) -> None: ...


def deferrable(fn_id: str = "later", schema: Any = None) -> Function[Any]:
    trigger: Any = TriggerDefer() if schema is None else TriggerDefer(schema=schema)
    return Function(FunctionOptions(app_id="app", fn_id=fn_id, triggers=(trigger,)), later)


LATER = deferrable()


def stage(blocking: bool, body: Callable[[Any], Any]) -> Stage:
    """A run of a generator that yields the ids of steps to do, written once for both colours."""

    async def handler(ctx: Context) -> Any:
        going = body(ctx)
        try:
            while True:
                await ctx.step.run(next(going), give, 1)
        except StopIteration as end:
            return end.value

    def handler_sync(ctx: ContextSync) -> Any:
        going = body(ctx)
        try:
            while True:
                ctx.step.run(next(going), lambda: 1)
        except StopIteration as end:
            return end.value

    chosen: Any = handler_sync if blocking else handler
    return Stage(chosen, blocking=blocking)


@COLOURS
async def test_what_is_deferred_travels_once_with_the_next_step(blocking: bool) -> None:
    def body(ctx: Any) -> Any:
        ctx.defer("mail", function=LATER, data={"n": 1})
        yield "a"
        yield "b"
        return 5

    played = stage(blocking, body)
    assert await played.play() == 5
    assert played.reports == [["StepRun a", "DeferAdd mail"], ["StepRun b"]]
    assert list(played.defers.values()) == [True]


@COLOURS
async def test_it_says_which_function_and_with_what(blocking: bool) -> None:
    def body(ctx: Any) -> Any:
        ctx.defer("mail", function=LATER, data={"n": 1})
        yield "a"

    response = await stage(blocking, body).call()
    (added,) = (o for o in json.loads(response.body) if o["op"] == "DeferAdd")
    assert added["opts"] == {"fn_slug": "app-later", "input": {"n": 1}}
    told = {name: added[name] for name in ("name", "displayName", "userland")}
    assert told == {"name": "mail", "displayName": "mail", "userland": {"id": "mail"}}


@COLOURS
async def test_what_is_deferred_is_saved_with_the_step_that_is_saved_next(blocking: bool) -> None:
    """As the JavaScript SDK does: a call that fails later does not lose it."""

    def body(ctx: Any) -> Any:
        left = ctx.defer("mail", function=LATER)
        yield "a"
        left.abort()
        yield "b"
        ctx.defer("last", function=LATER)
        return 5

    saved: list[list[str]] = []

    def keep(operations: Any) -> None:
        saved.append([f"{one.op} {one.userland.id}" for one in operations])

    async def save(operations: Any) -> None:
        keep(operations)

    played = stage(blocking, body)
    if blocking:
        response = run_call_sync(played.function, played.request(), client=played.client, save=keep)
    else:
        response = await played.call(save=save)
    assert saved == [["StepRun a", "DeferAdd mail"], ["StepRun b", "DeferAbort mail"]]
    assert [o.op for o in decode_operations(response.body)] == ["DeferAdd", "RunComplete"]


@COLOURS
async def test_what_is_not_saved_leaves_with_the_answer(blocking: bool) -> None:
    def body(ctx: Any) -> Any:
        ctx.defer("mail", function=LATER)
        yield "a"

    def refuse(operations: Any) -> None:
        raise ConnectionError("the server is away")

    async def save(operations: Any) -> None:
        refuse(operations)

    played = stage(blocking, body)
    if blocking:
        response = run_call_sync(
            played.function, played.request(), client=played.client, save=refuse
        )
    else:
        response = await played.call(save=save)
    assert [o.op for o in decode_operations(response.body)] == ["StepRun", "DeferAdd"]


SESSIONS = {"name": "test/start", "data": {}, "id": "e", "ts": 1, "meta": {"sessions": {"a": "1"}}}


@pytest.mark.parametrize(
    ("event", "propagates", "meta", "expected"),
    [
        (None, True, None, None),
        (None, False, None, None),
        (SESSIONS, True, None, {"propagated_sessions": {"a": "1"}}),
        (SESSIONS, False, None, {}),
        (None, True, {"sessions": {"b": 2}}, {"sessions": {"b": 2}}),
        (
            SESSIONS,
            True,
            {"sessions": {"a": None}},
            {"sessions": {"a": None}, "propagated_sessions": {"a": "1"}},
        ),
        (SESSIONS, False, {"sessions": {"b": "2"}}, {"sessions": {"b": "2"}}),
    ],
)
async def test_the_sessions_it_starts_with(
    event: Any, propagates: bool, meta: Any, expected: Any
) -> None:
    async def handler(ctx: Context) -> None:
        ctx.defer("mail", function=LATER, meta=meta)

    client = Client()
    client.session_propagation = propagates
    response = await Stage(handler, client=client, event=event).call()
    (added,) = (o for o in json.loads(response.body) if o["op"] == "DeferAdd")
    assert added["opts"].get("meta") == expected


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"meta": [1]}, 'defer "mail": meta = \\[1\\]: give an object'),
        ({"meta": {"sessions": {"a": True}}}, 'meta: event session "a" must be a string'),
        ({"experiment": "tone"}, "give the experiment_ref"),
    ],
)
async def test_what_goes_beside_the_data_is_judged(more: Any, said: str) -> None:
    async def handler(ctx: Context) -> None:
        with pytest.raises(ConfigurationError, match=said):
            ctx.defer("mail", function=LATER, **more)

    assert await Stage(handler).play() is None


def event_of(name: str, data: Any) -> Any:
    return {"name": name, "data": data, "id": "e", "ts": 1}


@COLOURS
@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (event_of("test/start", {"_inngest": {"parent_run_id": "r"}}), []),
        (
            event_of("inngest/function.invoked", {"_inngest": {"correlation_id": "run.step"}}),
            [ParentRun("run")],
        ),
        (event_of("inngest/function.invoked", {"_inngest": {"fn_id": "app-f"}}), []),
        (event_of("inngest/deferred.schedule", {"_inngest": 5}), []),
        (
            event_of(
                "inngest/deferred.schedule",
                {
                    "_inngest": {"parent_run_id": "run", "parent_fn_slug": "app-f"},
                    "_inngestExperiment": {"experimentName": "tone", "variant": "short"},
                    "n": 1,
                },
            ),
            [ParentRun("run", "app-f", ExperimentRef("tone", "short"))],
        ),
    ],
    ids=["sent", "invoked", "by the API", "malformed", "deferred"],
)
async def test_a_run_knows_who_started_it(blocking: bool, event: Any, expected: Any) -> None:
    seen: list[Any] = []

    def handler_sync(ctx: ContextSync) -> None:
        seen.extend([ctx.parents, "_inngestExperiment" in ctx.event.data])

    async def handler(ctx: Context) -> None:
        seen.extend([ctx.parents, "_inngestExperiment" in ctx.event.data])

    await Stage(handler_sync if blocking else handler, event=event, blocking=blocking).play()
    assert seen == [expected, False]


@COLOURS
async def test_what_is_deferred_last_travels_with_the_end(blocking: bool) -> None:
    def body(ctx: Any) -> Any:
        yield "a"
        ctx.defer("mail", function=LATER)
        return {"x": [1]}

    played = stage(blocking, body)
    assert await played.play() == {"x": [1]}
    assert [len(report) for report in played.reports] == [1, 2]
    assert played.reports[1][0] == "DeferAdd mail"


@COLOURS
async def test_a_call_that_fails_leaves_nothing(blocking: bool) -> None:
    def body(ctx: Any) -> Any:
        ctx.defer("mail", function=LATER)
        raise ValueError("no")
        yield

    response = await stage(blocking, body).call()
    assert (response.status, b"DeferAdd" in response.body) == (500, False)


@COLOURS
async def test_what_was_taken_back_before_anybody_knew_is_only_taken_back(blocking: bool) -> None:
    def body(ctx: Any) -> Any:
        left = ctx.defer("mail", function=LATER)
        left.abort()
        left.abort()
        yield "a"

    played = stage(blocking, body)
    await played.call()
    response = await played.call()
    assert [o.op for o in decode_operations(response.body)] == ["StepRun", "DeferAbort"]


@COLOURS
async def test_what_is_taken_back_after_a_step_is_told_once(blocking: bool) -> None:
    def body(ctx: Any) -> Any:
        left = ctx.defer("mail", function=LATER)
        kept = ctx.defer("mail", function=LATER)
        yield "a"
        left.abort()
        yield "b"
        yield "c"
        return kept is not left

    played = stage(blocking, body)
    assert await played.play() is True
    assert played.reports == [
        ["StepRun a", "DeferAdd mail", "DeferAdd mail"],
        ["StepRun b", "DeferAbort mail"],
        ["StepRun c"],
    ]
    assert list(played.defers.values()) == [False, True]


@COLOURS
async def test_a_step_may_have_the_id_of_what_is_deferred(blocking: bool) -> None:
    def body(ctx: Any) -> Any:
        ctx.defer("a", function=LATER)
        yield "a"
        yield "defer:a"
        return 1

    played = stage(blocking, body)
    assert await played.play() == 1
    assert set(played.defers).isdisjoint(played.steps)


@COLOURS
async def test_a_handler_that_is_left_takes_nothing_back(blocking: bool) -> None:
    async def handler(ctx: Context) -> None:
        left = ctx.defer("mail", function=LATER)
        try:
            await ctx.step.run("a", give, 1)
        finally:
            left.abort()

    def handler_sync(ctx: ContextSync) -> None:
        left = ctx.defer("mail", function=LATER)
        try:
            ctx.step.run("a", lambda: 1)
        finally:
            left.abort()

    chosen: Any = handler_sync if blocking else handler
    played = Stage(chosen, blocking=blocking)
    response = await played.call()
    assert [o.op for o in decode_operations(response.body)] == ["StepRun", "DeferAdd"]


@COLOURS
@pytest.mark.parametrize("what", ["defer", "abort"])
async def test_nothing_is_deferred_or_taken_back_inside_a_step(what: str, blocking: bool) -> None:
    def inside(ctx: Any, left: Any) -> None:
        if what == "abort":
            left.abort()
        else:
            ctx.defer("mail", function=LATER)

    async def handler(ctx: Context) -> None:
        left = ctx.defer("mail", function=LATER)
        await ctx.step.run("a", inside, ctx, left)

    def handler_sync(ctx: ContextSync) -> None:
        left = ctx.defer("mail", function=LATER)
        ctx.step.run("a", inside, ctx, left)

    chosen: Any = handler_sync if blocking else handler
    found = await Stage(chosen, blocking=blocking).play()
    assert found["failed"] == "StepNestedError"
    assert 'defer "mail" is called inside step "a"' in found["message"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"step_id": ""}, "step_id = '': give it an id"),
    ({"function": "later"}, "function = 'later': give what create_function made"),
    ({"function": function(later)}, r"function = <Function app-later>: .*TriggerDefer"),
    ({"data": [1]}, "data: list is no object; wrap it"),
    ({"data": {"a": object()}}, "data: "),
    ({"data": {"a": "x" * 5_000_000}}, r"data has \d+ bytes as JSON; all that a run defers"),
]


@pytest.mark.parametrize(("given", "words"), WRONG, ids=steady)
async def test_wrong_arguments_are_told(given: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {"step_id": "mail", "function": LATER, **given}

    async def handler(ctx: Context) -> None:
        with pytest.raises(ConfigurationError, match=words):
            ctx.defer(**arguments)

    assert await Stage(handler).play() is None


async def test_a_run_defers_so_many_and_no_more() -> None:
    async def handler(ctx: Context) -> None:
        for n in range(20):
            ctx.defer(f"mail-{n % 7}", function=LATER, data={"n": n})
        await ctx.step.run("a", give, 1)
        with pytest.raises(ConfigurationError, match='"more": a run defers at most 20 functions'):
            ctx.defer("more", function=LATER)

    played = Stage(handler)
    assert await played.play() is None
    assert len(played.defers) == 20


async def test_it_travels_with_what_the_server_does_with_plans_and_with_failed_steps() -> None:
    async def bad() -> None:
        raise ValueError("no")

    async def handler(ctx: Context) -> str:
        ctx.defer("one", function=LATER)
        await ctx.step.sleep("nap", 1)
        ctx.defer("two", function=LATER)
        await ctx.group.parallel(
            (lambda: ctx.step.run("p", give, 1), lambda: ctx.step.run("q", give, 1))
        )
        ctx.defer("three", function=LATER)
        try:
            await ctx.step.run("bad", bad)
        except StepError:
            return "done"
        return ""

    played = Stage(handler, max_attempts=1)
    assert await played.play() == "done"
    assert played.reports == [
        ["Sleep nap", "DeferAdd one"],
        ["StepPlanned p", "StepPlanned q", "DeferAdd two"],
        ["StepRun p"],
        ["StepRun q"],
        ["StepFailed bad", "DeferAdd three"],
    ]


async def test_middleware_sees_the_output_as_ever() -> None:
    seen: list[Any] = []

    class Watcher(Middleware):
        async def transform_output(self, result: Any) -> None:
            seen.append(result.output)

    async def handler(ctx: Context) -> int:
        ctx.defer("mail", function=LATER)
        return 7

    assert await Stage(handler, client=Client([Watcher])).play() == 7
    assert seen == [7]


def test_the_trigger_is_registered_for_this_function_alone() -> None:
    trigger = deferrable("it's").config("http://a.test").triggers[0]
    assert trigger.event == "inngest/deferred.schedule"
    assert trigger.expression == r"event.data._inngest.fn_slug == 'app-it\'s'"


def test_what_is_deferred_must_be_an_object() -> None:
    with pytest.raises(FunctionConfigInvalidError, match="must be an object"):
        TriggerDefer(schema=int)  # type: ignore[type-var]
    assert not function(later).takes_deferrals
    both = FunctionOptions(
        app_id="app", fn_id="both", triggers=(TriggerEvent(event="a"), TriggerDefer())
    )
    assert Function(both, later).takes_deferrals


def test_a_context_made_by_hand_defers_nothing() -> None:
    with pytest.raises(ConfigurationError, match="belongs to no call of a function"):
        Defer()("mail", function=LATER)
