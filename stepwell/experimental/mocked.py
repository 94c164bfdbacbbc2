"""Run a function in a test, without a server: `trigger(fn, event, client, step_stubs={...})`.

Steps that are handlers run, unless they are stubbed; sleeps end at once; what the server would do
must be stubbed. May be called from blocking code and from within an event loop.
"""

import copy
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, cast

import msgspec

from stepwell.sdk.client import client as sdk_client
from stepwell.sdk.client.annotation import Annotations
from stepwell.sdk.errors import StepError
from stepwell.sdk.events.event import Event, event_to_wire
from stepwell.sdk.events.kind import EventModel
from stepwell.sdk.execution.run import run_call_sync
from stepwell.sdk.function.function import Function
from stepwell.sdk.middleware.layer import BaseMiddleware
from stepwell.sdk.send.outgoing import Sendable, collect
from stepwell.sdk.send.sending import SendResult
from stepwell.sdk.step import annotation
from stepwell.sdk.step.annotation import Said
from stepwell.sdk.value.codec import encode_any
from stepwell.sdk.value.failure import deserialize_error, failure_of
from stepwell.wire import operation as ops
from stepwell.wire.event import encode_event
from stepwell.wire.execution import CallContext, CallRequest, CallResponse, Stack, data_memo
from stepwell.wire.failure import encode_failure_memo
from stepwell.wire.function_config import max_attempts
from stepwell.wire.operation_decode import decode_operations

EVENT_ID = "00000000000000000000000000"
_SERVER = ops.WaitForEvent | ops.WaitForSignal | ops.InvokeFunction
_CALLS_MAX = 10_000


class Status(enum.Enum):
    """How a run ended."""

    COMPLETED = "Completed"
    FAILED = "Failed"


Timeout = object()
"""A stub for a step that waits in vain."""


class UnstubbedStepError(Exception):
    """A step that only a server can do has no stub."""

    def __init__(self, step_id: str) -> None:
        super().__init__(f'step "{step_id}" is done by the server: give it a stub in step_stubs')


class UnknownStubError(ValueError):
    """A run completed without meeting a step that has a stub: its name is probably wrong."""

    def __init__(self, unknown: str, met: Sequence[str]) -> None:
        near = get_close_matches(unknown, met, n=1)
        hint = f' (is "{near[0]}" meant?)' if near else ""
        steps = ", ".join(f'"{title}"' for title in met) or "none"
        super().__init__(
            f'step_stubs["{unknown}"]: the run met no step of that id{hint}. It met {steps}: mend'
            " the id, or leave the stub out"
        )


class _Silent(Annotations):
    """Says nothing of what was judged to be sayable."""

    async def say(self, said: Said) -> None:
        """Judge it."""
        self.say_sync(said)

    def say_sync(self, said: Said) -> None:
        """Judge it."""
        if not annotation.travels(said):
            annotation.to_send(said)


class Inngest(sdk_client.Inngest):
    """A client that sends nothing. Each event of a `send` has the same id of zeros."""

    async def send(
        self, events: Any, *, skip_middleware: bool = False, **options: Any
    ) -> SendResult:
        """Send nothing; one id for each event."""
        return self.send_sync(events)

    def send_sync(
        self, events: Any, *, skip_middleware: bool = False, **options: Any
    ) -> SendResult:
        """Send nothing; one id for each event."""
        several = isinstance(events, Sequence) and not isinstance(events, str)
        return SendResult([EVENT_ID] * (len(cast("Sequence[object]", events)) if several else 1))

    async def send_in_run(self, events: Any, *, seed: str, hooks: object) -> SendResult:
        """Send nothing; one id for each event."""
        return self.send_sync(events)

    def send_in_run_sync(self, events: Any, *, seed: str, hooks: object) -> SendResult:
        """Send nothing; one id for each event."""
        return self.send_sync(events)

    @property
    def annotations(self) -> Annotations:
        """Says nothing."""
        return _Silent(lambda: self.api, lambda: None, lambda: 0.0)


@dataclass
class Result:
    """How a run ended: what it returned, or what it raised.

    `error` is the very exception, that of the step if the function let a failed step pass.
    """

    error: Exception | None
    output: Any
    status: Status


class _Watch(BaseMiddleware):
    """Keeps what the function and its steps returned or raised, before it is written as JSON."""

    output: Any = None
    error: Exception | None = None
    raised: tuple[str, Exception] | None = None

    async def wrap_function_handler(self, next: Callable[[], Any], ctx: Any, fn: Any) -> Any:
        try:
            self.output = await next()
        except Exception as error:
            self.error = error
            raise
        return self.output

    def on_step_error(self, ctx: Any, step: Any, error: Exception, is_final_attempt: bool) -> None:
        self.raised = (step.id, error)


class _Run:
    """One run: what is known of its steps."""

    def __init__(
        self,
        function: Function[Any],
        events: Sequence[Event],
        client: Inngest,
        stubs: dict[str, object],
    ) -> None:
        self._function = function
        self._events = tuple(msgspec.Raw(encode_event(event_to_wire(event))) for event in events)
        self._client = copy.copy(client)
        self._plain_middleware = list(client.middleware)
        self._stubs = stubs
        self._steps: dict[str, msgspec.Raw] = {}
        self._stack: list[str] = []
        self._planned: list[str] = []
        self._met: dict[str, None] = {}
        self._raised: dict[str, Exception] = {}
        self._attempt = 0
        self._attempts_max = max_attempts(function.config("http://mocked.invalid"))

    def play(self) -> Result:
        """Call the function until the run ends."""
        for _ in range(_CALLS_MAX):
            target = self._planned[0] if self._planned else None
            answer, watch = self._call(target)
            if watch.raised is not None:
                self._raised.update([watch.raised])
            if answer.status == 206:
                self._take(list(decode_operations(answer.body or b"[]")))
                continue
            if answer.status == 200:
                self._check_stubs()
                return Result(None, watch.output, Status.COMPLETED)
            self._attempt += 1
            if self._attempt >= self._attempts_max or answer.status == 400:
                told = deserialize_error(msgspec.json.decode(answer.body or b"null"))
                return Result(self._original(watch.error or told), None, Status.FAILED)
        raise RuntimeError(f"the function did not end within {_CALLS_MAX} calls")

    def _check_stubs(self) -> None:
        for name in self._stubs:
            if name not in self._met:
                raise UnknownStubError(name, list(self._met))

    def _original(self, error: Exception) -> Exception:
        """What a step raised, if that is why the function failed."""
        if not isinstance(error, StepError) or error.step_id is None:
            return error
        return self._raised.get(error.step_id, error)

    def _call(self, target: str | None) -> tuple[CallResponse, _Watch]:
        watch = _Watch(self._client)

        def watching(client: Any, raw_request: object) -> _Watch:
            return watch

        self._client.middleware = [*self._plain_middleware, watching]
        request = CallRequest(
            ctx=CallContext(
                run_id="test",
                attempt=self._attempt,
                max_attempts=self._attempts_max,
                disable_immediate_execution=True,
                stack=Stack(tuple(self._stack), len(self._stack)),
            ),
            event=self._events[0],
            events=self._events,
            steps=dict(self._steps),
            exact_numbers=True,
        )
        answer = run_call_sync(self._function, request, client=self._client, target=target)
        return answer, watch

    def _take(self, operations: list[ops.Operation]) -> None:
        for operation in operations:
            title = operation.userland.id or ops.label(operation)
            self._met[title] = None
            if operation.id in self._steps:
                continue
            if title in self._stubs:
                self._keep(operation.id, _stubbed(operation, self._stubs[title]))
            elif isinstance(operation, ops.StepPlanned):
                if operation.id not in self._planned:
                    self._planned.append(operation.id)
            elif isinstance(operation, ops.StepRun):
                self._keep(operation.id, data_memo(operation.data))
            elif isinstance(operation, ops.StepError):
                self._attempt += 1
            elif isinstance(operation, ops.StepFailed):
                self._keep(operation.id, encode_failure_memo(operation.failure))
            elif isinstance(operation, ops.Sleep):
                self._keep(operation.id, ops.NULL)
            else:
                raise UnstubbedStepError(title)

    def _keep(self, step: str, memo: msgspec.Raw) -> None:
        self._steps[step] = memo
        self._stack.append(step)
        self._attempt = 0
        if step in self._planned:
            self._planned.remove(step)


def _stubbed(operation: ops.Operation, stub: object) -> msgspec.Raw:
    """What the server would tell of a step that ended as its stub says."""
    if isinstance(stub, BaseException):
        return encode_failure_memo(failure_of(stub))
    if stub is Timeout or stub is None:
        return ops.NULL if isinstance(operation, _SERVER) else data_memo(ops.NULL)
    if isinstance(stub, EventModel):
        stub = stub.as_event()
    if isinstance(stub, Event):
        return msgspec.Raw(encode_event(event_to_wire(cast(Event, stub))))
    data = encode_any(stub)
    return data if isinstance(operation, ops.WaitForEvent) else data_memo(data)


def trigger(
    fn: Function[Any],
    event: Sendable | Sequence[Sendable],
    client: Inngest,
    *,
    step_stubs: dict[str, object] | None = None,
) -> Result:
    """Run a function until it ends.

    Args:
        fn: The function.
        event: What starts it, or several: an Event, as event types make them, an EventModel, or a
            mapping with an event's fields.
        client: A client of this module; its middleware runs.
        step_stubs: By step id, what a step gives instead of being done: any JSON value, an Event or
            EventModel for a step that waits for one, Timeout for one that waits in vain, or an
            exception for one that fails.

    Raises UnstubbedStepError for a step that only a server can do, UnknownStubError if the run
    completes without the step a stub is for, ValueError without an event, and EventValidationError
    for what is none.
    """
    events = collect(event, client.schemas)
    if not events:
        raise ValueError("event = []: give at least one event")
    return _Run(fn, events, client, step_stubs or {}).play()
