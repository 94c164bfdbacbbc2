"""Functions that end the process they run in, or ask for its end."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import stepwell
from stepwell.embedded import Engine
from stepwell.server.engine.calling.suspect import APART_MS
from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message.input import Job, Work
from stepwell.server.engine.row.run import Item, RunStatus
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.sqlite.store import SqliteStore
from tests.bench import APP, SEED, Bench, app_row, broke, function, planned, progressed, step_run

HERE = Path(__file__).parent


class Deaths(Bench):
    """An engine whose functions are in its own process, and whose process dies."""

    began_ms: int = 0

    def die(self) -> None:
        self.restart()
        self.pass_time(10)
        self.began_ms = self.now_ms

    def take(self) -> list[Job]:
        asked = given_.WorkAsked(SEED, ((APP, 100),), 100, 60_000, self.began_ms)
        work = self.submit(asked)
        assert isinstance(work, Work)
        return list(work.jobs)

    def serve(self, retries: int) -> None:
        app = msgspec.structs.replace(app_row(), method="local")
        given = function(event="go", retries=retries)
        self.submit(given_.AppRegistered(app, (given,)))

    def item(self, run_id: str) -> Item:
        (item,) = self.store.disk.items.of(run_id)
        return item


@pytest.mark.parametrize(("retries", "tries"), [(0, 3), (4, 5)])
def test_a_call_that_ends_its_process_has_failed_after_its_tries(retries: int, tries: int) -> None:
    bench = Deaths()
    bench.serve(retries)
    bench.send("go")
    (run,) = bench.runs()
    for _ in range(tries):
        while not bench.take():
            assert not bench.run(run.id).ended
            bench.pass_time(APART_MS)
        bench.die()
    assert bench.take() == []
    ended = bench.run(run.id)
    assert ended.status is RunStatus.FAILED
    assert ended.output is not None
    assert b"ProcessEnded" in ended.output


def test_nothing_is_counted_after_an_end_in_order() -> None:
    bench = Deaths()
    bench.serve(0)
    bench.send("go")
    for _ in range(5):
        (job,) = bench.take()
        assert job.item.losses == 0
        bench.restart()


def test_a_suspect_begins_behind_the_others_and_apart_from_its_like() -> None:
    bench = Deaths()
    bench.serve(4)
    for n in range(3):
        bench.send("go", {"n": n})
    assert len(bench.take()) == 3
    bench.die()
    assert [job.item.losses for job in bench.take()] == [1, 1, 1]
    bench.die()
    bench.send("go", {"n": "new"})
    (new,) = bench.take()
    assert new.item.losses == 0
    begun = []
    for _ in range(4):
        bench.pass_time(APART_MS)
        begun.append([job.item.losses for job in bench.take()])
    assert sorted(begun) == [[], [2], [2], [2]]


def test_a_planned_step_is_a_suspect_too() -> None:
    bench = Deaths()
    bench.serve(0)
    bench.send("go")
    (job,) = bench.take()
    bench.reply(job, progressed(planned("a"), planned("b")))
    for losses in ([0, 0], [1, 1]):
        assert [job.item.losses for job in bench.take()] == losses
        bench.die()
    assert bench.take() == []


def test_whoever_saves_a_step_has_its_tries_again() -> None:
    bench = Deaths()
    bench.serve(0)
    bench.send("go")
    bench.take()
    bench.die()
    (job,) = bench.take()
    lease = job.lease
    saved = given_.StepsCheckpointed(lease.id, lease.run_id, lease.key, (step_run("a"),))
    bench.submit(saved)
    assert bench.item(job.run.id).losses == 0


def test_what_failed_in_order_is_no_suspect() -> None:
    bench = Deaths()
    bench.serve(4)
    bench.send("go")
    bench.take()
    bench.die()
    (job,) = bench.take()
    bench.reply(job, broke())
    assert (bench.item(job.run.id).losses, bench.item(job.run.id).attempt) == (0, 1)


def test_the_functions_of_other_processes_are_not_counted() -> None:
    bench = Deaths()
    bench.register(function(event="go"))
    bench.send("go")
    for _ in range(5):
        (job,) = bench.take()
        assert job.item.losses == 0
        bench.die()


def test_stores_know_whether_they_were_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    for ends, before in [(False, True), (True, False), (True, True)]:
        store = SqliteStore(path)
        store.migrate()
        assert store.ended_in_order is before
        if not ends:
            # As if the process had died: nothing of ours is done.
            store._db.close()
            store._lock.release()
        else:
            store.close()
    memory = MemoryStore()
    assert memory.ended_in_order
    assert not MemoryStore(memory.disk).ended_in_order


@pytest.mark.slow
def test_a_program_whose_function_ends_it_goes_on_at_last(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "poison_app.py"), str(tmp_path / "a.db")]
    ends: list[subprocess.CompletedProcess[str]] = []
    names = ["poison"]
    for _ in range(6):
        ends.append(
            subprocess.run(
                [*command, *names],
                env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        )
        names = ["good"]
        if ends[-1].returncode != 9:
            break
    assert [end.returncode for end in ends] == [9, 9, 9, 0], ends[-1].stderr
    assert all("good\n" in end.stdout for end in ends[2:]), "others are not kept from their turn"
    assert "shop-poison Failed" in ends[-1].stdout
    assert "ProcessEnded" in ends[-1].stdout


@pytest.mark.parametrize("exit_", [SystemExit, KeyboardInterrupt])
async def test_a_thread_that_asks_for_the_end_ends_its_call_only(
    exit_: type[BaseException],
) -> None:
    client = stepwell.Inngest(app_id="shop", is_production=False)

    @client.create_function(fn_id="plain", trigger=stepwell.TriggerEvent(event="never"), retries=0)
    def plain(ctx: stepwell.ContextSync) -> None:
        raise exit_(3)

    def leave() -> None:
        raise exit_(4)

    @client.create_function(fn_id="step", trigger=stepwell.TriggerEvent(event="never"), retries=0)
    async def step(ctx: stepwell.Context) -> None:
        await ctx.step.run("leave", leave)

    @client.create_function(
        fn_id="plain-step", trigger=stepwell.TriggerEvent(event="never"), retries=0
    )
    def plain_step(ctx: stepwell.ContextSync) -> None:
        ctx.step.run("leave", leave)

    @client.create_function(fn_id="good", trigger=stepwell.TriggerEvent(event="never"))
    async def good(ctx: stepwell.Context) -> str:
        return "still here"

    async with Engine(client, [plain, step, plain_step, good], database=":memory:"):
        for bad in (plain, step, plain_step):
            with pytest.raises(stepwell.RunFailedError, match=exit_.__name__):
                await client.invoke(bad)
        assert await client.invoke(good) == "still here"
