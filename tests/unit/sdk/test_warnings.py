"""Every warning points at a line of the user's, never into the package.

A table of every place that warns; a new one has to be added to it.
"""

import ast
import asyncio
import datetime as dt
import inspect
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell import Context, ContextSync, RetryAfterError, TriggerEvent
from stepwell.sdk.serve.handler import ServeHandler
from tests.replay.stage import NULL, Stage

PACKAGE = Path(stepwell.__file__).parent
NAIVE = dt.datetime(2030, 1, 1)
HERE = __file__


def answer(*given: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, b'{"ids": ["a"], "status": 200}'


def client() -> stepwell.Inngest:
    return stepwell.Inngest(app_id="shop", is_production=False, http_client=answer)


async def retry_after() -> None:
    class Mine(RetryAfterError): ...

    RetryAfterError("later", NAIVE)  # HERE
    Mine("later", NAIVE)  # HERE


async def serve_id() -> None:
    ServeHandler(client(), [], framework="x", id="shop")  # HERE


async def naive_datetime() -> None:
    await client().send({"name": "a", "data": {"t": NAIVE}})  # HERE
    client().send_sync({"name": "b", "data": {"t": NAIVE}})  # HERE


async def naive_datetime_in_a_step() -> None:
    async def handler(ctx: Context) -> None:  # HERE
        both = (ctx.step.send_event(one, {"name": one, "data": {"t": NAIVE}}) for one in "ab")
        await asyncio.gather(*both)

    stage = Stage(handler, client=client())
    for found in stage.operations(await stage.call()):
        await stage.targeted(found)


async def two_parameters() -> None:
    def old(ctx: Any, step: Any) -> None: ...

    decorate: Any = client().create_function(fn_id="f", trigger=TriggerEvent(event="a"))
    decorate(old)  # HERE


async def sleep_until() -> None:
    async def handler(ctx: Context) -> None:
        await ctx.step.sleep_until("s", NAIVE)  # HERE

    def plain(ctx: ContextSync) -> None:
        ctx.step.sleep_until("s", NAIVE)  # HERE

    await run(handler)
    await run(plain)


async def sleep_until_beside_others() -> None:
    async def handler(ctx: Context) -> None:  # HERE
        await asyncio.gather(ctx.step.sleep_until("s", NAIVE), ctx.step.sleep("t", "1s"))

    await run(handler)


async def no_events() -> None:
    await client().send([])  # HERE
    client().send_sync([])  # HERE


async def renamed() -> None:
    async def handler(ctx: Context) -> None:  # HERE
        await ctx.step.sleep("new", "1s")

    def plain(ctx: ContextSync) -> None:  # HERE
        ctx.step.sleep("new", "1s")

    for one in (handler, plain):
        stage = Stage(one)
        stage.keep("known", NULL)
        await stage.call()


async def parallel_indexing() -> None:
    async def handler(ctx: Context) -> None:  # HERE
        await asyncio.gather(ctx.step.sleep("s", "1s"), ctx.step.sleep("s", "1s"))

    await run(handler)


async def run(handler: Callable[[Any], Any]) -> None:
    await Stage(handler).call()


WARNS: dict[str, list[Callable[[], Any]]] = {
    "sdk/errors.py:_delay": [retry_after],
    "sdk/serve/handler.py:_check_id": [serve_id],
    "sdk/events/json_body.py:_in_utc": [naive_datetime, naive_datetime_in_a_step],
    "sdk/function/function.py:_entry": [two_parameters],
    "sdk/step/ask.py:sleep_until": [sleep_until, sleep_until_beside_others],
    "sdk/send/sending.py:_batches": [no_events],
    "sdk/execution/call.py:_warn": [renamed],
    "sdk/execution/tasks.py:_warn_of_indexing": [parallel_indexing],
}


def places(calls: Callable[[ast.expr], bool]) -> Iterator[str]:
    """The functions of the package that make such a call."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and any(
                isinstance(node, ast.Call) and calls(node.func) for node in ast.walk(function)
            ):
                yield f"{path.relative_to(PACKAGE)}:{function.name}"


def test_every_place_that_warns_is_in_the_table() -> None:
    named = {"warn", "warn_explicit"}
    found = set(places(lambda call: isinstance(call, ast.Name) and call.id in named))
    assert found == set(WARNS)
    direct = places(
        lambda call: (
            isinstance(call, ast.Attribute) and ast.unparse(call).startswith("warnings.warn")
        )
    )
    assert set(direct) == {"sdk/errors.py:warn"}


CASES = [
    pytest.param(case, marks=[pytest.mark.logs("no events")] if case is no_events else [])
    for cases in WARNS.values()
    for case in cases
]


@pytest.mark.parametrize("case", CASES)
async def test_a_warning_points_at_the_users_line(case: Callable[[], Any]) -> None:
    lines, first = inspect.getsourcelines(case)
    wanted = [(HERE, first + n) for n, line in enumerate(lines) if line.endswith("# HERE\n")]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        await case()
    assert wanted
    assert {(one.filename, one.lineno) for one in told} == set(wanted)
