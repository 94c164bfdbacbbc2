"""Whether a function saves its steps while a call goes on: by the client, or by its own word."""

from typing import Any

import pytest

import stepwell
from stepwell.embedded import Engine
from stepwell.sdk.connect.runner import Served, answered
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.table import FunctionTable
from stepwell.wire.connect_word import ExecutorRequest
from stepwell.wire.execution import CallResponse

CHOICES = pytest.mark.parametrize(
    ("of_client", "of_function", "goes_on"),
    [
        (None, None, True),
        (False, None, False),
        (None, False, False),
        (False, True, True),
    ],
)
CALL = (
    b'{"ctx": {"run_id": "r", "fn_id": "f", "qi_id": "q", "request_id": "x"},'
    b' "event": {"name": "e", "data": {}, "id": "i", "ts": 1}, "steps": {}}'
)


def declared(of_client: Any, of_function: Any, **options: Any) -> Any:
    client = stepwell.Inngest(
        app_id="shop", is_production=False, checkpointing=of_client, **options
    )
    calls: list[int] = []

    @client.create_function(
        fn_id="f", trigger=stepwell.TriggerEvent(event="e"), checkpointing=of_function
    )
    async def f(ctx: stepwell.Context) -> int:
        calls.append(1)
        one = await ctx.step.run("a", lambda: 1)
        return one + await ctx.step.run("b", lambda: 2)

    return client, f, calls


@CHOICES
async def test_with_the_engine_inside(of_client: Any, of_function: Any, goes_on: bool) -> None:
    client, function, calls = declared(of_client, of_function)
    async with Engine(client, [function], database=":memory:") as engine:
        ids = await client.send(stepwell.Event(name="e"))
        assert await engine.result_of(ids[0], timeout_seconds=10) == 3
    assert (len(calls) == 1) is goes_on


@CHOICES
async def test_over_http(of_client: Any, of_function: Any, goes_on: bool) -> None:
    posted: list[str] = []

    def server(method: str, url: str, *_: object) -> Any:
        posted.append(url)
        return 200, {}, b"{}"

    client, function, _ = declared(of_client, of_function, http_client=server)
    handler = ServeHandler(client, [function], framework="x")
    query = {"fnId": "shop-f", "stepId": "step"}
    request = ServeRequest(method="POST", url="http://h/x", headers={}, query=query, body=CALL)
    answer = await handler.handle(request)
    assert (answer.status == 200) is goes_on
    assert bool(posted) is goes_on


@CHOICES
async def test_in_a_worker(of_client: Any, of_function: Any, goes_on: bool) -> None:
    saved: list[object] = []

    async def save(operations: tuple[object, ...]) -> None:
        saved.extend(operations)

    client, function, _ = declared(of_client, of_function)
    app = Served(client, FunctionTable("shop", [function], client.log))
    names = ("R1", "acct", "env", "app-id", "shop", "fn", "shop-f", "step")
    words = (*names, CALL, b"", b"", "r", "l")
    answer: CallResponse = await answered(app, ExecutorRequest(*words), save=save)
    assert (answer.status == 200) is goes_on
    assert bool(saved) is goes_on


def test_what_is_no_yes_or_no_is_refused() -> None:
    with pytest.raises(
        stepwell.FunctionConfigInvalidError, match="checkpointing = 'no': give True"
    ):
        declared(None, "no")
