"""What a durable endpoint says to somebody who does not read: bounded, and no run waits long."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest

import stepwell
from stepwell.sdk.errors import Error
from stepwell.sdk.net.server_api import ServerApi
from stepwell.sdk.serve import unread
from stepwell.sdk.serve.durable import DurableEndpoint
from stepwell.sdk.serve.durable_stream import ToServer, heard, heard_sync
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.unread import ROOM_BYTES, UNREAD_BYTES_MAX, Unread
from stepwell.sdk.step.stream import LISTENER

PIECE = "x" * 65_536
ENOUGH = ROOM_BYTES // len(PIECE)
ASKED = ServeRequest(
    method="GET",
    url="http://h/",
    headers={"accept": "text/event-stream"},
    query={},
    body=b"",
)


class Model:
    """Answers bit by bit, and counts."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.said = 0
        self.waits = threading.Event()
        """Set once as much is said as is told to nobody who reads."""

    def __iter__(self) -> Iterator[str]:
        for _ in range(self.count):
            self.said += 1
            if self.said == ENOUGH:
                self.waits.set()
            yield PIECE

    async def __aiter__(self) -> AsyncIterator[str]:
        for piece in iter(self):
            yield piece


def size(caller: Unread) -> int:
    return len(caller.take_all())


async def turns() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_coroutine_waits_for_its_caller(is_async: bool) -> None:
    caller, model = Unread(), Model(100)
    LISTENER.set(caller)
    work = asyncio.ensure_future(stepwell.stream.pipe(model if is_async else iter(model)))
    await turns()
    assert model.said == ENOUGH
    chunks = heard(caller)
    for _ in range(10):
        await anext(chunks)
    await turns()
    assert model.said == ENOUGH + 10
    await chunks.aclose()  # the caller goes away, and nobody waits for it
    assert await work == PIECE * 100
    assert size(caller) == 0


def test_a_thread_waits_for_its_caller() -> None:
    caller, model = Unread(), Model(100)
    told: list[str] = []

    def said() -> None:
        LISTENER.set(caller)
        told.append(stepwell.stream.pipe_sync(model))
        caller.end()

    thread = threading.Thread(target=said)
    thread.start()
    assert model.waits.wait(10)
    chunks = heard_sync(caller)
    heard_bytes = 0
    for number, chunk in enumerate(chunks, 1):
        heard_bytes += len(chunk)
        assert model.said <= number + ENOUGH
    thread.join(10)
    assert told == [PIECE * 100]
    assert heard_bytes > 100 * len(PIECE)


async def test_who_cannot_wait_gives_a_caller_up_in_the_end() -> None:
    caller = Unread()
    LISTENER.set(caller)
    for _ in range(UNREAD_BYTES_MAX // len(PIECE) + 1):
        stepwell.stream.push(PIECE)
    assert [chunk async for chunk in heard(caller)] == []
    stepwell.stream.push(PIECE)
    assert size(caller) == 0


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
async def test_a_caller_who_reads_nothing_for_long_is_given_up(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread, "UNREAD_SECONDS_MAX", 0.01)
    caller, model = Unread(), Model(40)
    LISTENER.set(caller)
    if kind == "coroutine":
        assert len(await stepwell.stream.pipe(model)) == 40 * len(PIECE)
    else:
        told = await asyncio.to_thread(stepwell.stream.pipe_sync, model)
        assert len(told) == 40 * len(PIECE)
    assert [chunk async for chunk in heard(caller)] == []


@pytest.mark.stalls("DurableEndpoint._told_all")  # imports the HTTP client
async def test_a_run_goes_on_whose_caller_goes_away() -> None:
    model = Model(30)
    over = asyncio.Event()

    async def says(ctx: stepwell.Context, request: Any) -> str:
        await stepwell.stream.pipe(model)
        over.set()
        return "done"

    client = stepwell.Inngest(app_id="shop", is_dev=True, base_url="http://127.0.0.1:1")
    endpoint = DurableEndpoint(client, says, "starlette", lambda _: None, {})
    chunks = endpoint.streamed(ASKED, "").chunks
    for _ in range(5):
        await anext(chunks)
    assert model.said < 30
    await chunks.aclose()
    async with asyncio.timeout(10):
        await over.wait()
    assert model.said == 30


class Api:
    """Takes posts when it is let."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.open = asyncio.Event()
        self.taken: list[int] = []

    async def ask(self, asked: Any) -> None:
        self.taken.append(len(asked.body))
        await self.open.wait()
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("error", [None, Error("not there")])
async def test_what_goes_by_way_of_the_server_waits_for_it(error: Exception | None) -> None:
    api, model = Api(error), Model(100)
    says = ToServer(cast(ServerApi, api), "run")
    LISTENER.set(says)
    work = asyncio.ensure_future(stepwell.stream.pipe(model))
    await turns()
    assert len(api.taken) == 1
    assert model.said <= 2 * ENOUGH
    api.open.set()
    await work
    await says.flush()
    if error is None:
        assert sum(api.taken) > 100 * len(PIECE)
    assert size(says) == 0


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
async def test_others_who_say_little_keep_no_caller_who_reads_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread, "UNREAD_SECONDS_MAX", 0.05)
    caller, model = Unread(), Model(40)
    LISTENER.set(caller)

    async def beats() -> None:
        while not work.done():
            stepwell.stream.push("still here")
            await asyncio.sleep(0.005)

    if kind == "coroutine":
        work = asyncio.ensure_future(stepwell.stream.pipe(model))
    else:
        work = asyncio.ensure_future(asyncio.to_thread(stepwell.stream.pipe_sync, model))
    beating = asyncio.ensure_future(beats())
    try:
        async with asyncio.timeout(5):
            assert len(await work) == 40 * len(PIECE)
    finally:
        caller.leave()
        await beating
    assert [chunk async for chunk in heard(caller)] == []
