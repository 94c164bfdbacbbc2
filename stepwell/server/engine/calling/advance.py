"""A reply becomes saved steps and next items.

Whoever reports must hold the lease of the item it reports on, or report on an item nobody holds
(its holder's lease ended with a restart, and nobody began again).
"""

from collections.abc import Iterable
from typing import assert_never

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.again import EMPTY_REPLY_DELAY_MS, stall, try_again
from stepwell.server.engine.life.annotate import take_metadata
from stepwell.server.engine.life.bounds import bounded, excess, too_large
from stepwell.server.engine.life.discover import discover, settle
from stepwell.server.engine.life.finish import complete, fail, fail_as
from stepwell.server.engine.life.log import take_logs
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.message.input import (
    Broke,
    Done,
    Progressed,
    ReplyReceived,
    Returned,
    StepsCheckpointed,
    Verdict,
)
from stepwell.server.engine.name.lease_id import is_about
from stepwell.server.engine.op.apply import apply_operation, ends_run
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.op.step_error import is_beside
from stepwell.server.engine.op.step_run import result_memo, save_memo
from stepwell.server.engine.places.cool import cool
from stepwell.server.engine.row.run import MAIN, Item, Lease, Run, RunStatus
from stepwell.wire.operation import (
    PARALLEL_RACE,
    DeferAbort,
    DeferAdd,
    LegacyStep,
    Logs,
    Operation,
    StepPlanned,
    StepRun,
    WaitForEvent,
    is_lazy,
    logs_in,
)


def advance(draft: Draft, given: ReplyReceived) -> Done:
    """What a call answered."""
    held = _held(draft, given.run_id, given.key, given.lease_id)
    if isinstance(held, Done):
        return held
    run, item, lease = held
    run = _begun(draft, run, lease)
    match given.outcome:
        case Returned():
            complete(draft, run, given.outcome.output)
        case Broke():
            take_logs(draft, run, item, given.outcome.logs)
            call_failed(draft, run, item, given.outcome)
        case Progressed():
            _progress(draft, run, item, lease, given.outcome)
        case _:
            assert_never(given.outcome)
    return Done(Verdict.APPLIED, run.id)


def checkpoint(draft: Draft, given: StepsCheckpointed) -> Done:
    """Steps a function finished while it goes on. The lease stays with it."""
    held = _held(draft, given.run_id, given.key, given.lease_id)
    if isinstance(held, Done):
        return held
    run, item, lease = held
    reason = _uncheckpointable(draft, given.operations)
    if reason:
        return Done(Verdict.REFUSED, run.id, reason)
    run = _begun(draft, run, lease)
    take_logs(draft, run, item, logs_in(given.operations))
    overflow = excess(draft, run, given.operations)
    if overflow is not None:
        # Whoever goes on running is to hear of it.
        fail_as(draft, run, overflow)
        draft.announce(Topic.RUN_CANCELLED, run.id)
        return Done(Verdict.REFUSED, run.id, overflow.message)
    take_metadata(draft, run, item, given.operations)
    report = Report(run, item, lease, given.operations)
    for operation in given.operations:
        if isinstance(operation, StepRun | LegacyStep):
            save_memo(draft, report, operation, result_memo(operation))
        elif is_lazy(operation):
            apply_operation(draft, report, operation)
    if (item.attempt or item.losses) and draft.item(run.id, item.key) is item:
        # What failed before the saved step is behind the function now: it has its tries again.
        draft.put(msgspec.structs.replace(item, attempt=0, losses=0))
    after = _checkpointed(draft, report)
    if after is not run:
        draft.change(after)
    draft.announce(Topic.RUN_MOVED, run.id)
    return Done(Verdict.APPLIED, run.id)


def _uncheckpointable(draft: Draft, operations: tuple[Operation, ...]) -> str:
    """Why these operations cannot be saved on the way; empty if they can."""
    refused = [op for op in operations if not isinstance(op, CHECKPOINTABLE)]
    if refused:
        return f"cannot checkpoint opcode: {type(refused[0]).__name__}"
    return next(filter(None, (too_large(draft, operation) for operation in operations)), "")


def _checkpointed(draft: Draft, report: Report) -> Run:
    """The run after a checkpoint. A targeted call that saves its own step has said all it can."""
    run, key = report.run, report.item.key
    if key != MAIN and draft.item(run.id, key) is None:
        run, wanted = settle(run, key)
        run = discover(draft, run) if wanted else run
    return _without_the_dead(draft, run)


CHECKPOINTABLE = (StepRun, LegacyStep, StepPlanned, DeferAdd, DeferAbort, Logs)


def _held(
    draft: Draft, run_id: str, key: str, lease_id: str
) -> Done | tuple[Run, Item, Lease | None]:
    """The run and item a report is about, or why it comes too late."""
    run = draft.run(run_id)
    if run is None:
        return Done(Verdict.GONE, run_id, "run not found in state store")
    if run.ended:
        return Done(Verdict.ALREADY, run_id, "run not found in state store")
    item = draft.view.item(run_id, key)
    lease = draft.view.lease(run_id, key)
    if lease is not None and lease.id != lease_id:
        return Done(Verdict.FENCED, run_id, "a newer call of this run is under way")
    if item is None or (lease is None and not is_about(lease_id, item)):
        return Done(Verdict.ALREADY, run_id, "this call was answered before")
    return run, item, lease


def _begun(draft: Draft, run: Run, lease: Lease | None) -> Run:
    if run.started_ms:
        return run
    started = draft.now.ms if lease is None else lease.granted_ms
    return msgspec.structs.replace(run, status=RunStatus.RUNNING, started_ms=started)


def call_failed(draft: Draft, run: Run, item: Item, broke: Broke) -> None:
    """A call failed as a whole: try it again, or end the run."""
    listing = draft.view.catalog.listing(run.function)
    attempts = 1 if listing is None else listing.attempts_max
    cool(draft, run, item, broke.failure, broke.delay_ms)
    if broke.no_retry or item.attempt + 1 >= attempts:
        fail(draft, run, broke)
        return
    draft.change(run)
    try_again(draft, run, item, broke.delay_ms, broke.output, "")


def _progress(draft: Draft, run: Run, item: Item, lease: Lease | None, outcome: Progressed) -> None:
    operations = tuple(bounded(draft, op) for op in _first_of_each(outcome.operations))
    counted = [operation for operation in operations if not is_lazy(operation)]
    take_logs(draft, run, item, logs_in(operations))
    overflow = excess(draft, run, operations)
    if overflow is not None:
        fail_as(draft, run, overflow)
        return
    ending = next((operation for operation in counted if ends_run(operation)), None)
    run = msgspec.structs.replace(run, version=outcome.version)
    alone = len(counted) == 1 and not _is_planned(item, counted[0])
    if counted and not alone and ending is None:
        run = _plan_parallel(draft, run, item, counted, outcome.version)
    take_metadata(draft, run, item, operations)
    report = Report(run, item, lease, operations, outcome.delay_ms, outcome.no_retry)
    before = len(draft.records)
    _apply(draft, report, sorted(operations, key=_urgency))
    if draft.has_ended(run.id):
        return
    if report.retried:
        draft.change(_without_the_dead(draft, report.run))
        return
    if len(draft.records) == before and _is_stalled(draft, report):
        stall(draft, _without_the_dead(draft, report.run), item, at_once=report.discover)
        return
    conclude = _conclude_discovery if item.key == MAIN else _conclude_step
    draft.change(conclude(draft, report))
    draft.announce(Topic.RUN_MOVED, run.id)


def _apply(draft: Draft, report: Report, operations: Iterable[Operation]) -> None:
    """Let operations have their effect, until one of them ends the run."""

    def apply(operation: Operation) -> None:
        if not draft.has_ended(report.run.id):
            apply_operation(draft, report, operation)

    draft.each(operations, apply)


def _is_stalled(draft: Draft, report: Report) -> bool:
    """Whether a call that changed nothing would be made again: whatever it reported was known
    before it began, nothing was saved while it went on, and nothing else moves the run, or the
    step it was made for."""
    if report.lease is None or report.lease.steps:
        return False
    if report.item.key != MAIN:
        return draft.item(report.run.id, report.item.key) is report.item
    if report.run.again:
        return False
    idle = all(item.key == MAIN for item in draft.view.items_of(report.run.id))
    return report.discover or idle


def _conclude_discovery(draft: Draft, report: Report) -> Run:
    """What becomes of the discovery, once every operation has had its effect. A run is never left
    with nothing to move it."""
    run = _without_the_dead(draft, report.run)
    if report.discover or run.again:
        return discover(draft, msgspec.structs.replace(run, again=False), own=True)
    draft.done(run.id, MAIN)
    if draft.is_idle(run.id):
        return discover(draft, run, due_ms=draft.now.ms + EMPTY_REPLY_DELAY_MS)
    return run


def _conclude_step(draft: Draft, report: Report) -> Run:
    """What becomes of the targeted item. A call that did not say what it was asked for leaves the
    step to be found again."""
    run, item = _without_the_dead(draft, report.run), report.item
    present = draft.item(run.id, item.key)
    if present is item:
        draft.done(run.id, item.key)
        run, _ = settle(run, item.key)
        return discover(draft, run, due_ms=draft.now.ms + EMPTY_REPLY_DELAY_MS)
    if present is not None:
        # The step goes on in another form: the item is no longer the caller's.
        draft.move(present)
    return discover(draft, run) if report.discover or draft.is_idle(run.id) else run


def _without_the_dead(draft: Draft, run: Run) -> Run:
    """The run without pending steps that nothing will end: some operations leave nothing behind."""
    alive = tuple(step for step in run.pending if draft.is_under_way(run.id, step))
    if len(alive) == len(run.pending):
        return run
    return msgspec.structs.replace(run, pending=alive, force_plan=run.force_plan and bool(alive))


def _first_of_each(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """A step reported twice in one answer counts once: the first write wins."""
    nameless = [operation for operation in operations if not operation.id]
    first: dict[str, Operation] = {}
    for operation in operations:
        if operation.id:
            first.setdefault(operation.id, operation)
    return (*first.values(), *nameless)


def _plan_parallel(
    draft: Draft, run: Run, item: Item, counted: list[Operation], version: int
) -> Run:
    """Several steps at once: later calls only plan, and one discovery follows the last of them,
    unless the SDK speaks an older version or asked for a race."""
    planned = any(_is_planned(item, operation) for operation in counted)
    force = run.force_plan or len(counted) > 1
    if not planned or version < 2:
        return msgspec.structs.replace(run, force_plan=force)
    waiting = tuple(
        op.id
        for op in counted
        if op.parallel_mode != PARALLEL_RACE and not draft.is_saved(run.id, op.id)
    )
    pending = (*run.pending, *(step for step in waiting if step not in run.pending))
    return msgspec.structs.replace(run, force_plan=force, pending=pending)


def _is_planned(item: Item, operation: Operation) -> bool:
    """Whether the step gets calls of its own."""
    return isinstance(operation, StepPlanned) or (item.key == MAIN and is_beside(operation))


def _urgency(operation: Operation) -> int:
    """Waits before everything else, so that no event sent by a step beside them is missed."""
    return 0 if isinstance(operation, WaitForEvent) else 1
