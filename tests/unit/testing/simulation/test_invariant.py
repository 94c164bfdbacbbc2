"""The invariant sees what it is there to see."""

from collections.abc import Callable

import msgspec
import pytest

from stepwell.server.engine.row.run import MAIN, Item, ItemKind, Lease, Run, Step
from stepwell.server.store.disk import Disk
from stepwell.testing.simulation.invariant import broken_everywhere
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import InvokeFunction, WaitForEvent
from tests.bench import Bench, function, planned, progressed, returned, step_run

W = step_hash("w")


def waiting() -> tuple[Bench, str]:
    """A run that waits for an event, for a planned step and for another run."""
    bench = Bench()
    run = bench.begin(function(event="go"), function("child"))
    wait = WaitForEvent(id=W, name="w", event="news", timeout="1h")
    invoke = InvokeFunction(id="i", name="i", function_id="shop-child")
    bench.answer(progressed(wait, planned("a"), invoke, step_run("done")))
    assert broken_everywhere(bench.reader) == []
    return bench, run.id


def change(disk: Disk, run_id: str, **fields: object) -> None:
    disk.runs[run_id] = msgspec.structs.replace(disk.runs[run_id], **fields)


def no_items(disk: Disk, run_id: str) -> None:
    disk.items.drop(run_id)
    change(disk, run_id, pending=(), parts=2)


def child_gone(disk: Disk, run_id: str) -> None:
    child = next(run for run in disk.runs.values() if run.parent)
    disk.runs.pop(child.id)
    disk.items.drop(child.id)


def ended_with_items(disk: Disk, run_id: str) -> None:
    change(disk, run_id, status=Run.__struct_defaults__[0].COMPLETED, ended_ms=1)  # type: ignore[attr-defined]


def twice_at_one_place(disk: Disk, run_id: str) -> None:
    done = disk.steps.of(run_id)[0]
    disk.steps.put((run_id, "other"), msgspec.structs.replace(done, id="other"))


def saved_and_waiting(disk: Disk, run_id: str) -> None:
    disk.steps.put((run_id, W), Step(run_id, W, 99, "Sleep", "w", b"null", 0, 0))


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (no_items, "nothing will ever move it"),
        (lambda disk, run_id: disk.items.put((run_id, W), None), "has no time-out"),
        (lambda disk, run_id: change(disk, run_id, pending=("x",)), "which nothing will end"),
        (lambda disk, run_id: change(disk, run_id, again=True), "has no call"),
        (lambda disk, run_id: change(disk, run_id, parts=7), "7 rows hang on it"),
        (child_gone, "which is not there"),
        (ended_with_items, "it ended, but has"),
        (twice_at_one_place, "saved at place"),
        (saved_and_waiting, "something still works on it"),
    ],
)
def test_each_law_is_seen_when_it_is_broken(
    break_it: Callable[[Disk, str], None], told: str
) -> None:
    bench, run_id = waiting()
    break_it(bench.store.disk, run_id)
    assert told in "\n".join(broken_everywhere(bench.reader))


def test_a_lease_on_nothing_is_seen() -> None:
    bench, run_id = waiting()
    bench.store._leases.put((run_id, "x"), Lease("l", run_id, "x", 0, 1))
    assert "which is no item" in "\n".join(broken_everywhere(bench.reader))


def test_a_child_that_ended_unheard_is_seen() -> None:
    bench, run_id = waiting()
    job = next(job for job in bench.claim() if job.run.parent)
    waits = bench.store.disk.waits.of(run_id)
    bench.reply(job, returned())
    for wait in waits:
        bench.store.disk.waits.put((run_id, wait.step_id), wait)
        bench.store.disk.items.put(
            (run_id, wait.step_id), Item(run_id, wait.step_id, ItemKind.TIMEOUT, 0)
        )
    assert "which has ended" in "\n".join(broken_everywhere(bench.reader))


def test_the_engines_own_items_are_no_runs() -> None:
    bench = Bench()
    bench.register(function("tick", cron="* * * * *"))
    assert [item.key != MAIN for item in bench.store.disk.items] == [True]
    assert broken_everywhere(bench.reader) == []
