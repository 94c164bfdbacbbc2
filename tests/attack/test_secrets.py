"""Keys and cookies of requests that the server makes for steps are in no file."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from stepwell.server.drivers.port import Save
from stepwell.server.engine.message.input import (
    AppRegistered,
    EventsReceived,
    Job,
    Outcome,
    Progressed,
)
from stepwell.server.engine.row.run import ItemKind
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.node import Node
from stepwell.server.store.port import CallState
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import AiGatewayCall, GatewayCall
from tests.bench import APP, Bench, app_row, broke, function, progressed

KEY = "sk-very-secret-key"
COOKIE = "session=very-secret-cookie"
QUERY = "key-in-the-address"
CALLS = (
    GatewayCall(
        id=step_hash("fetch"),
        name="fetch",
        url=f"http://127.0.0.1:9/?{QUERY}",
        headers=(("cookie", COOKIE),),
    ),
    AiGatewayCall(id=step_hash("ask"), name="ask", url="http://127.0.0.1:9/", auth_key=KEY),
)


class Function:
    """Asks for two requests, and returns when it is told their results."""

    async def call(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        return progressed(*CALLS)


class Slow:
    """The server's own requests, which take for ever."""

    def __init__(self) -> None:
        self.made: list[bytes] = []

    async def call(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        self.made.append(job.item.secret)
        await asyncio.Event().wait()
        return Progressed(())


async def test_no_file_holds_a_secret(tmp_path: Path) -> None:
    bench, slow = Bench(), Slow()
    store = SqliteStore(tmp_path / "a.db")
    node = Node(store, grace_s=0)
    node.reach(APP, Function(), 5)
    node.reach_gateway(slow, 5)
    async with node:
        await node.ledger.submit(AppRegistered(app_row(), (function(event="go"),)))
        await node.ledger.submit(
            EventsReceived((msgspec.structs.replace(bench.event("go"), ts=1),))
        )
        while len(slow.made) < 2:
            await asyncio.sleep(0.01)
        assert sum(KEY.encode() in made or COOKIE.encode() in made for made in slow.made) == 2
        files = await asyncio.to_thread(contents, tmp_path)
        for secret in (KEY, COOKIE, QUERY):
            assert secret.encode() not in files
    for secret in (KEY, COOKIE, QUERY):
        assert secret.encode() not in contents(tmp_path)


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_after_a_restart_the_function_says_it_again() -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(*CALLS))
    assert all(item.secret == b"" for item in bench.reader.items(run.id))
    before = bench.claim()
    assert [job.item.kind for job in before] == [ItemKind.GATEWAY] * 2
    assert all(job.item.secret for job in before)
    bench.restart()
    assert bench.claim() == []
    bench.answer(progressed(*CALLS))
    assert [job.item.secret for job in bench.claim()] == [job.item.secret for job in before]


@pytest.mark.parametrize("tries", [1, 3])
def test_a_request_that_is_tried_again_is_the_same(tries: int) -> None:
    bench = Bench()
    bench.begin()
    bench.answer(progressed(CALLS[0]))
    first = bench.job()
    job = first
    for _ in range(tries):
        bench.reply(job, broke())
        bench.pass_time(3_600_000)
        job = bench.job()
    assert (job.item.secret, job.item.attempt) == (first.item.secret, tries)
