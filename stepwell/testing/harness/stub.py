"""Steps that a test answers for: what they return, raise or call, and what they were called with.

A step with a handler is stubbed around its handler, so it keeps its retries; what the server would
do (wait, invoke, infer) is answered in its place.
"""

import difflib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias, cast

import msgspec

from stepwell.sdk.events.event import Event, event_to_wire
from stepwell.sdk.middleware.layer import BaseMiddleware, Next
from stepwell.sdk.middleware.result import StepInfo
from stepwell.sdk.value.codec import encode_any
from stepwell.sdk.value.failure import failure_of
from stepwell.testing.harness.errors import HarnessError
from stepwell.wire import operation as ops
from stepwell.wire.event import encode_event
from stepwell.wire.failure import Failure

Raisable: TypeAlias = BaseException | type[BaseException]

_SERVERS = (
    ops.WaitForEvent | ops.WaitForSignal | ops.InvokeFunction | ops.GatewayCall | ops.AiGatewayCall
)


class Stub:
    """One step that the test answers for. `calls` holds the arguments of each call, in order."""

    def __init__(
        self, step: str, returns: object, raises: Sequence[Raisable] | Raisable | None, calls: Any
    ) -> None:
        self.step = step
        self.is_looked_at = False
        self.is_met = False
        self._returns = returns
        self._raises = raises
        self._work: Callable[..., Any] | None = calls
        self._calls: list[tuple[Any, ...]] = []

    @property
    def calls(self) -> list[tuple[Any, ...]]:
        """The arguments of each call, tries that failed included."""
        self.is_looked_at = True
        return list(self._calls)

    def assert_called_once_with(self, *args: object) -> None:
        """It was called once, and like this. Raises AssertionError."""
        if self.calls != [args]:
            self._complain(f"was to be called once, with {_shown(args)}")

    def assert_called_with(self, *args: object) -> None:
        """Its last call was like this. Raises AssertionError."""
        if self.calls[-1:] != [args]:
            self._complain(f"was to be called last with {_shown(args)}")

    def assert_called_times(self, times: int) -> None:
        """It was called so often, tries that failed included. Raises AssertionError."""
        if len(self.calls) != times:
            self._complain(f"was to be called {times} times")

    def assert_not_called(self) -> None:
        """It was not called. Raises AssertionError."""
        if self.calls:
            self._complain("was not to be called")

    def _complain(self, wanted: str) -> NoReturn:
        calls = ", ".join(_shown(args) for args in self._calls) or "nothing"
        raise AssertionError(
            f'step "{self.step}" {wanted}; it was called {len(self._calls)} times, with {calls}'
        )

    def forget(self) -> None:
        """It was never met."""
        self.is_met = self.is_looked_at = False
        self._calls.clear()

    def called(self, args: tuple[Any, ...]) -> Any:
        """What a call with these arguments gives. Raises what it is to raise."""
        self.is_met = True
        self._calls.append(args)
        raised = self._next_error()
        if raised is not None:
            # One exception may be raised for each try: it remembers nothing of the one before.
            raised.__notes__ = []
            raise raised.with_traceback(None)
        return self._returns if self._work is None else self._work(*args)

    def _next_error(self) -> BaseException | None:
        given = self._raises
        if isinstance(given, Sequence):
            place = len(self._calls) - 1
            given = given[place] if place < len(given) else None
        return given() if isinstance(given, type) else given


class Stubs:
    """All stubs of a test, and the names of the steps that were met."""

    def __init__(self) -> None:
        self._by_step: dict[str, Stub] = {}
        self._met: dict[str, None] = {}
        self._kept: dict[str, Stub] | None = None

    def __bool__(self) -> bool:
        return bool(self._by_step)

    def add(self, step: object, returns: object, raises: object, calls: object) -> Stub:
        """One more. Raises HarnessError for what cannot be meant."""
        if not isinstance(step, str) or not step:
            raise HarnessError(f"stub({step!r}): name the step by its id, a text")
        if calls is not None and not callable(calls):
            raise HarnessError(f"stub({step!r}, calls={calls!r}): give a function, called instead")
        if calls is not None and returns is not None:
            raise HarnessError(f"stub({step!r}): give returns or calls, not both")
        listed: list[object] = (
            list(cast("Sequence[object]", raises)) if isinstance(raises, list | tuple) else [raises]
        )
        for one in listed:
            kind = one if isinstance(one, type) else type(one)
            if raises is not None and not issubclass(kind, BaseException):
                raise HarnessError(
                    f"stub({step!r}, raises={raises!r}): {one!r} is no exception; give one, or a"
                    " list of them, one for each try"
                )
        tries = cast("Sequence[Raisable] | Raisable | None", raises)
        self._by_step[step] = stub = Stub(step, returns, tries, calls)
        return stub

    def met(self, step: str) -> Stub | None:
        """A step was met: its stub, if it has one."""
        self._met[step] = None
        return self._by_step.get(step)

    def check(self) -> None:
        """Every stub was met, or the test asked after it. Raises HarnessError for a wrong name."""
        for stub in self._by_step.values():
            if stub.is_met or stub.is_looked_at:
                continue
            near = difflib.get_close_matches(stub.step, self._met, n=1)
            known = ", ".join(f'"{name}"' for name in self._met) or "none"
            meant = f' did you mean "{near[0]}"?' if near else ""
            raise HarnessError(
                f'stub("{stub.step}") was never used:{meant} the steps that were met: {known}. If'
                " that is what you test, say so: stub.assert_not_called()"
            )

    def begin(self) -> None:
        """Only those that are known now stay, as if they had never been met; the next time only
        those that were known the first time."""
        if self._kept is None:
            self._kept = dict(self._by_step)
        self._by_step = dict(self._kept)
        self._met.clear()
        for stub in self._by_step.values():
            stub.forget()


class StubbedSteps(BaseMiddleware):
    """Innermost of all middleware: what lies around the steps' handlers of one call."""

    blamed = False

    def __init__(self, client: Any, raw_request: object, stubs: Stubs) -> None:
        super().__init__(client, raw_request)
        self._stubs = stubs
        self._arguments: dict[str, tuple[Any, ...]] = {}

    def transform_step_input(self, step: StepInfo, args: list[Any]) -> Any:
        """Keep what the handler is called with."""
        self._arguments[step.hashed_id] = tuple(args)

    # Not a coroutine: it lies around blocking handlers too, on their own thread.
    def wrap_step_handler(self, next: Next, step: StepInfo, ctx: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The stub's answer in place of the handler's."""
        stub = self._stubs.met(step.id)
        return next() if stub is None else stub.called(self._arguments.get(step.hashed_id, ()))


def answered(operation: ops.Operation, stubs: Stubs) -> ops.Operation:
    """What the app asks of the server, or what a stub answers in the server's place."""
    if not isinstance(operation, _SERVERS):
        return operation
    name = operation.userland.id or ops.label(operation)
    stub = stubs.met(name)
    about: dict[str, Any] = {
        "id": operation.id,
        "name": operation.name,
        "display_name": operation.display_name,
        "userland": operation.userland,
        "parallel_mode": operation.parallel_mode,
    }
    if stub is None:
        if isinstance(operation, ops.GatewayCall | ops.AiGatewayCall):
            return ops.StepFailed(failure=_no_network(name, operation.url), **about)
        return operation
    try:
        data = _data_of(operation, stub)
    except Exception as error:  # noqa: BLE001 - the function is told, as the server would
        return ops.StepFailed(failure=failure_of(error), **about)
    if isinstance(operation, ops.WaitForEvent) or data is None:
        return ops.LegacyStep(data=ops.NULL if data is None else data, **about)
    return ops.StepRun(data=data, **about)


def _data_of(operation: ops.Operation, stub: Stub) -> msgspec.Raw | None:
    """What the stub answers, as it is stored; None for a wait in vain. Raises what it is to raise,
    and HarnessError for what is no answer."""
    value = stub.called(_asked_with(operation))
    if inspect.iscoroutine(value):
        value.close()
        raise HarnessError(
            f'stub("{stub.step}", calls=...) stands for what the server does: give a plain function'
        )
    if isinstance(operation, ops.WaitForEvent | ops.WaitForSignal) and value is None:
        return None
    if not isinstance(operation, ops.WaitForEvent):
        return encode_any(value)
    if not isinstance(value, Event):
        raise HarnessError(
            f'stub("{stub.step}") answers a wait for an event with {value!r}: give an Event, or'
            " None for one that waits in vain"
        )
    return msgspec.Raw(encode_event(event_to_wire(cast("Event", value))))


def _no_network(step: str, url: str) -> Failure:
    return Failure(
        name="NoNetwork",
        message=f'step "{step}" has the server ask {url}, and a test touches no network: give its'
        f' answer with stub("{step}", returns=...)',
    )


def _asked_with(operation: ops.Operation) -> tuple[Any, ...]:
    """What a call of the stub is told: the data of an invocation, the body of a request."""
    match operation:
        case ops.InvokeFunction(data=data):
            return (msgspec.json.decode(data),)
        case ops.GatewayCall(body=body):
            return (body,)
        case ops.AiGatewayCall(body=body):
            return (msgspec.json.decode(body),)
        case _:
            return ()


def _shown(args: tuple[object, ...]) -> str:
    return f"({', '.join(map(repr, args))})"
