"""Drives a plain handler: one call, on the thread it is called on.

Steps block; the handler is left by `Suspended`, which unwinds its stack. Branches of a parallel
group run one after another, each until its first new step.

Law: what a call answers is what `_async.py` would answer for the same steps.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NoReturn, TypeAlias, TypeVar

import msgspec

from stepwell.sdk.errors import HANDLER_PLACE
from stepwell.sdk.execution import outcome
from stepwell.sdk.execution.call import (
    Call,
    arguments,
    check_size,
    error_of,
    ordinary,
    output_of,
    overridden,
    told_input,
)
from stepwell.sdk.execution.port import Hooks
from stepwell.sdk.execution.replay import Raise, Replayed, Run, Verdict
from stepwell.sdk.middleware.result import TransformOutputResult
from stepwell.sdk.step.asked import Ask, Met
from stepwell.sdk.step.handler import Traits, traits_of
from stepwell.sdk.step.memo import Known, KnownFailure
from stepwell.sdk.step.suspension import HOME, INSIDE_STEP, Suspended
from stepwell.sdk.value.codec import PLAIN, UNSPECIFIED, Codec, CodecError, settle
from stepwell.wire.execution import CallResponse
from stepwell.wire.operation import Operation

T = TypeVar("T")

SaveSync: TypeAlias = Callable[[tuple[Operation, ...]], object]
"""Keeps finished steps: its return means they are committed; if it raises, they are not."""
Bridge: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine on an event loop, and blocks until it has ended."""


class SyncCall(Call):
    """One call of a plain handler: `run` it once.

    With `save` the handler goes on after each step that ran well here, once that is saved.
    """

    def __init__(
        self,
        *given: Any,
        bridge: Bridge,
        save: SaveSync | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*given, **options)
        self._bridge = bridge
        self._save = save
        self._found: list[Met] | None = None
        """New steps the branches of a parallel group came to; None outside of one."""

    # The handler as a whole

    def run(self, work: Callable[[], object]) -> CallResponse:
        """Run the handler until the call ends."""
        token, place = HOME.set(self), HANDLER_PLACE.set(self.place)
        try:
            answer = self._result(work)
            self.answer = self.answer or answer
            if self.hooks is not None:
                self._last_hooks(self.hooks)
            return self.accompanied(self.answer)
        finally:
            HOME.reset(token)
            HANDLER_PLACE.reset(place)
            self.let_go()

    def _result(self, work: Callable[[], object]) -> CallResponse:
        try:
            if self.fresh and self.hooks is not None:
                self.hooks.before_execution_sync()
            value = work()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a handler must not end its thread
            return self.answer or self._broke(ordinary(error))
        return self.answer or self.unmet() or self._returned(value)

    def _returned(self, value: object) -> CallResponse:
        try:
            data = self.result(value)
            if self.hooks is not None:
                self.hooks.after_execution_sync()
                result = TransformOutputResult(None, PLAIN.decode(data), None)
                self.hooks.transform_output_sync(result)
                data = self.changed(result)
        except Exception as error:  # noqa: BLE001 - hooks are user code
            return self.broke(error)
        return outcome.returned(data)

    def _broke(self, error: Exception) -> CallResponse:
        if self.hooks is not None:
            try:
                self.hooks.after_execution_sync()
                result = TransformOutputResult(error, UNSPECIFIED, None, self.is_final(error))
                self.hooks.transform_output_sync(result)
                error = result.error or error
            except Exception as raised:  # noqa: BLE001 - hooks are user code
                error = raised
        return self.broke(error)

    def _last_hooks(self, hooks: Hooks) -> None:
        try:
            hooks.after_execution_sync()
            reports = self.shown_reports()
            for report in reports:
                if report is not None:
                    hooks.transform_output_sync(report)
            self.rewrite_reports(reports)
        except Exception as error:  # noqa: BLE001 - hooks are user code
            self.answer = self.broke(error)

    # Steps

    def run_step(
        self,
        ask: Ask,
        handler: Callable[..., Any],
        args: tuple[Any, ...],
        output_type: object,
    ) -> Any:
        """Meet a step that is a handler: its known result, or what it returns now."""
        met = self.meet(ask)
        if self.hooks is None:
            return self._met(met, handler, args, output_type)
        work = partial(self._met, met, handler, args, output_type)
        return self.hooks.step_sync(self.info_of(met), work)

    def _met(
        self, met: Met, handler: Callable[..., Any], args: tuple[Any, ...], output_type: object
    ) -> Any:
        traits = traits_of(handler)
        codec = self.codec_of(traits, output_type)
        verdict = self._verdict(met)
        if isinstance(verdict, Run):
            return self._execute(verdict, handler, args, traits, codec)
        return self.decoded(met, self._known(verdict), codec)

    def perform(self, ask: Ask) -> msgspec.Raw:
        """Meet a step that the server does: its known result, as JSON."""
        met = self.meet(ask)
        if self.hooks is None:
            return self._known(self._verdict(met))

        def plain() -> Any:
            return PLAIN.decode(self._known(self._verdict(met)))

        return PLAIN.encode(self.hooks.step_sync(self.info_of(met), plain))

    def _verdict(self, met: Met) -> Verdict:
        """What to do about a step; within a branch, leave new ones for the group to report."""
        known = isinstance(met.memo, Known | KnownFailure)
        if self._found is not None and not known and self.replay.target != met.name.hashed:
            self._found.append(met)
            raise BranchPaused
        return self.settle((met,))

    def _known(self, verdict: Verdict) -> msgspec.Raw:
        if isinstance(verdict, Replayed | Raise):
            if not self.fresh and self.is_beyond_known:
                self._freshen()
            if isinstance(verdict, Replayed):
                return verdict.data
            raise self.raised(verdict.met, verdict.failure)
        assert not isinstance(verdict, Run)
        self.end(verdict)
        raise Suspended

    def _freshen(self) -> None:
        """From here on, new code runs."""
        self.fresh = True
        if self.hooks is not None:
            try:
                self.hooks.before_execution_sync()
            except Exception as error:  # noqa: BLE001 - hooks are user code
                self.abort(error)

    def _execute(
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
                self._freshen()
            if self.hooks is not None:
                given = self.hooks.step_input_sync(self.info_of(met), given)
            value = self._called(met, handler, given)
            self.left_if_nested()
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001 - its result
            self._end_with(met, ordinary(error), began_ns, given)
        try:
            data, value = settle(codec, value, exact=self.exact)
            check_size(data)
        except CodecError as error:
            problem = self.unserializable(met, value, traits, error)
            self._end_with(met, problem, began_ns, given)
        if self.hooks is None:
            told = arguments(given)
        else:
            data, told = self._transformed(self.hooks, met, data, began_ns, given)
        self._keep(self.ran(met, data, began_ns, told))
        return value

    def _called(self, met: Met, handler: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        token = INSIDE_STEP.set(met.name)
        try:
            if self.hooks is None:
                return self._value(handler, args)
            work = partial(self._value, handler, args)
            return self.hooks.run_step_sync(self.info_of(met), work)
        finally:
            INSIDE_STEP.reset(token)

    def _value(self, handler: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        value = handler(*args)
        return self._bridge(_awaited(value)) if inspect.isawaitable(value) else value

    def _transformed(
        self, hooks: Hooks, met: Met, data: msgspec.Raw, began_ns: int, given: tuple[Any, ...]
    ) -> tuple[msgspec.Raw, msgspec.Raw | None]:
        """A step's result and arguments after middleware saw them."""
        result = output_of(met, data, given)
        try:
            if self._save is None:
                hooks.after_execution_sync()
            hooks.transform_output_sync(result)
        except Exception as error:  # noqa: BLE001 - hooks are user code
            self.abort(error)
        try:
            return self.changed(result), told_input(result)
        except Exception as error:  # noqa: BLE001 - what a hook made of the result
            self._end_with(met, error, began_ns, given)

    def _keep(self, operation: Operation) -> None:
        """Save a finished step and go on; without a way to save, or if it fails, end the call."""
        if self._save is not None:
            lazy = self.lazy
            try:
                self._save((operation, *lazy))
            except Exception:  # noqa: BLE001 - the answer still carries the step
                self._save = None
            else:
                self.attempt = 0
                self.saved = True
                self.kept(lazy)
                return
        self.answer = outcome.reported((operation,))
        raise Suspended

    def _end_with(
        self, met: Met, error: Exception, began_ns: int, given: tuple[Any, ...]
    ) -> NoReturn:
        """End the call with a step that failed."""
        self.left_if_nested()
        told = arguments(given)
        if self.hooks is not None:
            result = error_of(met, error, given, final=self.is_final(error))
            try:
                self.hooks.after_execution_sync()
                self.hooks.transform_output_sync(result)
            except Exception as raised:  # noqa: BLE001 - hooks are user code
                self.abort(raised)
            error, told = result.error or error, told_input(result)
        operation, retry_after = self.failed(met, error, began_ns, told)
        self.answer = outcome.reported((operation,), retry_after)
        raise Suspended from None

    # Parallel groups

    def parallel(self, branches: Sequence[Callable[[], T]]) -> tuple[T, ...]:
        """Run branches one after another, each until its first new step; report those together."""
        outer, self._found = self._found, []
        results: list[T] = []
        broken: Exception | None = None
        try:
            for branch in branches:
                try:
                    results.append(branch())
                except BranchPaused:
                    continue
                except Exception as error:  # noqa: BLE001 - raised when all branches were seen
                    broken = broken or error
        finally:
            found, self._found = self._found, outer
        if self.answer is not None:
            raise Suspended
        if broken is not None:
            raise broken
        if not found:
            return tuple(results)
        if outer is not None:
            outer.extend(found)
            raise BranchPaused
        self._known(self.settle(found))
        raise AssertionError("a group with new steps ends the call")


class BranchPaused(BaseException):
    """Raised at the first new step of a branch; the next branch runs. Let it pass."""


async def _awaited(value: Any) -> Any:
    return await value
