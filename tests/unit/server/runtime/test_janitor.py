"""The janitor, on virtual time: what is old is forgotten, what nobody serves is given up, and many
runs are cancelled, a few at a time."""

import asyncio

import msgspec
import pytest

from stepwell.server.engine.message import input as given_
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.ledger import EngineFault
from stepwell.server.runtime.janitor import Janitor
from stepwell.server.store.port import RunFilter, Unavailable
from stepwell.testing.virtual_time import VirtualLoop
from stepwell.wire.function_config import Code, decode_function, encode_function
from tests.bench import APP, app_row
from tests.unit.server.runtime.stage import Stage, done, naps, play, sleeps


def test_the_janitor_forgets_what_is_old_in_small_batches() -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done, limit=600)
        await stage.open()
        for _ in range(450):
            await stage.send()
        await asyncio.sleep(10)
        ledger, clock = stage.node.ledger, stage.clock
        assert (await Janitor(ledger, clock, 60_000).run_once()).runs == 0
        await asyncio.sleep(100)
        assert (await Janitor(ledger, clock, 0).run_once()).runs == 0
        pruned = await Janitor(ledger, clock, 60_000).run_once()
        assert (pruned.runs, pruned.events) == (450, 450)
        assert stage.node.reader.runs(RunFilter()) == []
        assert stage.store.disk.events == {}
        await stage.node.stop()

    play(scene)


def test_many_runs_are_cancelled_also_after_a_restart() -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, sleeps)
        await stage.open()
        for _ in range(450):
            await stage.send()
        await asyncio.sleep(10)
        ledger, reader, now_ms = stage.node.ledger, stage.node.reader, stage.clock.now_ms()
        asked = Cancellation("C", APP, "shop-work", 0, now_ms, "", now_ms)
        await stage.node.canceller.stop()
        await ledger.submit(given_.CancellationAsked(asked))
        await asyncio.sleep(10)
        assert not [run for run in reader.runs(RunFilter(limit=500)) if run.ended]
        stage.node.canceller.start()
        await asyncio.sleep(1)
        runs = reader.runs(RunFilter(limit=500))
        assert {run.status for run in runs} == {RunStatus.CANCELLED}
        assert reader.open_cancellations() == []
        # While the node runs, what is asked is done at once.
        late = await stage.send()
        await asyncio.sleep(1)
        again = msgspec.structs.replace(asked, id="D", before_ms=stage.clock.now_ms())
        await ledger.submit(given_.CancellationAsked(again))
        await asyncio.sleep(1)
        found = reader.run(late)
        assert found is not None
        assert found.status is RunStatus.CANCELLED
        await stage.node.stop()

    play(scene)


def test_pinned_runs_whose_code_nobody_serves_are_given_up_after_a_time() -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, naps)
        await stage.open()
        ledger, clock, reader = stage.node.ledger, stage.clock, stage.node.reader

        async def deploy(code: str) -> None:
            config = decode_function(reader.functions()[0].config)
            config = msgspec.structs.replace(config, code=Code(code, "pin"))
            row = msgspec.structs.replace(reader.functions()[0], config=encode_function(config))
            await ledger.submit(given_.AppRegistered(app_row(checksum=code), (row,)))

        await deploy("A")
        await stage.send()
        await asyncio.sleep(1)
        await deploy("B")
        janitor = Janitor(ledger, clock, 0, reader=reader, unserved_ms=3_600_000)
        await asyncio.sleep(3_000)
        assert await janitor.give_up() == 0
        await ledger.submit(given_.FunctionPaused("shop-work"))
        await asyncio.sleep(3_600)
        assert await janitor.give_up() == 0
        await ledger.submit(given_.FunctionResumed("shop-work"))
        assert await janitor.give_up() == 1
        (run,) = reader.runs(RunFilter(limit=1))
        assert run.status is RunStatus.FAILED
        assert b"No app has served the code A of function shop-work" in (run.output or b"")
        await stage.node.stop()

    play(scene)


def test_runs_nobody_serves_are_given_up_after_a_time() -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, sleeps)
        await stage.open()
        for _ in range(250):
            await stage.send()
        await asyncio.sleep(1)
        ledger, clock, reader = stage.node.ledger, stage.clock, stage.node.reader
        janitor = Janitor(ledger, clock, 0, reader=reader, unserved_ms=60_000)
        await asyncio.sleep(100)
        assert await janitor.give_up() == 0
        await ledger.submit(given_.AppRegistered(app_row(checksum="2"), ()))
        await asyncio.sleep(59)
        assert await janitor.give_up() == 0
        await asyncio.sleep(1)
        assert await Janitor(ledger, clock, 0, reader=reader).give_up() == 0
        assert await janitor.give_up() == 250
        (run,) = reader.runs(RunFilter(limit=1))
        assert run.status is RunStatus.FAILED
        assert b"No app has served function shop-work for 1m" in (run.output or b"")
        assert await janitor.give_up() == 0
        await stage.node.stop()

    play(scene)


@pytest.mark.parametrize(
    "error", [Unavailable("no disk"), EngineFault("a fault of ours"), ZeroDivisionError("another")]
)
def test_the_janitor_goes_on_after_an_error(error: Exception) -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, done)
        asked: list[float] = []

        def submit(given: object) -> "asyncio.Future[object]":
            asked.append(loop.time())
            answer: asyncio.Future[object] = loop.create_future()
            answer.set_exception(error)
            return answer

        stage.node.ledger.submit = submit  # type: ignore[method-assign,assignment]
        janitor = Janitor(stage.node.ledger, stage.clock, 1_000)
        janitor.start()
        await asyncio.sleep(200)
        await janitor.stop()
        assert [round(at) for at in asked] == [60, 120, 180]

    play(scene)


def test_what_a_removed_function_was_goes_with_its_last_run() -> None:
    async def scene(loop: VirtualLoop) -> None:
        stage = Stage(loop, naps)
        await stage.open()
        ledger, clock, reader = stage.node.ledger, stage.clock, stage.node.reader
        await ledger.submit(given_.AppRegistered(app_row(checksum="2"), ()))
        await asyncio.sleep(100)
        assert await Janitor(ledger, clock, 0).run_once() == given_.Pruned(0, 0)
        await Janitor(ledger, clock, 200_000).run_once()
        (gone,) = reader.gone_functions()
        assert reader.function_versions(gone.slug)
        await Janitor(ledger, clock, 50_000).run_once()
        assert reader.gone_functions() == []
        assert reader.function_versions(gone.slug) == []
        await stage.node.stop()

    play(scene)
