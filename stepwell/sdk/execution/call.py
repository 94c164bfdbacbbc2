"""One call of one function, whatever its colour: what was met, what it means, what is answered.

The shells `_async.py` and `_sync.py` add waiting. Nothing here waits or blocks.
"""

import datetime as dt
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeAlias, cast

import msgspec

from stepwell.sdk.errors import (
    Error,
    IndeterminateFunctionWarning,
    InngestWarning,
    OutputUnserializableError,
    Place,
    RetryAfterError,
    StepError,
    StepNestedError,
    StepNotFoundError,
    StepUnexpectedError,
    code_of,
    is_quiet,
    is_retriable,
    text_of,
    warn,
)
from stepwell.sdk.execution import outcome
from stepwell.sdk.execution.port import Hooks
from stepwell.sdk.execution.replay import Missing, Replay, Report, Run, Verdict, plan
from stepwell.sdk.middleware.result import (
    StepInfo,
    TransformOutputResult,
    TransformOutputStepInfo,
)
from stepwell.sdk.step import option
from stepwell.sdk.step.asked import Ask, Met
from stepwell.sdk.step.cancelled import Cancelled, Watch
from stepwell.sdk.step.defer import Deferrals
from stepwell.sdk.step.gathered import Gathered, with_lines
from stepwell.sdk.step.handler import Traits
from stepwell.sdk.step.identity import StepName
from stepwell.sdk.step.limit import Taken, uses
from stepwell.sdk.step.memo import Known, KnownFailure, Memos
from stepwell.sdk.step.noted import Noted, note_answer
from stepwell.sdk.step.suspension import INSIDE_STEP, Suspended
from stepwell.sdk.value.codec import (
    PLAIN,
    UNSPECIFIED,
    Codec,
    CodecError,
    SerializerCodec,
    codec_of,
    encode_any,
    in_doubles,
    name_of,
)
from stepwell.sdk.value.failure import failure_of, step_error
from stepwell.sdk.value.serializer import Serializer
from stepwell.wire import limit
from stepwell.wire.execution import STATUS_FAILED, CallRequest, CallResponse
from stepwell.wire.failure import Failure
from stepwell.wire.named_limit import LimitUsed
from stepwell.wire.operation import (
    InvokeFunction,
    Logs,
    Operation,
    StepFailed,
    StepRun,
    Timing,
    label,
)
from stepwell.wire.operation import StepError as StepErrorOperation

Pause: TypeAlias = Callable[[], bool]
"""Asked before a further step is begun after one was saved: True ends the call with a plan."""

_SHOWN_STEPS_MAX = 25
_LIST = msgspec.json.Decoder(list[Any])


class Call:
    """What both colours know of a call. `answer` is set once, when the call ends."""

    lines: Gathered | None = None
    """What the call's logger wrote, if that goes to the server; most calls write nothing."""

    def __init__(
        self,
        request: CallRequest,
        *,
        target: str,
        function_id: str,
        output: Codec | None = None,
        serializer: Serializer | None = None,
        hooks: Hooks | None = None,
        tell: Callable[[BaseException], None] | None = None,
        pause: Pause | None = None,
        non_retriable: tuple[type[Exception], ...] = (),
        reraised: Mapping[str, type[StepError]] | None = None,
        watch: Watch | None = None,
        place: Place | None = None,
    ) -> None:
        ctx = request.ctx
        self.deferrals = Deferrals(request.defers)
        self._stack = ctx.stack.stack if ctx.stack is not None else ()
        self.memos = Memos(request.steps, self._stack)
        self.replay = Replay(
            self.memos, target=target, immediate=not ctx.disable_immediate_execution
        )
        self.run_id = ctx.run_id
        self.attempt = ctx.attempt
        self.max_attempts = ctx.max_attempts
        self.function_id = function_id
        self.place = place
        """Where the handler begins."""
        self.exact = request.exact_numbers
        """The server keeps numbers as they are written."""
        self._step_name = request.step_name
        self._step_names = request.step_names
        self.answer: CallResponse | None = None
        self.cancelled = Cancelled(watch)
        self.step: object = None
        self.watcher: Any = None
        self.sessions: Mapping[str, str] = {}
        self.holds_sessions_back = False
        self.taken: dict[str, list[Taken]] = {}
        self.noted = Noted()
        self.keeps_logs = request.keeps_logs
        """What the call's logger writes goes to the server, too."""
        self.ai_metadata = True
        """What models tell of their answers is kept with the step that asked."""
        self.fresh = self.is_beyond_known
        """New code runs now; before that, everything was seen by an earlier call."""
        self.hooks = hooks
        self._reports: tuple[Operation, ...] = ()
        """What the answer reports, if those are steps of the server's, or plans."""
        self._output = output
        self._serializer = serializer
        self._tell = tell
        self._pause = pause
        self._non_retriable = non_retriable
        self._reraised = reraised
        self.is_nested = False
        """A step was met inside a step."""
        self.saved = False
        """A step of this call was saved; the handler went on after it."""
        self._doubt_told = False
        self.is_over = False
        """The handler has ended, or was left for good."""

    def remember(self, steps: dict[str, msgspec.Raw]) -> None:
        """Know these steps instead: what middleware made of them. Before the handler runs."""
        self.memos = self.replay.memos = Memos(steps, self._stack)
        self.fresh = self.is_beyond_known

    @property
    def is_beyond_known(self) -> bool:
        """Is code new that runs outside of steps? Not in a call for one step: whoever found that
        step has run it."""
        return not (self.is_targeted or self.memos.any_unseen)

    @property
    def is_targeted(self) -> bool:
        """Is this a call for one step that an earlier call found?"""
        return self.replay.target is not None

    def abandon(self) -> None:
        """Nobody waits for the answer any more: leave the handler at its next step."""
        self.answer = self.answer or CallResponse(STATUS_FAILED)
        self.cancelled.set()

    def let_go(self) -> None:
        """Forget what knows this call, at its end: in no circle, it is freed at once. A busy
        process would else spend a third of its time on looking for such circles."""
        self.step = self.watcher = None
        self.is_over = True

    # Steps that are met

    def meet(self, ask: Ask) -> Met:
        """Name the step met now. Raises Suspended while the handler is left, Error after its end.

        A step inside a step ends the call with StepNestedError, whatever user code does about it.
        """
        self.admit(f'step "{ask.id}"', ", or call its handler directly")
        met = self.replay.meet(ask)
        if ask.limits:
            self.taken[met.name.hashed] = [Taken(limit) for limit in ask.limits]
        return met

    def name_deferral(self, step_id: str) -> StepName:
        """The name of what is deferred now; raises as `meet` does."""
        self.admit(f'defer "{step_id}"')
        return self.replay.name(f"defer:{step_id}")

    def admit(self, what: str, otherwise: str = "") -> None:
        """Refuse what only the handler itself may call, while it is not being left: see `meet`."""
        outer = INSIDE_STEP.get()
        if outer is not None:
            self.is_nested = True
            self.abort(
                StepNestedError(
                    f'{what} is called inside step "{outer.id}": call it from the function'
                    f" itself{otherwise}"
                )
            )
        if self.is_over:
            raise Error(
                f'{what} was called after the call of function "{self.function_id}" had'
                " ended: call steps in the function itself, before it returns"
            )
        if self.cancelled.told:
            self.abandon()
        if self.answer is not None:
            raise Suspended

    def abort(self, error: Exception) -> NoReturn:
        """End the call with an error that user code is not to catch."""
        self.answer = self.answer or self.broke(error)
        raise Suspended from None

    def left_if_nested(self) -> None:
        """Leave a step that met another one, and passed by what that raised."""
        if self.is_nested:
            raise Suspended

    def codec_of(self, traits: Traits, output_type: object) -> Codec:
        """How a step's result travels: by `output_type` if given, else by annotation."""
        if output_type is UNSPECIFIED:
            return traits.codec
        if self._serializer is not None:
            return SerializerCodec(self._serializer, output_type)
        return codec_of(output_type)

    def decoded(self, met: Met, data: msgspec.Raw, codec: Codec) -> Any:
        """A known result as user code gets it."""
        try:
            return codec.decode(data)
        except CodecError as error:
            raise OutputUnserializableError(
                f'the stored result of step "{met.title}" does not fit its type: {error}; was the'
                " type changed while runs were under way?"
            ) from error

    def raised(self, met: Met, failure: Failure) -> StepError:
        """A known failure as user code gets it."""
        return step_error(failure, step_id=met.name.id, kinds=self._reraised)

    def settle(self, waiting: Sequence[Met]) -> Verdict:
        """What to do about steps the handler waits for, see `Replay.settle`."""
        verdict = self.replay.settle(waiting)
        if self._pause is None or not self.saved or not isinstance(verdict, Run):
            return verdict
        return Report((plan(verdict.met),)) if self._pause() else verdict

    def together(self, waiting: Sequence[Met]) -> tuple[Run, ...]:
        """Which steps to run beside each other now, see `Replay.together`."""
        if self._pause is not None and self.saved and self._pause():
            return ()
        return self.replay.together(waiting)

    # Steps that are run

    def unserializable(self, met: Met, value: object, traits: Traits, error: CodecError) -> Error:
        """What a step fails with whose result cannot travel."""
        words = f"{error} ({traits.problem})" if traits.problem else str(error)
        return OutputUnserializableError(
            f'"{met.title}" returned unserializable data: the result of the step, a'
            f" {name_of(type(value))}, cannot be stored: {words}"
        )

    def ran(self, met: Met, data: msgspec.Raw, began_ns: int, given: msgspec.Raw | None) -> StepRun:
        """The operation of a step that ran well."""
        timing = Timing(began_ns, time.time_ns() - began_ns)
        if met.ask.kind == option.WRAP and self.ai_metadata:
            note_answer(self.noted, met.name.hashed, data, given, timing.duration_ns)
        said = self.noted.take(met.name.hashed)
        return outcome.step_ran(met, data, timing, given, self._used(met), said)

    def _used(self, met: Met) -> tuple[LimitUsed, ...]:
        """What a step used of limits, where that is not what it took."""
        return uses(self.taken.get(met.name.hashed, ())) if met.ask.limits else ()

    def is_final(self, error: BaseException) -> bool:
        """Will there be no further try after this error?"""
        return outcome.is_final(
            retriable=self._is_retriable(error),
            attempt=self.attempt,
            max_attempts=self.max_attempts,
        )

    def _is_retriable(self, error: BaseException) -> bool:
        """Does a further try make sense, by the error's own word or the function's?"""
        if isinstance(error, self._non_retriable):
            return False
        return is_retriable(error)

    def info_of(self, met: Met) -> StepInfo:
        """A step as wraps and observers see it."""
        known = isinstance(met.memo, Known | KnownFailure)
        return StepInfo(
            met.name.id, met.title, met.name.hashed, met.name.index, known, self.attempt
        )

    def failed(
        self, met: Met, error: BaseException, began_ns: int, given: msgspec.Raw | None
    ) -> tuple[StepErrorOperation | StepFailed, outcome.RetryAfter | None]:
        """The operation of a step that raised, and when to try again if it said so."""
        final = self.is_final(error)
        timing = Timing(began_ns, time.time_ns() - began_ns)
        self.tell(error)
        failure = _failure_of(error, self._reraised or ())
        used, said = self._used(met), self.noted.take(met.name.hashed)
        operation = outcome.step_broke(
            met, failure, final=final, timing=timing, given=given, used=used, said=said
        )
        return operation, None if final else retry_after(error)

    # Ends

    def end(self, verdict: Report | Missing) -> None:
        """End the call by what was met; the handler is left."""
        try:
            self.doubt(_met_in(verdict))
        except InngestWarning as warning:
            # Somebody made errors of warnings.
            self.answer = self.broke(warning)
            return
        if isinstance(verdict, Report):
            self.answer = outcome.reported(verdict.operations)
            self._reports = verdict.operations
            return
        self.answer = self.broke(_not_met(verdict, self._step_name))

    def log(
        self,
        level: int,
        message: object,
        args: tuple[Any, ...],
        more: Mapping[str, Any],
        *,
        braces: bool = False,
    ) -> None:
        """Have a line of the call's logger go to the server, see `Gathered.add`."""
        if self.keeps_logs:
            # Two threads may write the first line.
            lines = self.__dict__.setdefault("lines", Gathered())
            lines.add(level, message, args, more, braces=braces)

    @property
    def lazy(self) -> tuple[Operation, ...]:
        """What is to accompany the next steps that are told: deferrals, and lines of the log."""
        lazy = self.deferrals.operations
        return (*lazy, self.lines.operation()) if self.lines else lazy

    def kept(self, lazy: Sequence[Operation]) -> None:
        """The server knows these now."""
        self.deferrals.kept(lazy)
        lines = self.lines
        if lines is not None:
            for one in lazy:
                if isinstance(one, Logs):
                    lines.kept(one)

    def accompanied(self, answer: CallResponse) -> CallResponse:
        """The answer with what the call defers and takes back, if it tells of progress, and with
        the lines of the log."""
        if answer.status == STATUS_FAILED and self.lines:
            body = with_lines(answer.body, self.lines.waiting())
            return CallResponse(answer.status, body, answer.headers)
        lazy = self.lazy
        return outcome.accompanied(answer, lazy) if lazy else answer

    def shown_reports(self) -> list[TransformOutputResult | None]:
        """What is reported as middleware is to see it: one step alone, and all invocations."""
        alone = len(self._reports) == 1
        return [
            report_of(operation) if alone or isinstance(operation, InvokeFunction) else None
            for operation in self._reports
        ]

    def rewrite_reports(self, seen: Sequence[TransformOutputResult | None]) -> None:
        """Report what middleware made of that. Raises CodecError for data that is no JSON."""
        pairs = zip(self._reports, seen, strict=True)
        made = tuple(
            operation if result is None else self._invoked(operation, result)
            for operation, result in pairs
        )
        if made != self._reports:
            self.answer = outcome.reported(made)

    def _invoked(self, operation: Operation, result: TransformOutputResult) -> Operation:
        """An invocation with the data middleware wants it to have; others as they are."""
        options = None if result.step is None else result.step.opts
        if options is None or not isinstance(operation, InvokeFunction):
            return operation
        payload = options.get("payload")
        if not isinstance(payload, dict) or "data" not in payload:
            return operation
        data = self.fit(PLAIN.encode(cast(dict[str, object], payload)["data"]))
        return msgspec.structs.replace(operation, data=data)

    def doubt(self, new: Sequence[str]) -> None:
        """Warn, once a call, if there are new steps although known ones were not met."""
        if self._doubt_told or self.replay.target is not None or not self.memos.any_unseen:
            return
        self._doubt_told = True
        why = "steps were renamed, or depend on something that differs between calls"
        self._warn(f"met new steps ({_titles(new)}) before {self._known_unseen()}: {why}")

    def _doubt_the_end(self) -> None:
        """Warn if changed code returned and known steps were not met: they are there no more."""
        if self._step_names and not self._doubt_told and self.memos.any_unseen:
            why = "the code has changed since they ended, and has them no more"
            self._warn(f"returned without {self._known_unseen()}: {why}")

    def _known_unseen(self) -> str:
        """The known steps that were not met: by name, where the server tells names."""
        unseen = self.memos.unseen()
        names = [self._step_names[one] for one in unseen if one in self._step_names]
        named = f" ({_titles(names)})" if names else ""
        return f"{len(unseen)} known one{'s' if len(unseen) > 1 else ''}{named}"

    def _warn(self, what: str) -> None:
        warn(IndeterminateFunctionWarning(f'function "{self.function_id}" {what}'), self.place)

    def unmet(self) -> CallResponse | None:
        """The answer if the handler returned without meeting the step asked for."""
        if self.replay.target is None:
            try:
                self._doubt_the_end()
            except InngestWarning as warning:
                self.answer = self.broke(warning)
            return self.answer
        self.end(self.replay.missing())
        return self.answer

    def result(self, value: object) -> msgspec.Raw:
        """What the handler returned, as JSON. Raises OutputUnserializableError."""
        try:
            return self.fit(self._encoded(value))
        except CodecError as error:
            raise OutputUnserializableError(
                f'returned unserializable data: the result of function "{self.function_id}", a'
                f" {name_of(type(value))}, cannot be stored: {error}"
            ) from None

    def fit(self, raw: msgspec.Raw) -> msgspec.Raw:
        """JSON as the server will keep it. Raises CodecError if that is something else."""
        return raw if self.exact else in_doubles(raw)

    def changed(self, result: TransformOutputResult) -> msgspec.Raw:
        """An output after middleware saw it. Raises what it put in its place, or CodecError."""
        if result.error is not None:
            raise result.error
        return self.fit(PLAIN.encode(result.output))

    def _encoded(self, value: object) -> msgspec.Raw:
        if self._output is None or self._output is PLAIN:
            return encode_any(value)
        try:
            return self._output.encode(value)
        except CodecError:
            if isinstance(self._output, SerializerCodec):
                raise
            return encode_any(value)

    def broke(self, error: BaseException) -> CallResponse:
        """The answer if the handler raised this."""
        self.tell(error)
        return outcome.broke(
            _failure_of(error),
            retriable=self._is_retriable(error),
            retry_after=retry_after(error),
        )

    def tell(self, error: BaseException) -> None:
        """Write an error into the log, unless it wants to be quiet."""
        if self._tell is not None and not is_quiet(error):
            with suppress(Exception):  # a logger, or an exception's text, may break
                self._tell(error)


def _not_met(verdict: Missing, name: str) -> Error:
    """The handler went as far as it could, and the step asked for was not there. Its `name` is
    empty where the server does not say it."""
    told = (
        f'Could not find step "{name or verdict.wanted}" to run. Was the function changed while'
        " runs were under way?"
    )
    if not verdict.found:
        return StepNotFoundError(f"{told} It reached no step")
    found = _titles(verdict.found)
    return StepUnexpectedError(f"found step {found} when targeting a different step. {told}")


def _met_in(verdict: Report | Missing) -> Sequence[str]:
    """The steps that end a call, as people know them."""
    if isinstance(verdict, Missing):
        return verdict.found
    return [label(operation) for operation in verdict.operations]


def _titles(steps: Sequence[str]) -> str:
    return ", ".join(f'"{title}"' for title in steps[:_SHOWN_STEPS_MAX])


def _failure_of(error: BaseException, carried: Collection[str] = ()) -> Failure:
    """An exception as it is told to the server, with the code it has as an error of an SDK."""
    failure = failure_of(error, carried=carried)
    return msgspec.structs.replace(failure, code=code_of(error).value)


class HandlerExit(Exception):
    """User code wanted to end the process, or passed on a cancellation that was nobody's."""


def ordinary(error: BaseException) -> Exception:
    """What user code raised as an exception that ends its call and nothing else."""
    if isinstance(error, Exception):
        return error
    made = HandlerExit(f"{type(error).__name__}: {text_of(error)}")
    made.__cause__ = error
    return made


def check_size(data: msgspec.Raw) -> None:
    """Refuse a result that servers refuse, while its step can still be named. Raises CodecError."""
    if len(data) > limit.STEP_OUTPUT_BYTES_MAX:
        raise CodecError(
            f"it has {len(data)} bytes as JSON, the limit is {limit.STEP_OUTPUT_BYTES_MAX}: store"
            " it elsewhere and return where"
        )


def output_of(met: Met, data: msgspec.Raw, given: tuple[Any, ...]) -> TransformOutputResult:
    """A step's result as middleware sees it."""
    return TransformOutputResult(None, PLAIN.decode(data), _info(met, given))


def error_of(
    met: Met, error: Exception, given: tuple[Any, ...], *, final: bool
) -> TransformOutputResult:
    """A step's exception as middleware sees it."""
    return TransformOutputResult(error, UNSPECIFIED, _info(met, given), final)


def _info(met: Met, given: tuple[Any, ...]) -> TransformOutputStepInfo:
    return TransformOutputStepInfo(
        met.name.id, StepRun.op, {"input": list(given)} if given else None
    )


def report_of(operation: Operation) -> TransformOutputResult:
    """A step that the server does, as middleware sees it: without an output."""
    options: dict[str, object] | None = None
    if isinstance(operation, InvokeFunction):
        payload = {"data": PLAIN.decode(operation.data)}
        options = {"function_id": operation.function_id, "payload": payload}
    info = TransformOutputStepInfo(operation.userland.id, operation.op, options)
    return TransformOutputResult(None, UNSPECIFIED, info)


def told_input(result: TransformOutputResult) -> msgspec.Raw | None:
    """A step's arguments as the server is told them, after middleware saw them."""
    told = None if result.step is None or result.step.opts is None else result.step.opts
    given = None if told is None else told.get("input")
    return arguments(tuple(cast(list[object], given))) if isinstance(given, list) else None


def retry_after(error: BaseException) -> dt.timedelta | dt.datetime | None:
    """When an error wants to be tried again, if it says so."""
    if isinstance(error, StepError) or not isinstance(error, RetryAfterError):
        return None  # a failed step has had its tries, whatever it raised
    return error.retry_after


def arguments(given: tuple[object, ...]) -> msgspec.Raw | None:
    """The arguments of a step as they can be shown and edited; None if they are no plain JSON."""
    if not given:
        return None
    try:
        shown = PLAIN.encode(list(given))
    except CodecError:
        return None
    return shown if len(shown) <= limit.STEP_INPUT_BYTES_MAX else None


def overridden(given: tuple[object, ...], override: msgspec.Raw | None) -> tuple[Any, ...]:
    """The arguments to run a step with: those the server put in their place, if it did."""
    if override is None:
        return given
    try:
        return tuple(_LIST.decode(override))
    except msgspec.DecodeError:
        return (PLAIN.decode(override),)
