"""The only place that says what must hold of the rows after every commit, whatever happened.

The one that matters most: a run that has not ended has something that will move it, an item that is
due now or later. The others say why that item is enough. They read committed rows through a store's
read side, so they judge every store alike.
"""

from collections.abc import Iterator

import msgspec

from stepwell.server.engine.row.run import (
    MAIN,
    STEP_WAITS,
    Item,
    ItemKind,
    Lease,
    Run,
    Step,
    Wait,
    WaitKind,
)
from stepwell.server.store.port import Reader, RunFilter

RUNS_MAX = 1_000_000


class Hung(msgspec.Struct, frozen=True):
    """A run with everything that hangs on it."""

    run: Run
    items: tuple[Item, ...]
    waits: tuple[Wait, ...]
    leases: tuple[Lease, ...]
    steps: tuple[Step, ...]


def seen(reader: Reader, run: Run) -> Hung:
    """The rows of a run, as committed."""
    return Hung(
        run,
        tuple(reader.items(run.id)),
        tuple(reader.waits(run.id)),
        tuple(reader.leases(run.id)),
        tuple(reader.steps(run.id)),
    )


def broken_everywhere(reader: Reader) -> list[str]:
    """Every law that any run breaks, in words; empty when all is well."""
    return [
        problem
        for run in reader.runs(RunFilter(limit=RUNS_MAX))
        for problem in broken_by(reader, run.id)
    ]


def broken_by(reader: Reader, run_id: str) -> list[str]:
    """Every law that one run breaks, in words."""
    run = reader.run(run_id)
    if run is None:
        return []
    hung = seen(reader, run)
    problems = _after_the_end(hung) if run.ended else _on_the_way(reader, hung)
    return [f"run {run_id}: {problem}" for problem in (*problems, *_saved(hung))]


def _after_the_end(hung: Hung) -> Iterator[str]:
    if hung.items or hung.waits or hung.leases:
        yield f"it ended, but has {hung.items} {hung.waits} {hung.leases}"
    if hung.run.pending or hung.run.again:
        yield f"it ended, but still expects steps: {hung.run.pending}, again: {hung.run.again}"
    if not hung.run.ended_ms:
        yield "it ended, but at no time"


def _on_the_way(reader: Reader, hung: Hung) -> Iterator[str]:
    keys = {item.key for item in hung.items if item.kind is not ItemKind.DEADLINE}
    if not keys:
        yield "it has not ended, and nothing will ever move it"
    for lease in hung.leases:
        if lease.key not in keys:
            yield f"somebody holds {lease.key!r}, which is no item"
    for wait in hung.waits:
        if wait.kind in STEP_WAITS and wait.step_id not in keys:
            yield f"the wait of step {wait.step_id} has no time-out"
        if wait.kind is WaitKind.INVOKE:
            yield from _invoked(reader, wait)
    for step_id in hung.run.pending:
        if step_id not in keys:
            yield f"it expects step {step_id}, which nothing will end"
    if hung.run.again and MAIN not in keys:
        yield "it wants to be called again, but has no call"
    hanging = sum(item.key != MAIN for item in hung.items) + len(hung.waits)
    if hung.run.parts != hanging:
        yield f"it says {hung.run.parts} rows hang on it, but {hanging} do"


def _invoked(reader: Reader, wait: Wait) -> Iterator[str]:
    child = reader.run(wait.name)
    if ":" in wait.name:
        # Its start was put off; which run it will be, its hold decides.
        return
    if child is None:
        yield f"step {wait.step_id} waits for run {wait.name}, which is not there"
    elif child.ended:
        yield f"step {wait.step_id} waits for run {wait.name}, which has ended"


def _saved(hung: Hung) -> Iterator[str]:
    waiting = {wait.step_id for wait in hung.waits if wait.kind in STEP_WAITS}
    waiting |= {item.key for item in hung.items if item.key != MAIN}
    places: set[int] = set()
    for step in hung.steps:
        if step.id in waiting:
            yield f"step {step.id} has its result, and something still works on it"
        if step.place in places:
            yield f"two steps were saved at place {step.place}"
        places.add(step.place)
