"""Several tasks of one handler: which of them goes on when, and when the call ends.

A handler that is a single task never comes here: what to do about a step is known at once. With
several tasks, a step waits until the handler is idle (see `idle.py`); then one step is settled, or
steps are run beside each other, or the call ends.

Law: results are given back one at a time, in the order in which the steps ended, and the handler
goes idle in between; new steps are reported only when it is idle.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import msgspec

from stepwell.sdk.errors import ParallelIndexingWarning, warn
from stepwell.sdk.execution import cutoff, outcome
from stepwell.sdk.execution.call import Call, arguments
from stepwell.sdk.execution.idle import IdleWatch
from stepwell.sdk.execution.replay import Missing, Raise, Replayed, Report, Run, Verdict, is_known
from stepwell.sdk.execution.strand import Strand
from stepwell.sdk.execution.unawaited import Unawaited
from stepwell.sdk.execution.waiting import (
    Gathered,
    StepFuture,
    Survey,
    alarms,
    resolve,
    strand_of,
    survey,
)
from stepwell.sdk.step.asked import Met
from stepwell.sdk.step.suspension import Suspended
from stepwell.wire.operation import PARALLEL_RACE, PARALLEL_WAIT, Operation, Timing

CLEANUP_SECONDS = 5.0
"""How long tasks of a handler that was left may take to close what they hold open."""

Save: TypeAlias = Callable[[tuple[Operation, ...]], Awaitable[object]]
"""Keeps finished steps: its return means they are committed; if it raises, they are not."""


class TaskedCall(Call):
    """The tasks of one call of a coroutine handler. `_async.py` says what its steps do."""

    def __init__(
        self,
        *given: Any,
        save: Save | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*given, **options)
        self.watcher = self
        self.open = True
        self._save: Save | None = save
        self._main: Strand | None = None
        self.unawaited = Unawaited()
        self._strands: dict[Strand, None] = {}
        self._waiting: dict[StepFuture, Met] = {}
        self._together: set[str] = set()
        self._saving: list[StepFuture] = []
        """Steps being saved or saved and not given back, in the order servers will replay them."""
        self._ends: list[tuple[Operation, outcome.RetryAfter | None]] = []
        self._idle = IdleWatch(self._survey, self._settle_one)
        self._host = running_task()
        self._host_cancels = self._host.cancelling()
        self._host_cancelled = False
        self._left: asyncio.Future[None] | None = None
        self._indexing_told = False
        self._chosen: tuple[Met, ...] = ()
        """The step run last, if tasks took turns for it."""
        self._raced = False
        """What stands beside the step asked for makes them race."""
        self._gathered: Gathered = {}
        self._began = asyncio.get_running_loop().time()
        self._cut: list[Operation] = []
        """Steps the handler stopped waiting for while they ran, or were saved."""
        self._torn = False
        """The handler saw something else than a replay would: nothing it does now is to count."""

    @property
    def closing(self) -> bool:
        """The call has its answer; whatever still runs is to be left."""
        return self.answer is not None

    def _is_cancelled(self) -> bool:
        """Did somebody outside cancel the task the handler runs in?"""
        return self._host.cancelling() > self._host_cancels

    def _strand_here(self) -> Strand | None:
        """The strand of the task that runs here."""
        return strand_of(running_task(), self._strands)

    # Whose turn it is

    async def _turn(self, met: Met) -> Verdict:
        """Wait until the handler is idle and it is this step's turn."""
        self._warn_of_indexing(met)
        future = StepFuture()
        future.strand = self._strand_here()
        self._waiting[future] = met
        self._idle.progressed()
        try:
            verdict: Verdict = await future
            return verdict
        except BaseException:
            if future.strand is not None:
                future.strand.busy = False  # it was to run, and was cancelled before it began
            raise
        finally:
            del self._waiting[future]
            if self._waiting:
                self._idle.soon()

    def _warn_of_indexing(self, met: Met) -> None:
        if met.name.index == 0 or self._indexing_told:
            return
        if any(other.name.id == met.name.id for other in self._waiting.values()):
            self._indexing_told = True
            warn(
                ParallelIndexingWarning(
                    f'step id "{met.name.id}" is used by parallel branches: which of them is first'
                    " may differ between calls; give each an id of its own"
                )
            )

    def _survey(self) -> Survey | None:
        """A look at the tasks, if there is something to decide."""
        if self.closing or self._main is None:
            return None
        if not (self._waiting or self._saving or self._ends) and self._left is None:
            return None
        if self._left is None:
            found = survey((self._main,), self._strands, self._gathered)
            self.replay.racing = found.racing
            return found
        found = survey((), self._strands)
        found.world.clear()
        return found

    def _settle_one(self) -> None:
        """The handler is idle: settle one step, run several beside each other, or end the call."""
        busy = self._is_busy()
        if self.replay.target is not None:
            beside = (*self._waiting.values(), *self._chosen)
            self._raced = self._raced or self.replay.is_race(beside)
        if self._ends:
            if not busy and not self._go_on():
                self._report_ends()
            return
        if self._saving and self._saving[0].saved:
            self._saving[0].set_result(None)
            return
        waiting = self._waiting
        if self._left is not None:
            adrift = {strand.waiting_on for strand in self._strands if not strand.joined}
            waiting = {future: met for future, met in waiting.items() if future in adrift}
        if not waiting:
            if self._left is not None and not busy:
                self._leave()
            return
        if self._is_cut_short():
            if not busy:
                self.end(Report(()))
                self._leave()
            return
        if self._save is not None and (busy or len(waiting) > 1) and self._run_together(waiting):
            return
        if not busy:
            self._settle(waiting)

    def _settle(self, waiting: dict[StepFuture, Met]) -> None:
        """Settle one of the steps waited for, or end the call."""
        verdict = self.settle(tuple(waiting.values()))
        if not isinstance(verdict, Replayed | Raise | Run):
            self.end(verdict)
            self._leave()
            return
        self._hand(verdict)

    def _hand(self, verdict: Replayed | Raise | Run) -> None:
        """Tell the task that waits for a step what becomes of it."""
        for future, met in self._waiting.items():
            if met.name is verdict.met.name:
                self._let(future, verdict)
                return

    def _go_on(self) -> bool:
        """The step asked for has ended: pass over a known one, to see what stands beside it.

        How it was planned depends on that, and its result has to say the same.
        """
        known = tuple(filter(is_known, self._waiting.values()))
        if self.replay.target is None or not known:
            return False
        verdict = self.settle(known)
        assert isinstance(verdict, Replayed | Raise), "known steps have ended"
        self._hand(verdict)
        return True

    def _run_together(self, waiting: dict[StepFuture, Met]) -> bool:
        """Run all waiting steps now, if they may: each is saved when it ends."""
        runs = self.together(tuple(waiting.values()))
        for future, verdict in zip(tuple(waiting), runs, strict=False):
            self._together.add(verdict.met.name.hashed)
            self._let(future, verdict)
        return bool(runs)

    def _let(self, future: StepFuture, verdict: Verdict) -> None:
        """Let a task go on with its step; if that is to run, the task counts as busy from now."""
        if isinstance(verdict, Run):
            self._chosen = (verdict.met,)
            if future.strand is not None:
                future.strand.busy = True
        future.set_result(verdict)

    def _is_busy(self) -> bool:
        """Does a step of the handler run right now? Once it returned, only what it left counts."""
        if self._left is None:
            return any(strand.busy for strand in self._strands)
        return any(strand.busy and not strand.joined for strand in self._strands)

    # Steps the handler stops waiting for

    def cut_off(self, met: Met, began_ns: int, given: tuple[Any, ...]) -> None:
        """Note down that the handler stopped waiting for a running step, by a time-out say."""
        lasted = asyncio.get_running_loop().time() - self._began
        timing = Timing(began_ns, time.time_ns() - began_ns)
        failure, told = cutoff.cut_off(lasted), arguments(given)
        said = self.noted.take(met.name.hashed)
        self._cut.append(
            outcome.step_broke(met, failure, final=True, timing=timing, given=told, said=said)
        )

    def cut_in_saving(self, operation: Operation) -> None:
        """Note down that the handler stopped waiting for a step that has ended, and is or is not
        saved: it counts, whatever the handler does now, so the call has to end."""
        self._cut.append(operation)
        self._torn = True

    async def _until_cut_off(self, seconds: float) -> None:
        """Wait until the handler stops waiting for a step again, as it did before; not for ever."""
        loop = asyncio.get_running_loop()
        strand = self._strand_here()
        waiting = loop.create_future()
        timer = loop.call_later(seconds, resolve, waiting)

        def hurry() -> None:
            if strand is not None and not waiting.done():
                cutoff.hurry(alarms(strand, self._strands), loop.time() + seconds)

        loop.call_soon(hurry)
        try:
            await waiting
        finally:
            timer.cancel()

    def _is_cut_short(self) -> bool:
        """Must what was cut off be told before anything else is done? A handler that goes on
        without replays has time for that until its call ends."""
        if not self._cut or self._is_cancelled():
            return False
        return self._torn or self._save is None or self.replay.target is not None

    # How the call ends

    def end(self, verdict: Report | Missing) -> None:
        """End the call by what was met, and by what was cut off; the handler is left."""
        if self._cut:
            told = verdict.operations if isinstance(verdict, Report) else ()
            verdict = Report((*told, *self._cut))
        super().end(verdict)

    async def _keep_in_turn(
        self, save: Save, operations: tuple[Operation, ...], strand: Strand
    ) -> None:
        """Save a step that ran beside others, and go on as a replay would: one step at a time.

        The turns are in the order in which the steps were saved, the handler idle in between.
        """
        turn = StepFuture()
        self._saving.append(turn)
        try:
            await save(operations)
            strand.busy = False
            turn.saved = True
            self._idle.progressed()
            await turn
        finally:
            self._saving.remove(turn)

    async def _finish(
        self, operation: Operation, retry_after: outcome.RetryAfter | None = None
    ) -> NoReturn:
        """End the call with a step; if others run beside it, once they have ended too."""
        self._ends.append((operation, retry_after))
        strand = self._strand_here()
        if strand is not None:
            strand.busy = False
        seen_all = self.replay.target is None or not any(map(is_known, self._waiting.values()))
        if self._is_busy() or not seen_all:
            self._idle.progressed()
            await StepFuture()
        self._report_ends()
        raise Suspended from None

    def tell_ends(self) -> None:
        """The handler has ended before its step was told: that counts for more."""
        if self.answer is not None:
            return
        if self._ends and self.replay.target is not None:
            self._report_ends()
        elif self._torn and not self._is_cancelled():
            self.end(Report(()))

    def _report_ends(self) -> None:
        operations = tuple(
            msgspec.structs.replace(operation, parallel_mode=self._mode_of(operation))
            for operation, _ in self._ends
        )
        operations += tuple(self._cut)
        delays = [delay for _, delay in self._ends if delay is not None]
        self.answer = outcome.reported(operations, delays[-1] if delays else None)
        self._leave()

    def _mode_of(self, operation: Operation) -> str:
        if operation.id in self._together:
            return PARALLEL_WAIT
        raced = self._raced and not any(met.ask.grouped for met in self._chosen)
        return PARALLEL_RACE if raced else operation.parallel_mode

    def _leave(self) -> None:
        """Wake whatever still waits, so that it is unwound."""
        if self._left is not None and not self._left.done():
            self._left.set_result(None)
        if not self.closing:
            return
        running = asyncio.current_task()
        for strand in tuple(self._strands):
            if strand.task is None or strand.task is running:
                strand.unwinding = True  # it is about to raise by itself
            elif strand is not self._main:
                strand.task.cancel()
            elif not self._host_cancelled:
                self._host_cancelled = True
                strand.task.cancel()

    async def _linger(self) -> None:
        """The handler returned: run the steps it started that nobody ever waited for."""
        self._left = asyncio.get_running_loop().create_future()
        self._idle.soon()
        await self._left

    async def _dismiss(self) -> None:
        """Leave what the handler started and did not wait for, and let it close what it holds."""
        tasks = [
            strand.task
            for strand in self._strands
            if strand.task is not None and strand is not self._main
        ]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLEANUP_SECONDS)

    def let_go(self) -> None:
        """Forget what knows this call."""
        super().let_go()
        self._main = None
        self._gathered.clear()

    # What strands report

    def began(self, strand: Strand) -> None:
        """A task of the handler was started."""
        self._strands[strand] = None

    def moved(self) -> None:
        """A task of the handler was resumed."""
        self._idle.moved()

    def unwinds(self, strand: Strand) -> None:
        """A task is about to be left."""
        if strand is self._main and self._host_cancelled:
            self._host.uncancel()

    def ended(self, strand: Strand) -> None:
        """A task of the handler came to its end."""
        self._strands.pop(strand, None)
        if self._waiting or self._saving or self._ends or self._left is not None:
            self._idle.soon()


def running_task() -> asyncio.Task[Any]:
    """The task that runs here."""
    task = asyncio.current_task()
    assert task is not None, "handlers run in tasks"
    return task
