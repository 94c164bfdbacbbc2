"""Work that pauses is done on the loop, and others have their turn."""

import asyncio
from typing import Any, cast

import pytest

from stepwell.server.drivers.http_driver import HttpDriver
from stepwell.server.drivers.http_pool import Answer
from stepwell.server.drivers.local_driver import LocalDriver
from stepwell.server.engine.message.input import Returned
from stepwell.server.turns import by_turns, in_turns
from stepwell.wire.execution import CallResponse
from stepwell.wire.long_json import Turns
from tests.unit.server.drivers.sample import job, listing, save, state

LONG = b"[" + b"[]," * 100_000 + b"0]"


def counting(pauses: int) -> Turns[int]:
    for _ in range(pauses):
        yield
    return pauses


async def test_others_have_a_turn_at_each_pause() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    assert await in_turns(counting(20)) == 20
    assert turns >= 19
    told: list[int] = []
    before = turns
    by_turns(counting(20), told.append)
    assert told == []
    while not told:
        await asyncio.sleep(0)
    assert turns - before >= 19
    task.cancel()


async def test_what_does_not_pause_is_done_at_once() -> None:
    told: list[int] = []
    by_turns(counting(0), told.append)
    assert told == [0]


class Pool:
    async def request(self, *given: object, **named: object) -> Answer:
        return Answer(200, {"x-inngest-sdk": "test:v1"}, LONG)


async def local(*given: object) -> CallResponse:
    return CallResponse(200, LONG, {})


@pytest.mark.parametrize("kind", ["http", "local"])
async def test_a_long_answer_is_read_in_turns(kind: str) -> None:
    clock: Any = type("Clock", (), {"now_ms": lambda self: 1})()
    made: HttpDriver | LocalDriver = LocalDriver(cast(Any, local), clock)
    if kind == "http":
        made = HttpDriver(cast(Any, Pool()), clock.now_ms, "0123456789abcdef")
    turns = 0
    call = asyncio.ensure_future(made.call(job(), state(), listing(), save))
    while not call.done():
        turns += 1
        await asyncio.sleep(0)
    outcome = call.result()
    assert isinstance(outcome, Returned)
    assert outcome.output == LONG
    assert turns > 10
