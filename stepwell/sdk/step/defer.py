"""Functions that are started when the run has ended: `ctx.defer`.

The only place that judges what may be deferred. What is deferred travels with the next steps that
are saved, or with the answer of the call; a server that knows of it already says so, and takes it
once.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar, cast, overload

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.events.source import NoData, ObjectLike
from stepwell.sdk.step.annotation import ExperimentRef
from stepwell.sdk.step.identity import StepName
from stepwell.sdk.step.meta import meta_of
from stepwell.sdk.step.port import Invocable, Takes
from stepwell.sdk.value.codec import CodecError, encode_any
from stepwell.wire.identifier import step_hash
from stepwell.wire.limit import DEFER_INPUT_BYTES_MAX, DEFERS_PER_RUN_MAX
from stepwell.wire.operation import EMPTY_OBJECT, DeferAbort, DeferAdd, Operation, Userland

D = TypeVar("D", bound=ObjectLike)

EXPERIMENT_KEY = "_inngestExperiment"
"""Where SDKs put, beside the data, the variant that a deferral is about."""
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class DeferPort(Protocol):
    """The call that something is deferred in: `sessions` are those that what it starts inherits,
    `holds_sessions_back` says that there are others, which nothing inherits."""

    deferrals: "Deferrals"
    sessions: Mapping[str, str]
    holds_sessions_back: bool

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
        self._known = dict(known)
        self._new: dict[str, Operation] = {}
        self._bytes = 0

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What the server does not know yet."""
        return tuple(self._new.values())

    def kept(self, operations: Iterable[Operation]) -> None:
        """The server knows these now."""
        for one in operations:
            if isinstance(one, DeferAdd):
                self._known.setdefault(one.id, True)
            elif isinstance(one, DeferAbort):
                self._known[one.target_id] = False
            if self._new.get(one.id) is one:
                del self._new[one.id]

    def add(
        self,
        name: StepName,
        step_id: str,
        function_id: str,
        data: msgspec.Raw,
        meta: msgspec.Raw | None,
    ) -> None:
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
            userland=Userland(step_id, name.index),
            function_slug=function_id,
            input=data,
            meta=meta,
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
            id=slot,
            name=step_id,
            display_name=step_id,
            userland=Userland(step_id, name.index),
            target_id=name.hashed,
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
        self,
        step_id: str,
        *,
        function: Invocable[Any, Takes[D]],
        data: D,
        meta: Mapping[str, object] | None = ...,
        experiment: ExperimentRef | None = ...,
    ) -> Deferred: ...

    @overload
    def __call__(
        self,
        step_id: str,
        *,
        function: Invocable[Any, Takes[Mapping[str, object]]],
        data: Mapping[str, object] | None = ...,
        meta: Mapping[str, object] | None = ...,
        experiment: ExperimentRef | None = ...,
    ) -> Deferred: ...

    @overload
    def __call__(
        self,
        step_id: str,
        *,
        function: Invocable[Any, Takes[NoData]],
        data: None = ...,
        meta: Mapping[str, object] | None = ...,
        experiment: ExperimentRef | None = ...,
    ) -> Deferred: ...

    def __call__(
        self,
        step_id: str,
        *,
        function: Invocable[Any, Any],
        data: object = None,
        meta: Mapping[str, object] | None = None,
        experiment: ExperimentRef | None = None,
    ) -> Deferred:
        """Have `function`, which has a `TriggerDefer`, started with `data` once this run has ended.

        What a call defers is kept with the next step that is saved or reported, or with the
        function's end; a call that fails outside of steps leaves nothing since its last step.
        `.abort()` of what is returned takes it back. At most 20 in a run, with 4 MiB of data in
        all. Not inside a step: StepNestedError ends the call there.

        Args:
            step_id: Names it within the run, as a step's does; the same id may be used again.
            function: What `create_function` made with a `TriggerDefer`.
            data: What that takes: an object.
            meta: Sessions of its run, as an event's: `{"sessions": {"chat": "42"}}`. They win over
                those it inherits from this run; None in place of an id removes an inherited one.
            experiment: A variant that this run went, told in the `ctx.parents` of the other.

        Raises ConfigurationError for a function that is not to be deferred, and for data that is no
        object or too much.
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
        if experiment is not None:
            payload = _about(step_id, payload, experiment)
        told = meta_of(f'defer "{step_id}"', meta, call.sessions)
        if told is None and call.holds_sessions_back:
            told = EMPTY_OBJECT
        name = call.name_deferral(step_id)
        call.deferrals.add(name, step_id, function.id, payload, told)
        return Deferred(call, name, step_id)


def _about(step_id: str, payload: msgspec.Raw, experiment: object) -> msgspec.Raw:
    """The data with the variant it is about, which the other run's context tells."""
    if not isinstance(experiment, ExperimentRef):
        raise ConfigurationError(
            f'defer "{step_id}": experiment = {experiment!r}: give the experiment_ref of what'
            " ctx.group.experiment gave"
        )
    fields = _FIELDS.decode(payload)
    fields[EXPERIMENT_KEY] = msgspec.Raw(msgspec.json.encode(experiment))
    return msgspec.Raw(msgspec.json.encode(fields))
