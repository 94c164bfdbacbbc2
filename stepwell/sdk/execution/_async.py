"""Drives a coroutine handler: one call, on whatever event loop it is awaited.

Here is what a step does: meet, replay or run, keep, fail. Whose turn it is when the handler has
several tasks is in `tasks.py`. The handler is left by `Suspended`.

Law: whatever user code and middleware do, the call ends with one answer.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NoReturn

import msgspec

from stepwell.sdk.errors import HANDLER_PLACE, ConfigurationError
from stepwell.sdk.execution import cutoff, outcome
from stepwell.sdk.execution.call import (
    arguments,
    check_size,
    error_of,
    ordinary,
    output_of,
    overridden,
    told_input,
)
from stepwell.sdk.execution.pool import in_thread, steps
from stepwell.sdk.execution.port import Hooks
from stepwell.sdk.execution.replay import Raise, Replayed, Run, Verdict
from stepwell.sdk.execution.strand import Strand, watch
from stepwell.sdk.execution.tasks import TaskedCall, running_task
from stepwell.sdk.middleware.result import TransformOutputResult
from stepwell.sdk.step.asked import Ask, Met
from stepwell.sdk.step.handler import Colour, Traits, traits_of
from stepwell.sdk.step.suspension import HOME, INSIDE_STEP, Suspended
from stepwell.sdk.value.codec import PLAIN, UNSPECIFIED, Codec, CodecError, settle
from stepwell.wire.execution import CallResponse
from stepwell.wire.operation import Operation


class AsyncCall(TaskedCall):
    """One call of a coroutine handler: `run` it once.

    With `save` the handler goes on after each step that ran well here, once that is saved.
    """

    # The handler as a whole

    async def run(self, work: Coroutine[Any, Any, Any]) -> CallResponse:
        """Run the handler's coroutine until the call ends. Cancelling this cancels the handler."""
        watch(asyncio.get_running_loop())
        self._main = Strand(work, self, self._host)
        self._strands[self._main] = None
        token, place = HOME.set(self), HANDLER_PLACE.set(self.place)
        try:
            self.answer = await self._result(self._main)
            if self.hooks is not None:
                await self._last_hooks(self.hooks)
            return self.accompanied(self.answer)
        finally:
            self.open = False
            HOME.reset(token)
            HANDLER_PLACE.reset(place)
            work.close()  # a hook may have failed before it began
            self._idle.stop()
            self.unawaited.forget()
            if self._strands:
                await self._dismiss()
            self.let_go()

    async def _result(self, main: Strand) -> CallResponse:
        try:
            if self.fresh and self.hooks is not None:
                await self.hooks.before_execution()
            value = await main
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and self._is_cancelled():
                self.cancelled.set()  # for steps in threads, which cannot be interrupted
                raise
            self.tell_ends()
            return self.answer or await self._broke(ordinary(error))
        if self.answer is None and self._strands:
            await self._linger()
        self.tell_ends()
        problem = "" if self.answer else self.unawaited.problem()
        if problem:
            return await self._broke(ConfigurationError(problem))
        return self.answer or self.unmet() or await self._returned(value)

    async def _returned(self, value: object) -> CallResponse:
        try:
            data = self.result(value)
            if self.hooks is not None:
                await self.hooks.after_execution()
                result = TransformOutputResult(None, PLAIN.decode(data), None)
                await self.hooks.transform_output(result)
                data = self.changed(result)
        except Exception as error:  # noqa: BLE001 - hooks are user code
            return self.broke(error)
        return outcome.returned(data)

    async def _broke(self, error: Exception) -> CallResponse:
        if self.hooks is not None:
            try:
                await self.hooks.after_execution()
                result = TransformOutputResult(error, UNSPECIFIED, None, self.is_final(error))
                await self.hooks.transform_output(result)
                error = result.error or error
            except Exception as raised:  # noqa: BLE001 - hooks are user code
                error = raised
        return self.broke(error)

    async def _last_hooks(self, hooks: Hooks) -> None:
        try:
            await hooks.after_execution()
            reports = self.shown_reports()
            for report in reports:
                if report is not None:
                    await hooks.transform_output(report)
            self.rewrite_reports(reports)
        except Exception as error:  # noqa: BLE001 - hooks are user code
            self.answer = self.broke(error)

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
        if self.hooks is None:
            return await self._met(met, handler, args, output_type)
        work = partial(self._met, met, handler, args, output_type)
        return await self.hooks.step(self.info_of(met), work)

    async def _met(
        self, met: Met, handler: Callable[..., Any], args: tuple[Any, ...], output_type: object
    ) -> Any:
        traits = traits_of(handler)
        codec = self.codec_of(traits, output_type)
        alone = len(self._strands) == 1 and not (self._cut or self._ends)
        verdict = self.settle((met,)) if alone else await self._turn(met)
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
        if self.hooks is None:
            return await self._asked(met)

        async def plain() -> Any:
            return PLAIN.decode(await self._asked(met))

        return PLAIN.encode(await self.hooks.step(self.info_of(met), plain))

    async def _asked(self, met: Met) -> msgspec.Raw:
        alone = len(self._strands) == 1 and not (self._cut or self._ends)
        verdict = self.settle((met,)) if alone else await self._turn(met)
        return await self._known(verdict)

    async def _known(self, verdict: Verdict) -> msgspec.Raw:
        if isinstance(verdict, (Replayed, Raise)):
            if not (self.fresh or self._waiting) and self.is_beyond_known:
                await self._freshen()
            if isinstance(verdict, Replayed):
                return verdict.data
            patience = cutoff.patience_seconds(verdict.failure)
            if patience is not None:
                await self._until_cut_off(patience)
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
                self.abort(error)

    def abort(self, error: Exception) -> NoReturn:
        """End the call with an error that user code is not to catch."""
        self.answer = self.answer or self.broke(error)
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
            self.doubt((met.title,))
            if not self.fresh:
                await self._freshen()
            if self.hooks is None:
                value = await _called(met, handler, given, traits.colour)
            else:
                given = await self.hooks.step_input(self.info_of(met), given)
                value = await self._wrapped(self.hooks, met, handler, given, traits.colour)
            self.left_if_nested()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - what a step raises is its result
            await self._end_with(met, ordinary(error), began_ns, given)
        except asyncio.CancelledError as error:
            if running_task().cancelling():
                self.cut_off(met, began_ns, given)
                raise
            await self._end_with(met, ordinary(error), began_ns, given)
        try:
            data, value = settle(codec, value, exact=self.exact)
            check_size(data)
        except CodecError as error:
            problem = self.unserializable(met, value, traits, error)
            await self._end_with(met, problem, began_ns, given)
        if self.hooks is None:
            told = arguments(given)
        else:
            data, told = await self._transformed(self.hooks, met, data, began_ns, given)
        await self._keep(self.ran(met, data, began_ns, told))
        return value

    async def _wrapped(
        self,
        hooks: Hooks,
        met: Met,
        handler: Callable[..., Any],
        given: tuple[Any, ...],
        colour: Colour,
    ) -> Any:
        """What a step's handler returns, or what wraps around it make of that."""
        token = INSIDE_STEP.set(met.name)
        try:
            work = partial(_called, met, handler, given, colour)
            return await hooks.run_step(self.info_of(met), work)
        finally:
            INSIDE_STEP.reset(token)

    async def _transformed(
        self, hooks: Hooks, met: Met, data: msgspec.Raw, began_ns: int, given: tuple[Any, ...]
    ) -> tuple[msgspec.Raw, msgspec.Raw | None]:
        """A step's result and arguments after middleware saw them."""
        result = output_of(met, data, given)
        try:
            if self._save is None:
                await hooks.after_execution()
            await hooks.transform_output(result)
        except Exception as error:  # noqa: BLE001 - hooks are user code
            self.abort(error)
        try:
            return self.changed(result), told_input(result)
        except Exception as error:  # noqa: BLE001 - what a hook made of the result
            await self._end_with(met, error, began_ns, given)

    async def _keep(self, operation: Operation) -> None:
        """Save a finished step and go on; without a way to save, or if it fails, end the call."""
        if self._save is not None:
            strand = None if len(self._strands) == 1 else self._strand_here()
            lazy = self.lazy
            try:
                if strand is None:
                    await self._save((operation, *lazy))
                else:
                    await self._keep_in_turn(self._save, (operation, *lazy), strand)
            except asyncio.CancelledError:
                self.cut_in_saving(operation)
                raise
            except Exception:  # noqa: BLE001 - the answer still carries the step
                self._save = None
            else:
                self.attempt = 0
                self.saved = True
                self.kept(lazy)
                return
        await self._finish(operation)

    async def _end_with(
        self, met: Met, error: Exception, began_ns: int, given: tuple[Any, ...]
    ) -> NoReturn:
        """End the call with a step that failed."""
        self.left_if_nested()
        told = arguments(given)
        if self.hooks is not None:
            result = error_of(met, error, given, final=self.is_final(error))
            try:
                await self.hooks.after_execution()
                await self.hooks.transform_output(result)
            except Exception as raised:  # noqa: BLE001 - hooks are user code
                self.abort(raised)
            error, told = result.error or error, told_input(result)
        await self._finish(*self.failed(met, error, began_ns, told))


async def _called(
    met: Met, handler: Callable[..., Any], args: tuple[Any, ...], colour: Colour
) -> Any:
    token = INSIDE_STEP.set(met.name)
    try:
        if colour is Colour.PLAIN:
            value = await in_thread(steps, handler, *args)
        else:
            value = handler(*args)
        return await value if inspect.isawaitable(value) else value
    finally:
        INSIDE_STEP.reset(token)
