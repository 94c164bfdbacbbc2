"""Functions that are started when the run has ended: `ctx.defer`.

The only place that judges what may be deferred. What is deferred travels with the answer of a call;
a server that knows of it already says so, and takes it once.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, cast, overload

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.events.source import NoData, ObjectLike
from stepwell.sdk.step.identity import StepName
from stepwell.sdk.step.port import Invocable, Takes
from stepwell.sdk.value.codec import CodecError, encode_any
from stepwell.wire.identifier import step_hash
from stepwell.wire.limit import DEFER_INPUT_BYTES_MAX, DEFERS_PER_RUN_MAX
from stepwell.wire.operation import DeferAbort, DeferAdd, Operation

D = TypeVar("D", bound=ObjectLike)


class DeferPort(Protocol):
    """The call that something is deferred in."""

    deferrals: "Deferrals"

    def name_deferral(self, step_id: str) -> StepName:
        """The name of what is deferred now. Raises what a step would that is called here."""
        ...

    def fit(self, raw: msgspec.Raw) -> msgspec.Raw:
        """JSON as the server will keep it. Raises CodecError if that is something else."""
        ...

    def admit(self, what: str) -> None:
        """Raise what a step would that is called here."""
        ...


class Deferrals:
    """What a call defers and takes back. `known` is what the server was told by earlier calls: by
    its hashed id, whether it can still be taken back."""

    def __init__(self, known: Mapping[str, bool]) -> None:
        self._known = known
        self._new: dict[str, Operation] = {}
        self._bytes = 0

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What the server does not know yet."""
        return tuple(self._new.values())

    def add(self, name: StepName, step_id: str, function_id: str, data: msgspec.Raw) -> None:
        """Have a function started at the end. Raises ConfigurationError for too much of it."""
        if name.hashed in self._known:
            return
        count = len(self._known) + sum(isinstance(one, DeferAdd) for one in self._new.values())
        if count >= DEFERS_PER_RUN_MAX:
            raise ConfigurationError(
                f'defer "{step_id}": a run defers at most {DEFERS_PER_RUN_MAX} functions: send'
                " events in a step for more"
            )
        if self._bytes + len(data) > DEFER_INPUT_BYTES_MAX:
            raise ConfigurationError(
                f'defer "{step_id}": data has {len(data)} bytes as JSON; all that a run defers may'
                f" have {DEFER_INPUT_BYTES_MAX}: store it elsewhere and pass where"
            )
        self._bytes += len(data)
        self._new[name.hashed] = DeferAdd(
            id=name.hashed,
            name=step_id,
            display_name=step_id,
            function_slug=function_id,
            input=data,
        )

    def take_back(self, name: StepName, step_id: str) -> None:
        """Have it started no more."""
        if self._known.get(name.hashed) is False:
            return
        added = self._new.pop(name.hashed, None)
        if isinstance(added, DeferAdd):
            self._bytes -= len(added.input)
        slot = step_hash(f"{name.hashed}:abort")
        self._new[slot] = DeferAbort(
            id=slot, name=step_id, display_name=step_id, target_id=name.hashed
        )


class Deferred:
    """A function that is started when the run has ended."""

    def __init__(self, call: DeferPort, name: StepName, step_id: str) -> None:
        self._call = call
        self._name = name
        self._step_id = step_id

    def abort(self) -> None:
        """Have it started no more; twice is as good as once.

        Not inside a step: what a step did is not done again, and this has to be. StepNestedError
        ends the call there.
        """
        self._call.admit(f'abort of defer "{self._step_id}"')
        self._call.deferrals.take_back(self._name, self._step_id)


class Defer:
    """`ctx.defer(...)`: start a function when this run has ended. Nothing is awaited."""

    def __init__(self, call: DeferPort | None = None) -> None:
        self._call = call

    @overload
    def __call__(
        self, step_id: str, *, function: Invocable[Any, Takes[D]], data: D
    ) -> Deferred: ...

    @overload
    def __call__(
        self,
        step_id: str,
        *,
        function: Invocable[Any, Takes[Mapping[str, object]]],
        data: Mapping[str, object] | None = ...,
    ) -> Deferred: ...

    @overload
    def __call__(
        self, step_id: str, *, function: Invocable[Any, Takes[NoData]], data: None = ...
    ) -> Deferred: ...

    def __call__(
        self, step_id: str, *, function: Invocable[Any, Any], data: object = None
    ) -> Deferred:
        """Have `function`, which has a `TriggerDefer`, started with `data` once this run has ended.

        `step_id` names it within the run, as a step's does; the same id may be used again. What a
        call defers is kept when the call reports a step or the function's end; a call that fails
        outside of steps leaves nothing. `.abort()` of what is returned takes it back.

        At most 20 in a run, with 4 MiB of data in all. Not inside a step: StepNestedError ends the
        call there. Raises ConfigurationError for a function that is not to be deferred, and for
        data that is no object or too much.
        """
        if not isinstance(cast(object, step_id), str) or not step_id:
            raise ConfigurationError(f'step_id = {step_id!r}: give it an id, such as "follow-up"')
        if not isinstance(cast(object, function), Invocable) or not function.takes_deferrals:
            raise ConfigurationError(
                f'defer "{step_id}": function = {function!r}: give what create_function made of a'
                " handler with trigger=TriggerDefer(...)"
            )
        call = self._call
        if call is None:
            raise ConfigurationError(
                f'defer "{step_id}": this context belongs to no call of a function: run the'
                " function with the test kit"
            )
        try:
            payload = call.fit(encode_any({} if data is None else data))
        except CodecError as error:
            raise ConfigurationError(f'defer "{step_id}": data: {error}') from None
        if bytes(payload)[:1] != b"{":
            raise ConfigurationError(
                f'defer "{step_id}": data: {type(data).__name__} is no object; wrap it, as in'
                " {'value': ...}"
            )
        name = call.name_deferral(step_id)
        call.deferrals.add(name, step_id, function.id, payload)
        return Deferred(call, name, step_id)
