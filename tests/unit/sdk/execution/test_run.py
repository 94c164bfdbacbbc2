"""One call from end to end: errors, targets, saved steps, colours."""

import asyncio
import functools
import json
import sys
import threading
import time
import warnings
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest

from stepwell.sdk.errors import (
    IndeterminateFunctionWarning,
    InngestWarning,
    NonRetriableError,
    RetryAfterError,
    StepError,
)
from stepwell.sdk.execution.run import run_call, run_call_sync
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.wire.execution import decode_call, encode_call
from stepwell.wire.identifier import step_hash
from tests.ids import exact
from tests.replay.stage import Client, Stage, function
from tests.unit.sdk.execution.handlers import afail, fail, give, in_both_colours, stepping


@pytest.mark.parametrize("colour", [0, 1])
@pytest.mark.parametrize(
    ("error", "name", "no_retry", "retry_after"),
    [
        (ValueError("x"), "ValueError", "false", None),
        (NonRetriableError("x"), "NonRetriableError", "true", None),
        (RetryAfterError("x", 1500), "RetryAfterError", "false", "2"),
        (StepError("x", "TypeError", None), "TypeError", "true", None),
        (SystemExit(3), "HandlerExit", "false", None),
        (asyncio.CancelledError(), "HandlerExit", "false", None),
        (GeneratorExit(), "HandlerExit", "false", None),
        (ExceptionGroup("g", [ValueError("y")]), "ExceptionGroup", "false", None),
    ],
    ids=exact,
)
async def test_function_level_errors(
    colour: int, error: BaseException, name: str, no_retry: str, retry_after: str | None
) -> None:
    answer = await Stage(in_both_colours(lambda: fail(error))[colour]).call()
    assert (answer.status, json.loads(answer.body)["name"]) == (500, name)
    assert answer.headers["x-inngest-no-retry"] == no_retry
    assert answer.headers.get("retry-after") == retry_after


@pytest.mark.parametrize("colour", [0, 1])
@pytest.mark.parametrize(
    ("error", "op", "retry_after"),
    [
        (ValueError("x"), "StepError", None),
        (NonRetriableError("x"), "StepFailed", None),
        (RetryAfterError("x", "30s"), "StepError", "30"),
        (StepError("x", "TypeError", None), "StepFailed", None),
        (SystemExit(3), "StepError", None),
        (asyncio.CancelledError(), "StepError", None),
    ],
    ids=exact,
)
async def test_errors_inside_steps(
    colour: int, error: BaseException, op: str, retry_after: str | None
) -> None:
    stage = Stage(stepping(lambda: fail(error))[colour])
    answer = await stage.call()
    (found,) = stage.operations(answer)
    assert found.op == op
    assert answer.headers.get("retry-after") == retry_after


async def test_the_last_try_fails_the_step_for_good() -> None:
    async def handler(ctx: Context) -> Any:
        try:
            await ctx.step.run("a", afail, ValueError("no"))
        except StepError as error:
            return [error.name, error.step_id, "in afail" in (error.stack or "")]

    stage = Stage(handler, max_attempts=3)
    assert await stage.play() == ["ValueError", "a", True]
    assert stage.reports == [["StepError a"], ["StepError a"], ["StepFailed a"]]


async def test_without_a_known_limit_the_server_judges() -> None:
    async def handler(ctx: Context) -> Any:
        await ctx.step.run("a", afail, ValueError("no"))

    stage = Stage(handler, max_attempts=None)
    stage.attempt = 99
    assert [o.op for o in stage.operations(await stage.call())] == ["StepError"]


async def test_e_158_causes_reach_whoever_catches_the_step() -> None:
    async def deep() -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error

    async def handler(ctx: Context) -> Any:
        try:
            await ctx.step.run("a", deep)
        except StepError as error:
            assert isinstance(error.cause, StepError)  # noqa: PT017
            return [error.message, error.cause.name, error.cause.message]

    assert await Stage(handler, max_attempts=1).play() == ["outer", "KeyError", "'inner'"]


async def test_an_uncaught_step_error_keeps_the_original() -> None:
    async def handler(ctx: Context) -> Any:
        await ctx.step.run("a", afail, TypeError("no"))

    stage = Stage(handler, max_attempts=1)
    stage.operations(await stage.call())
    assert await stage.play() == {"failed": "TypeError", "message": "no", "code": "step_errored"}


class Alien:
    pass


@pytest.mark.parametrize("colour", [0, 1])
async def test_a_result_that_cannot_travel_names_step_and_type(colour: int) -> None:
    stage = Stage(stepping(Alien)[colour])
    (found,) = stage.operations(await stage.call())
    assert found.op == "StepFailed"
    message = found.failure.message  # type: ignore[union-attr]
    assert message.startswith('"a" returned unserializable data: the result of the step, a Alien,')
    assert "annotate" in message or "nothing JSON can carry" in message
    whole = await Stage(in_both_colours(Alien)[colour]).call()
    assert json.loads(whole.body)["code"] == "output_unserializable"
    assert whole.headers["x-inngest-no-retry"] == "true"


async def test_a_result_too_large_for_any_server_is_named() -> None:
    async def handler(ctx: Context) -> Any:
        return await ctx.step.run("big", lambda: "x" * (4 * 1024 * 1024))

    stage = Stage(handler)
    (found,) = stage.operations(await stage.call())
    assert "it has 4194306 bytes as JSON" in found.failure.message  # type: ignore[union-attr]


async def test_a_stored_result_that_no_longer_fits_its_type() -> None:
    class Shape(msgspec.Struct):
        name: str

    async def make() -> Shape:
        return Shape("x")

    async def handler(ctx: Context) -> Any:
        return (await ctx.step.run("a", make)).name

    stage = Stage(handler)
    stage.keep(step_hash("a"), msgspec.Raw(b'{"data":{"title":"x"}}'))
    found = await stage.play()
    assert found["code"] == "output_unserializable"
    assert 'the stored result of step "a" does not fit its type' in found["message"]


# Targets


async def test_e_162_a_target_that_is_gone_is_named_with_what_was_found() -> None:
    async def handler(ctx: Context) -> Any:
        await asyncio.gather(ctx.step.run("a", give, 1), ctx.step.run("b", give, 2))

    stage = Stage(handler)
    answer = await stage.call("0" * 40)
    found = json.loads(answer.body)
    assert (answer.status, found["code"]) == (500, "step_unexpected")
    assert answer.headers["x-inngest-no-retry"] == "false"
    assert f'Could not find step "{"0" * 40}" to run' in found["message"]
    assert '"a", "b"' in found["message"]


async def test_a_target_that_is_gone_has_the_name_that_the_server_says() -> None:
    async def handler(ctx: Context) -> Any:
        await asyncio.gather(ctx.step.run("a", give, 1), ctx.step.run("b", give, 2))

    stage = Stage(handler)
    request = msgspec.structs.replace(stage.request(), step_name="charge")
    call = partial(run_call, stage.function, decode_call(encode_call(request)))
    answer = await call(client=stage.client, target="0" * 40)
    assert 'Could not find step "charge" to run' in json.loads(answer.body)["message"]


@pytest.mark.parametrize("colour", ["coroutine", "plain", "blocking"])
async def test_a_call_for_one_step_ends_with_it_although_steps_can_be_saved(
    colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    saved: list[Any] = []

    async def coroutine(ctx: Context) -> Any:
        await asyncio.gather(ctx.step.run("a", give, 1), ctx.step.run("b", give, 2))

    def plain(ctx: ContextSync) -> Any:
        run = ctx.step.run
        ctx.group.parallel((partial(run, "a", lambda: 1), partial(run, "b", lambda: 2)))

    async def save(operations: Any) -> None:
        saved.append(operations)

    stage = Stage(coroutine if colour == "coroutine" else plain)
    if colour == "blocking":
        answer = run_call_sync(
            stage.function,
            stage.request(),
            client=stage.client,
            target=step_hash("a"),
            save=saved.append,
        )
    else:
        answer = await stage.call(step_hash("a"), save=save)
    (found,) = stage.operations(answer)
    assert (found.op, found.id, saved) == ("StepRun", step_hash("a"), [])
    assert caplog.records == []


async def test_a_target_beyond_the_end_is_missing_too() -> None:
    """The function returned without ever meeting it: its result must not end the run."""

    async def handler(ctx: Context) -> Any:
        return "done"

    answer = await Stage(handler).call("0" * 40)
    assert (answer.status, json.loads(answer.body)["code"]) == (500, "step_not_found")


async def test_arguments_replaced_by_the_server() -> None:
    async def handler(ctx: Context) -> Any:
        return await ctx.step.run("a", give, "old")

    stage = Stage(handler)
    stage.steps[step_hash("a")] = msgspec.Raw(b'{"input":["new"]}')
    (found,) = stage.operations(await stage.call())
    assert bytes(found.data) == b'"new"'  # type: ignore[union-attr]
    assert bytes(found.input) == b'["new"]'  # type: ignore[union-attr, arg-type]


# Warnings


async def test_e_161_vanished_steps_are_warned_of_once() -> None:
    async def handler(ctx: Context) -> Any:
        await ctx.step.run("renamed", give, 1)

    stage = Stage(handler)
    stage.keep(step_hash("old"), msgspec.Raw(b'{"data":1}'))
    with pytest.warns(IndeterminateFunctionWarning, match=r'steps \("renamed"\) before 1') as found:
        await stage.call()
    assert [w.message.code for w in found] == ["NON_DETERMINISTIC_FUNCTION"]  # type: ignore[union-attr]


async def test_changed_code_is_told_which_steps_it_has_no_more() -> None:
    async def renames(ctx: Context) -> Any:
        await ctx.step.run("pay", give, 1)

    async def removes(ctx: Context) -> Any:
        return 1

    for handler, words in (
        (renames, r'met new steps \("pay"\) before 2 known ones \("charge", "label"\): steps were'),
        (removes, r'returned without 2 known ones \("charge", "label"\): the code has changed'),
    ):
        stage = Stage(handler)
        for name in ("charge", "label"):
            stage.keep(step_hash(name), msgspec.Raw(b'{"data":1}'))
        names = {step_hash(name): name for name in ("charge", "label")}
        with pytest.warns(IndeterminateFunctionWarning, match=words) as found:
            await stage.call(step_names=names)
        assert len(found) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", InngestWarning)
        answer = await stage.call(step_names=names)
    assert json.loads(answer.body)["name"] == "IndeterminateFunctionWarning"


async def test_a_step_that_is_gone_is_no_news_where_the_code_is_the_same() -> None:
    async def handler(ctx: Context) -> Any:
        return 1

    stage = Stage(handler)
    stage.keep(step_hash("old"), msgspec.Raw(b'{"data":1}'))
    with warnings.catch_warnings():
        warnings.simplefilter("error", InngestWarning)
        assert (await stage.call()).status == 200


@pytest.mark.parametrize("parallel", [False, True])
async def test_warnings_made_errors_end_the_call(parallel: bool) -> None:
    async def handler(ctx: Context) -> Any:
        if parallel:
            await asyncio.gather(*(ctx.step.sleep(f"s{i}", 1) for i in range(2)))
        await ctx.step.sleep("renamed", 1)

    stage = Stage(handler)
    stage.keep(step_hash("old"), msgspec.Raw(b"null"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", InngestWarning)
        answer = await asyncio.wait_for(stage.call(), 2)
    assert json.loads(answer.body)["name"] == "IndeterminateFunctionWarning"


async def test_plain_code_never_holds_up_the_loop() -> None:
    release = threading.Event()

    def handler(ctx: ContextSync) -> Any:
        return ctx.step.run("a", release.wait, 5)

    task = asyncio.create_task(Stage(handler).call())
    await asyncio.sleep(0.01)
    assert not task.done()
    release.set()
    assert (await task).status == 206


async def test_plain_steps_of_coroutine_handlers_run_in_threads() -> None:
    async def handler(ctx: Context) -> Any:
        return await ctx.step.run("a", threading.get_ident)

    stage = Stage(handler)
    (found,) = stage.operations(await stage.call())
    assert json.loads(bytes(found.data)) != threading.get_ident()  # type: ignore[union-attr]


async def test_lambdas_may_return_awaitables_of_the_loop() -> None:
    async def handler(ctx: Context) -> Any:
        return await ctx.step.run("a", lambda: asyncio.gather(give(1), give(2)))

    assert await Stage(handler).play() == [1, 2]


async def test_handlers_wrapped_in_other_ways() -> None:
    class Handler:
        async def __call__(self, ctx: Context) -> Any:
            return await ctx.step.run("a", self.twice, 2)

        def twice(self, value: int) -> int:
            return value * 2

        async def method(self, ctx: Context) -> Any:
            return await ctx.step.run("b", self.twice, 3)

    made = Handler()
    made.__name__ = "made"  # type: ignore[attr-defined]
    assert await Stage(made).play() == 4
    assert await Stage(made.method).play() == 6


async def test_more_plain_handlers_than_threads_wait_their_turn() -> None:
    def handler(ctx: ContextSync) -> Any:
        time.sleep(0.002)
        return ctx.step.run("a", lambda: 1)

    stages = [Stage(handler) for _ in range(60)]
    assert await asyncio.gather(*(stage.play() for stage in stages)) == [1] * 60


def test_blocking_callers_run_both_colours() -> None:
    async def coroutine(ctx: Context) -> Any:
        return await ctx.step.run("a", give, threading.current_thread().name)

    def plain(ctx: ContextSync) -> Any:
        return ctx.step.run("a", lambda: threading.current_thread().name)

    names = []
    for handler in (coroutine, plain):
        stage = Stage(handler)
        answer = run_call_sync(stage.function, stage.request(), client=stage.client)
        names.append(json.loads(bytes(stage.operations(answer)[0].data)))  # type: ignore[union-attr]
    assert names[0] != names[1] == threading.current_thread().name


async def test_a_coroutine_step_of_a_plain_handler() -> None:
    def handler(ctx: ContextSync) -> Any:
        return ctx.step.run("a", give, 5)

    assert await Stage(handler).play() == 5
    assert await Stage(handler, blocking=True).play() == 5


# Handlers that stay alive


async def test_steps_are_saved_before_the_handler_goes_on() -> None:
    log: list[str] = []

    async def note(name: str) -> str:
        log.append(f"run {name}")
        return name

    async def handler(ctx: Context) -> Any:
        for name in "abc":
            log.append(f"got {await ctx.step.run(name, note, name)}")  # noqa: PERF401
        await ctx.step.sleep("nap", 1000)

    async def save(operations: Any) -> None:
        await asyncio.sleep(0)
        log.append(f"saved {operations[0].userland.id}")

    stage = Stage(handler)
    answer = await stage.call(save=save)
    assert log == [f"{what} {n}" for n in "abc" for what in ("run", "saved", "got")]
    stage.operations(answer)
    assert stage.reports == [["Sleep nap"]]


@pytest.mark.parametrize("plain", [False, True])
async def test_a_step_that_could_not_be_saved_is_in_the_answer(plain: bool) -> None:
    async def handler(ctx: Context) -> Any:
        return [await ctx.step.run(name, give, name) for name in "ab"]

    def blocking(ctx: ContextSync) -> Any:
        return [ctx.step.run(name, lambda: 1) for name in "ab"]

    saved: list[str] = []

    async def save(operations: Any) -> None:
        if saved:
            raise ConnectionError("gone")
        saved.append(operations[0].userland.id)

    stage = Stage(blocking if plain else handler)
    stage.operations(await stage.call(save=save))
    assert (saved, stage.reports) == (["a"], [["StepRun b"]])


async def test_a_saved_step_renews_the_tries() -> None:
    async def handler(ctx: Context) -> Any:
        await ctx.step.run("a", give, 1)
        await ctx.step.run("b", afail, ValueError("no"))

    async def save(operations: Any) -> None:
        return None

    stage = Stage(handler, max_attempts=2)
    stage.attempt = 1
    (found,) = stage.operations(await stage.call(save=save))
    assert found.op == "StepError"


@pytest.mark.parametrize("plain", [False, True])
async def test_a_pause_plans_the_next_step_instead(plain: bool) -> None:
    async def handler(ctx: Context) -> Any:
        return [await ctx.step.run(name, give, name) for name in "abc"]

    def blocking(ctx: ContextSync) -> Any:
        return [ctx.step.run(name, lambda: 1) for name in "abc"]

    async def save(operations: Any) -> None:
        return None

    made = function(blocking if plain else handler)
    stage = Stage(made)
    answer = await run_call(
        made, stage.request(), client=stage.client, save=save, pause=lambda: True
    )
    stage.operations(answer)
    assert stage.reports == [["StepPlanned b"]]


async def test_parallel_steps_run_beside_each_other_in_a_call_that_is_alive() -> None:
    beside: list[int] = []

    async def meet(n: int) -> int:
        beside.append(n)
        while len(beside) < 2:
            await asyncio.sleep(0)
        return n

    async def handler(ctx: Context) -> Any:
        await ctx.step.run("first", give, 1)
        return await asyncio.gather(ctx.step.run("a", meet, 2), ctx.step.run("b", meet, 3))

    stage = Stage(handler)
    assert await stage.play_live() == [2, 3]
    assert stage.reports == []
    assert sorted(stage.ended()) == ["a", "b", "first"]


async def test_steps_that_fail_beside_others_wait_for_them() -> None:
    async def fail() -> None:
        raise ValueError("no")

    async def late() -> int:
        await asyncio.sleep(0.01)
        return 5

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(
            ctx.step.run("bad", fail),
            ctx.step.run("good", late),
            ctx.step.run("worse", fail),
        )

    made = function(handler)
    saved: list[str] = []

    async def save(operations: Any) -> None:
        saved.extend(operation.name for operation in operations)

    stage = Stage(made)
    answer = await run_call(made, stage.request(), client=stage.client, save=save)
    found = stage.operations(answer)
    assert saved == ["good"]
    assert [type(one).__name__ for one in found] == ["StepError", "StepError"]


async def test_a_sleep_beside_a_step_is_not_kept_waiting_by_it() -> None:
    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(ctx.step.run("a", give, 2), ctx.step.sleep("nap", 1000))

    made = function(handler)

    async def save(operations: Any) -> None:
        return None

    stage = Stage(made)
    answer = await run_call(made, stage.request(), client=stage.client, save=save)
    found = stage.operations(answer)
    assert [type(one).__name__ for one in found] == ["StepPlanned", "Sleep"]


# Logs


async def test_what_a_handler_is_told() -> None:
    async def handler(ctx: Context) -> Any:
        return [
            ctx.attempt,
            ctx.max_attempts,
            ctx.event.name,
            len(ctx.events),
            ctx.run_id,
            ctx.job_id,
            ctx.error,
        ]

    stage = Stage(handler)
    assert await stage.play() == [0, 4, "test/start", 1, stage.request().ctx.run_id, None, None]


async def test_a_failure_handler_gets_the_error() -> None:
    async def handler(ctx: Context) -> Any:
        assert ctx.error is not None
        return [ctx.error.name, ctx.error.message, await ctx.step.run("mail", give, "sent")]

    failed = {
        "name": "inngest/function.failed",
        "data": {"error": {"name": "ValueError", "message": "no"}, "function_id": "x"},
    }
    assert await Stage(handler, event=failed).play() == ["ValueError", "no", "sent"]


async def test_sending_events_repeats_under_the_same_seed() -> None:
    from stepwell.sdk.events.event import Event

    async def handler(ctx: Context) -> Any:
        first = await ctx.step.send_event("send", Event(name="a"))
        return first + await ctx.step.send_event("send", [Event(name="b"), Event(name="c")])

    client = Client()
    stage = Stage(handler, client=client)
    assert await stage.play() == ["id-0", "id-0", "id-1"]
    again = Stage(handler, client=client)
    await again.call()
    seeds = [seed for _, seed in client.sent]
    assert seeds[0] == seeds[2] != seeds[1]


async def test_the_idempotency_key_is_the_same_in_every_try() -> None:
    keys: list[str] = []

    async def handler(ctx: Context) -> None:
        async def charge() -> None:
            keys.append(ctx.step.idempotency_key)
            raise ValueError("again")

        await ctx.step.run("charge", charge)

    stage = Stage(handler)
    for _ in range(2):
        await stage.call()
    assert keys == [f"{stage.request().ctx.run_id}-{step_hash('charge')}"] * 2


async def test_events_that_cannot_be_read_are_an_answer_too() -> None:
    async def handler(ctx: Context) -> None:
        return None

    stage = Stage(handler)
    request = msgspec.structs.replace(stage.request(), event=msgspec.Raw(b"5"), events=())
    answer = await run_call(stage.function, request, client=stage.client)
    assert answer.status == 500


def test_no_loop_is_needed_to_import() -> None:
    assert "stepwell.sdk.execution.run" in sys.modules


# Handlers that share their code


async def test_steps_behind_one_decorator_give_what_each_of_them_returns() -> None:
    def traced(handler: Callable[..., Any]) -> Any:
        @functools.wraps(handler)
        def run(*args: Any) -> Any:
            return handler(*args)

        return run

    @traced
    def price() -> Decimal:
        return Decimal("19.90")

    @traced
    def zip_code() -> str:
        return "01067"

    @traced
    async def city() -> str:
        return "Dresden"

    async def handler(ctx: Context) -> list[str]:
        found = [
            await ctx.step.run("price", price),
            await ctx.step.run("zip", zip_code),
            await ctx.step.run("city", city),
        ]
        return [repr(one) for one in found]

    assert await Stage(handler).play() == ["Decimal('19.90')", "'01067'", "'Dresden'"]


async def test_a_coroutine_function_made_plain_by_a_decorator_is_no_coroutine() -> None:
    async def answer() -> int:
        return 42

    @functools.wraps(answer)
    def plain() -> int:
        return 42

    async def handler(ctx: Context) -> int:
        return await ctx.step.run("a", plain)

    assert await Stage(handler).play() == 42


@pytest.mark.parametrize("colour", [0, 1])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StepError("x", "NonRetriableError", None), "non_retriable_error"),
        (StepError("x", "TypeError", None), "step_errored"),
        (NonRetriableError("x"), "non_retriable_error"),
        (ValueError("x"), "unknown"),
    ],
)
async def test_errors_that_leave_a_function_have_the_codes_of_the_official_sdk(
    error: Exception, code: str, colour: int
) -> None:
    answered = await Stage(in_both_colours(lambda: fail(error))[colour]).call()
    told = json.loads(answered.body)
    assert (told["code"], "stack" in told) == (code, True)


# Steps that nobody awaits
