"""Drives a coroutine handler: one call, on whatever event loop it is awaited.

A handler that is a single task never goes through the loop for a step: what to do is known at
once. With several tasks, a step waits until the handler is idle (see `idle.py`); then one step is
settled, or the call ends. The handler is left by `Suspended`.

Law: results are given back one at a time, in the order in which the steps ended, and the handler
goes idle in between; new steps are reported only when it is idle.
Source: http.md 8.1; features D-14, D-16, D-17.
"""

import asyncio
import inspect
import time
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeAlias

import msgspec

from stepwell.sdk.codec import PLAIN, UNSPECIFIED, Codec, CodecError, settle
from stepwell.sdk.errors import ParallelIndexingWarning
from stepwell.sdk.execution import outcome
from stepwell.sdk.execution.call import (
    Call,
    arguments,
    changed,
    check_size,
    error_of,
    ordinary,
    output_of,
    overridden,
    report_of,
)
from stepwell.sdk.execution.idle import IdleWatch
from stepwell.sdk.execution.pool import in_thread, steps
from stepwell.sdk.execution.port import Hooks
from stepwell.sdk.execution.replay import Ask, Met, Raise, Replayed, Run, Verdict
from stepwell.sdk.execution.strand import Strand, watch
from stepwell.sdk.execution.suspension import HOME, INSIDE_STEP, Suspended
from stepwell.sdk.execution.waiting import StepFuture, Survey, survey
from stepwell.sdk.handler import Colour, Traits, traits_of
from stepwell.sdk.middleware.result import TransformOutputResult
from stepwell.wire.execution import CallResponse
from stepwell.wire.operation import PARALLEL_WAIT, Operation

CLEANUP_SECONDS = 5.0
"""How long tasks of a handler that was left may take to close what they hold open."""

Save: TypeAlias = Callable[[tuple[Operation, ...]], Awaitable[object]]
"""Keeps finished steps: its return means they are committed; if it raises, they are not."""


class AsyncCall(Call):
    """One call of a coroutine handler: `run` it once.

    With `save` the handler goes on after each step that ran well here, once that is saved.
    """

    def __init__(
        self,
        *given: Any,
        save: Save | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*given, **options)
        self.watcher = self
        self.open = True
        self._save = save
        self._main: Strand | None = None
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

    # The handler as a whole

    @property
    def closing(self) -> bool:
        """The call has its answer; whatever still runs is to be left."""
        return self.answer is not None

    async def run(self, work: Coroutine[Any, Any, Any]) -> CallResponse:
        """Run the handler's coroutine until the call ends. Cancelling this cancels the handler."""
        watch(asyncio.get_running_loop())
        self._main = Strand(work, self, self._host)
        self._strands[self._main] = None
        token = HOME.set(self)
        try:
            self.answer = await self._result(self._main)
            if self.hooks is not None:
                await self._last_hooks(self.hooks)
            return self.answer
        finally:
            self.open = False
            HOME.reset(token)
            work.close()  # a hook may have failed before it began
            self._idle.stop()
            if self._strands:
                await self._dismiss()

    async def _result(self, main: Strand) -> CallResponse:
        try:
            if self.fresh and self.hooks is not None:
                await self.hooks.before_execution()
            value = await main
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and self._is_cancelled():
                raise
            return self.answer or await self._broke(ordinary(error))
        if self.answer is None and self._strands:
            await self._linger()
        return self.answer or self.unmet() or await self._returned(value)

    def _is_cancelled(self) -> bool:
        """Did somebody outside cancel the task the handler runs in?"""
        return self._host.cancelling() > self._host_cancels

    async def _returned(self, value: object) -> CallResponse:
        try:
            data = self.result(value)
            if self.hooks is not None:
                await self.hooks.after_execution()
                result = TransformOutputResult(None, PLAIN.decode(data), None)
                await self.hooks.transform_output(result)
                data = changed(result)
        except Exception as error:  # noqa: BLE001 - hooks are user code
            return self.broke(error)
        return outcome.returned(data)

    async def _broke(self, error: Exception) -> CallResponse:
        if self.hooks is not None:
            try:
                await self.hooks.after_execution()
                result = TransformOutputResult(error, UNSPECIFIED, None)
                await self.hooks.transform_output(result)
                error = result.error or error
            except Exception as raised:  # noqa: BLE001 - hooks are user code
                error = raised
        return self.broke(error)

    async def _last_hooks(self, hooks: Hooks) -> None:
        try:
            await hooks.after_execution()
            if self.lone is not None:
                await hooks.transform_output(report_of(self.lone))
        except Exception as error:  # noqa: BLE001 - hooks are user code
            self.answer = self.broke(error)

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

    # Steps

    async def run_step(
        self,
        ask: Ask,
        handler: Callable[..., Any],
        args: tuple[Any, ...],
        output_type: object,
    ) -> Any:
        """Meet a step that is a handler: its known result, or what it returns now."""
        met = self.meet(ask)
        traits = traits_of(handler)
        codec = self.codec_of(traits, output_type)
        verdict = self.settle((met,)) if len(self._strands) == 1 else await self._turn(met)
        if not isinstance(verdict, Run):
            return self.decoded(met, await self._known(verdict), codec)
        strand = self._main if len(self._strands) == 1 else self._strand_here()
        if strand is None:
            return await self._execute(verdict, handler, args, traits, codec)
        strand.busy = True
        try:
            return await self._execute(verdict, handler, args, traits, codec)
        finally:
            strand.busy = False
            if len(self._strands) > 1:
                self._idle.soon()

    async def perform(self, ask: Ask) -> msgspec.Raw:
        """Meet a step that the server does: its known result, as JSON."""
        met = self.meet(ask)
        verdict = self.settle((met,)) if len(self._strands) == 1 else await self._turn(met)
        return await self._known(verdict)

    def _alone(self, met: Met) -> Verdict:
        """What to do about a step of the only task there is: nothing else can happen meanwhile."""
        return self.settle((met,))

    def _strand_here(self) -> Strand | None:
        """The strand of the task that runs here."""
        task = asyncio.current_task()
        return next((strand for strand in self._strands if strand.task is task), None)

    async def _known(self, verdict: Verdict) -> msgspec.Raw:
        if isinstance(verdict, (Replayed, Raise)):
            if not (self.fresh or self.memos.any_unseen or self._waiting):
                await self._freshen()
            if isinstance(verdict, Replayed):
                return verdict.data
            raise self.raised(verdict.met, verdict.failure)
        assert not isinstance(verdict, Run)
        self.end(verdict)
        self._leave()
        raise Suspended

    async def _freshen(self) -> None:
        """From here on, new code runs."""
        self.fresh = True
        if self.hooks is not None:
            try:
                await self.hooks.before_execution()
            except Exception as error:  # noqa: BLE001 - hooks are user code
                self._abort(error)

    def _abort(self, error: Exception) -> NoReturn:
        """End the call with an error that user code is not to catch."""
        self.answer = self.broke(error)
        self._leave()
        raise Suspended from None

    async def _execute(
        self,
        verdict: Run,
        handler: Callable[..., Any],
        args: tuple[Any, ...],
        traits: Traits,
        codec: Codec,
    ) -> Any:
        """Run a step's handler and keep what it returns, or end the call."""
        met = verdict.met
        given = overridden(args, verdict.input)
        began_ns = time.time_ns()
        try:
            self.doubt()
            if not self.fresh:
                await self._freshen()
            value = await _called(met, handler, given, traits.colour)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - what a step raises is its result
            await self._end_with(met, ordinary(error), began_ns, given)
        except asyncio.CancelledError as error:
            if running_task().cancelling():
                raise  # a time-out of the handler, say
            await self._end_with(met, ordinary(error), began_ns, given)
        try:
            data, value = settle(codec, value)
            check_size(data)
        except CodecError as error:
            problem = self.unserializable(met, value, traits, error)
            await self._end_with(met, problem, began_ns, given)
        if self.hooks is not None:
            data = await self._transformed(self.hooks, met, data, began_ns, given)
        await self._keep(self.ran(met, data, began_ns, arguments(given)))
        return value

    async def _transformed(
        self, hooks: Hooks, met: Met, data: msgspec.Raw, began_ns: int, given: tuple[Any, ...]
    ) -> msgspec.Raw:
        """A step's result after middleware saw it."""
        result = output_of(met, data, given)
        try:
            if self._save is None:
                await hooks.after_execution()
            await hooks.transform_output(result)
        except Exception as error:  # noqa: BLE001 - hooks are user code
            self._abort(error)
        try:
            return changed(result)
        except Exception as error:  # noqa: BLE001 - what a hook made of the result
            await self._end_with(met, error, began_ns, given)

    async def _keep(self, operation: Operation) -> None:
        """Save a finished step and go on; without a way to save, or if it fails, end the call."""
        save = self._save
        if save is None:
            await self._finish(operation)
        strand = None if len(self._strands) == 1 else self._strand_here()
        try:
            if strand is None:
                await save((operation,))
            else:
                await self._keep_in_turn(save, operation, strand)
        except Exception:  # noqa: BLE001 - the answer still carries the step
            self._save = None
            await self._finish(operation)
        self.attempt = 0
        self.saved = True

    async def _keep_in_turn(self, save: Save, operation: Operation, strand: Strand) -> None:
        """Save a step that ran beside others, and go on as a replay would: one step at a time.

        The turns are in the order in which the steps were saved, the handler idle in between.
        """
        turn = StepFuture()
        self._saving.append(turn)
        try:
            await save((operation,))
            strand.busy = False
            turn.saved = True
            self._idle.progressed()
            await turn
        finally:
            self._saving.remove(turn)

    async def _end_with(
        self, met: Met, error: Exception, began_ns: int, given: tuple[Any, ...]
    ) -> NoReturn:
        """End the call with a step that failed."""
        if self.hooks is not None:
            result = error_of(met, error, given)
            try:
                await self.hooks.after_execution()
                await self.hooks.transform_output(result)
            except Exception as raised:  # noqa: BLE001 - hooks are user code
                self._abort(raised)
            error = result.error or error
        await self._finish(*self.failed(met, error, began_ns, arguments(given)))

    async def _finish(
        self, operation: Operation, retry_after: outcome.RetryAfter | None = None
    ) -> NoReturn:
        """End the call with a step; if others run beside it, once they have ended too."""
        self._ends.append((operation, retry_after))
        strand = self._strand_here()
        if strand is not None:
            strand.busy = False
        if self._is_busy():
            await StepFuture()
        self._report_ends()
        raise Suspended from None

    def _report_ends(self) -> None:
        operations = tuple(
            msgspec.structs.replace(operation, parallel_mode=PARALLEL_WAIT)
            if operation.id in self._together
            else operation
            for operation, _ in self._ends
        )
        delays = [delay for _, delay in self._ends if delay is not None]
        self.answer = outcome.reported(operations, delays[-1] if delays else None)
        self._leave()

    # Several tasks

    async def _turn(self, met: Met) -> Verdict:
        """Wait until the handler is idle and it is this step's turn."""
        self._warn_of_indexing(met)
        future = StepFuture()
        self._waiting[future] = met
        self._idle.progressed()
        try:
            verdict: Verdict = await future
            return verdict
        except BaseException:
            strand = self._strand_here()
            if strand is not None:
                strand.busy = False  # it was to run, and was cancelled before it began
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
            warnings.warn(
                ParallelIndexingWarning(
                    f'step id "{met.name.id}" is used by parallel branches: which of them is first'
                    " may differ between calls; give each an id of its own"
                ),
                stacklevel=2,
            )

    def _survey(self) -> Survey | None:
        """A look at the tasks, if there is something to decide."""
        if self.closing or self._main is None:
            return None
        if not (self._waiting or self._saving or self._ends) and self._left is None:
            return None
        if self._left is None:
            return survey((self._main,), self._strands)
        found = survey((), self._strands)
        found.world.clear()
        return found

    def _settle_one(self) -> None:
        """The handler is idle: settle one step, run several beside each other, or end the call."""
        busy = self._is_busy()
        if self._ends:
            if not busy:
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
        for future, met in waiting.items():
            if met is verdict.met:
                self._let(future, verdict)
                return

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
            for strand in self._strands:
                strand.busy = strand.busy or strand.waiting_on is future
        future.set_result(verdict)

    def _is_busy(self) -> bool:
        """Does a step of the handler run right now? Once it returned, only what it left counts."""
        if self._left is None:
            return any(strand.busy for strand in self._strands)
        return any(strand.busy and not strand.joined for strand in self._strands)

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


async def _called(
    met: Met, handler: Callable[..., Any], args: tuple[Any, ...], colour: Colour
) -> Any:
    token = INSIDE_STEP.set(met.name)
    try:
        if colour is Colour.COROUTINE:
            return await handler(*args)
        if colour is Colour.PLAIN:
            value = await in_thread(steps, handler, *args)
        else:
            value = handler(*args)
        return await value if inspect.isawaitable(value) else value
    finally:
        INSIDE_STEP.reset(token)
