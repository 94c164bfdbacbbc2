"""Work that pauses is done on the loop, and others have their turn."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
import uvloop

from stepwell.server.drivers.http_driver import HttpDriver
from stepwell.server.drivers.http_pool import Answer
from stepwell.server.drivers.local_driver import LocalDriver
from stepwell.server.drivers.reply import reading_reply
from stepwell.server.engine.message.input import Returned
from stepwell.server.turns import by_turns, in_turns, turn
from stepwell.wire.checkpoint import splitting_group
from stepwell.wire.event import decoding_events
from stepwell.wire.execution import CallResponse
from stepwell.wire.long_json import Turns, canonicalizing, decoding, pieces_of_list, signing_form
from stepwell.wire.operation import MalformedOperation
from stepwell.wire.operation_decode import decoding_operations
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


class Rounds:
    """Counts the rounds of the running loop."""

    def __init__(self) -> None:
        self.count = 0
        self.over = False
        self._next()

    def _next(self) -> None:
        self.count += 1
        if not self.over:
            asyncio.get_running_loop().call_soon(self._next)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_however_many_do_long_work_a_round_of_the_loop_has_one_part(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        rounds = Rounds()
        parts: list[int] = []

        def noting(pauses: int) -> Turns[int]:
            yield
            for _ in range(pauses):
                parts.append(rounds.count)
                yield
            return pauses

        told: list[int] = []
        for pauses in (5, 9):
            by_turns(noting(pauses), told.append)

        async def with_turn() -> None:
            for _ in range(7):
                await turn()
                parts.append(rounds.count)

        work = [in_turns(noting(pauses)) for pauses in (30, 1, 20)]
        assert await asyncio.gather(*work, with_turn()) == [30, 1, 20, None]
        rounds.over = True
        assert told == [5, 9]
        assert len(parts) == 72
        # Who asked for a turn takes it in the round after, beside another's part.
        assert max(Counter(parts).values()) <= 2
        assert sum(several > 1 for several in Counter(parts).values()) <= 7

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


async def test_what_is_given_up_or_fails_leaves_the_line_to_others() -> None:
    closed: list[str] = []

    def endless() -> Turns[None]:
        try:
            while True:
                yield
        finally:
            closed.append("endless")

    def failing() -> Turns[None]:
        yield
        raise ValueError("no JSON")

    given_up = asyncio.ensure_future(in_turns(endless()))
    failed = asyncio.ensure_future(in_turns(failing()))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(ValueError, match="no JSON"):
        await failed
    assert await in_turns(counting(5)) == 5
    assert closed == ["endless"]
    assert given_up.cancelled()


@pytest.mark.parametrize(
    "reading",
    [
        canonicalizing,
        signing_form,
        pieces_of_list,
        decoding_operations,
        splitting_group,
        lambda body: decoding(body, msgspec.json.Decoder(list[msgspec.Raw])),
        lambda body: decoding_events(body, None, 1),
        lambda body: reading_reply(200, {"x-inngest-sdk": "test:v1"}, body, 1),
        lambda body: reading_reply(206, {"x-inngest-sdk": "test:v1"}, body, 1),
        lambda body: reading_reply(500, {"x-inngest-sdk": "test:v1"}, body, 1),
        lambda body: reading_reply(500, {"x-inngest-sdk": "test:v1"}, body * 1_000, 1),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("size", [10_000, 100_000])
def test_nothing_long_is_read_before_the_first_pause(
    reading: Callable[[bytes], Turns[object]], size: int
) -> None:
    """Many may come at once, and each begins where it came. What is wrong with this body is seen
    with the first look at it."""
    work = reading(b"[" + b"]" * size)
    assert next(work) is None
    with pytest.raises((ValueError, MalformedOperation, StopIteration)):
        while True:
            next(work)


async def test_work_that_breaks_as_it_is_given_up_holds_up_nobody() -> None:
    def breaks() -> Turns[int]:
        try:
            yield from counting(1_000_000)
        finally:
            raise ValueError("broke")
        return 0

    told: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    given_up = asyncio.ensure_future(in_turns(breaks()))
    await asyncio.sleep(0)
    given_up.cancel()
    other = asyncio.ensure_future(in_turns(counting(5)))
    for _ in range(50):
        await asyncio.sleep(0)
    assert (other.done(), len(told)) == (True, 1)


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
