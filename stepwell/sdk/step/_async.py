"""The step tools of coroutine handlers: `ctx.step`.

Thin: what a step means is in `ask.py`, what becomes of it in `sdk/execution`.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, TypeVarTuple, overload

from stepwell.sdk.events.event import Event, MinimalEvent
from stepwell.sdk.events.source import EventSource, NoData, ObjectLike
from stepwell.sdk.realtime.publishing import publication_of
from stepwell.sdk.realtime.topic import Topic
from stepwell.sdk.send.outgoing import Sendable
from stepwell.sdk.step import annotation, ask, inference, option
from stepwell.sdk.step.annotation import ExperimentRef, MetadataOp, Said
from stepwell.sdk.step.ask import Fetched, Signal
from stepwell.sdk.step.inference import AnyBody, InferenceAdapter, TypedAdapter
from stepwell.sdk.step.limit import Limit, LimitTake
from stepwell.sdk.step.port import CallPort, Invocable, StepClient, Takes
from stepwell.sdk.value.codec import UNSPECIFIED, codec_of
from stepwell.sdk.value.duration import Duration
from stepwell.wire.function_config import composite_id

T = TypeVar("T")
E = TypeVar("E")
D = TypeVar("D", bound=ObjectLike)
BodyT = TypeVar("BodyT", bound=AnyBody)
Args = TypeVarTuple("Args")

_IDS = codec_of(list[str])


class Step:
    """What a function does durably. Every method is one step: run once, remembered for ever.

    `step_id` names a step within its function; the same id may be used again, in loops for
    instance. `name` is shown to people instead of it.
    """

    def __init__(self, call: CallPort, client: StepClient) -> None:
        self._call = call
        self._client = client
        self.ai = AI(call)
        """Steps that ask models."""
        self.realtime = StepRealtime(call, client)
        """Steps that tell subscribers."""

    @property
    def idempotency_key(self) -> str:
        """A text that is the same whenever the step it is read in is tried; for payment APIs, say.

        Only inside a step's handler.
        """
        return f"{self._call.run_id}-{ask.running_step().hashed}"

    @overload
    async def run(
        self,
        step_id: str,
        handler: Callable[[*Args], Awaitable[T]],
        *handler_args: *Args,
        output_type: object = ...,
        name: str | None = ...,
        limits: Sequence[Limit | LimitTake] = ...,
    ) -> T: ...

    @overload
    async def run(
        self,
        step_id: str,
        handler: Callable[[*Args], T],
        *handler_args: *Args,
        output_type: object = ...,
        name: str | None = ...,
        limits: Sequence[Limit | LimitTake] = ...,
    ) -> T: ...

    async def run(
        self,
        step_id: str,
        handler: Callable[[*Args], Any],
        *handler_args: *Args,
        output_type: object = UNSPECIFIED,
        name: str | None = None,
        limits: Sequence[Limit | LimitTake] = (),
        **unknown: object,
    ) -> Any:
        """Run `handler(*handler_args)` once and remember what it returned.

        The result travels as JSON by the handler's return annotation, or by `output_type`; what is
        returned here is what every later call of the function gets too. What the handler raises is
        tried again by the server; when that is in vain, StepError is raised here. A plain function
        runs in a thread.

        With `limits` the step begins when all of them have room, in a call of its own.
        """
        if unknown:
            raise ask.no_option(step_id, unknown, ("limits", "name", "output_type"))
        if not callable(handler):
            raise ask.no_handler(step_id, handler)
        asked = ask.run(step_id, name, limits=limits)
        return await self._call.run_step(asked, handler, handler_args, output_type)

    async def send_event(
        self, step_id: str, events: Sendable | Iterable[Sendable], *, name: str | None = None
    ) -> list[str]:
        """Send events once; returns their ids in order. Tried again, it sends the same events."""

        async def send() -> list[str]:
            seed = ask.event_seed(self._call.run_id, ask.running_step())
            return await self._client.send_in_run(events, seed=seed, hooks=self._call.hooks)

        found: list[str] = await self._call.run_step(
            ask.run(step_id, name, option.SEND_EVENT), send, (), list[str]
        )
        return found

    async def sleep(self, step_id: str, duration: Duration, *, name: str | None = None) -> None:
        """Go on after a time: milliseconds, a timedelta, or text such as "1h30m"."""
        await self._call.perform(ask.sleep(step_id, name, duration))

    async def sleep_until(
        self, step_id: str, until: dt.datetime, *, name: str | None = None
    ) -> None:
        """Go on at an instant; at once if it is past."""
        await self._call.perform(ask.sleep_until(step_id, name, until))

    @overload
    async def wait_for_event(
        self,
        step_id: str,
        *,
        event: str,
        if_exp: str | None = ...,
        timeout: Duration,
        match: str | None = ...,
        name: str | None = ...,
        look_back: bool = ...,
    ) -> Event | None: ...

    @overload
    async def wait_for_event(
        self,
        step_id: str,
        *,
        event: EventSource[E, object],
        if_exp: str | None = ...,
        timeout: Duration,
        match: str | None = ...,
        name: str | None = ...,
        look_back: bool = ...,
    ) -> E | None: ...

    async def wait_for_event(
        self,
        step_id: str,
        *,
        event: str | EventSource[Any, Any],
        if_exp: str | None = None,
        timeout: Duration,
        match: str | None = None,
        name: str | None = None,
        look_back: bool = False,
    ) -> Any:
        """Go on when an event arrives, or with None when time ran out.

        `event` is a name, or an event type: then the result is typed, and StepError is raised for
        an event that does not fit. `if_exp` is a condition in CEL over `event`, which started the
        function, and `async`, which arrives; `match="data.id"` is short for the two being equal
        there. With `look_back` an event that arrived since the run began counts, too, unless it
        ended an earlier wait of the run; only Stepwell's server looks back.
        """
        schemas = self._client.schemas
        asked = ask.wait_for_event(
            step_id, name, event, if_exp, match, timeout, schemas, look_back=look_back
        )
        found = await self._call.perform(asked)
        return ask.awaited_event(step_id, found, event, schemas)

    @overload
    async def invoke(
        self,
        step_id: str,
        *,
        function: Invocable[T, Takes[D]],
        data: "D | MinimalEvent[D]",
        timeout: Duration | None = ...,
        v: str | None = ...,
        user: Mapping[str, object] | None = ...,
        meta: Mapping[str, object] | None = ...,
        name: str | None = ...,
    ) -> T: ...

    @overload
    async def invoke(
        self,
        step_id: str,
        *,
        function: Invocable[T, Takes[Mapping[str, object]]],
        data: "Mapping[str, object] | MinimalEvent[Mapping[str, object]] | None" = ...,
        timeout: Duration | None = ...,
        v: str | None = ...,
        user: Mapping[str, object] | None = ...,
        meta: Mapping[str, object] | None = ...,
        name: str | None = ...,
    ) -> T: ...

    @overload
    async def invoke(
        self,
        step_id: str,
        *,
        function: Invocable[T, Takes[NoData]],
        data: None = ...,
        timeout: Duration | None = ...,
        v: str | None = ...,
        user: Mapping[str, object] | None = ...,
        meta: Mapping[str, object] | None = ...,
        name: str | None = ...,
    ) -> T: ...

    async def invoke(
        self,
        step_id: str,
        *,
        function: Invocable[Any, Any],
        data: object = None,
        timeout: Duration | None = None,
        v: str | None = None,
        user: Mapping[str, object] | None = None,
        meta: Mapping[str, object] | None = None,
        name: str | None = None,
    ) -> Any:
        """Run another function and wait for its result. If it fails, StepError is raised here.

        `data` is what the function's triggers take; `v` and `user` go with it, or all of them as a
        `MinimalEvent`. `meta` names sessions of its run, as an event's does: they win over those it
        inherits from this one.
        """
        target = ask.given_function(step_id, function, data).id
        asked = ask.invoke(step_id, name, target, data, timeout, v, user, meta, fit=self._call.fit)
        data = await self._call.perform(asked)
        return ask.invoked(step_id, target, function.codec, data)

    async def invoke_by_id(
        self,
        step_id: str,
        *,
        app_id: str | None = None,
        function_id: str,
        data: "Mapping[str, object] | MinimalEvent[Any] | None" = None,
        timeout: Duration | None = None,
        v: str | None = None,
        user: Mapping[str, object] | None = None,
        meta: Mapping[str, object] | None = None,
        name: str | None = None,
    ) -> object:
        """Run a function of any app, by default this one, and wait for its result."""
        target = composite_id(app_id or self._client.app_id, function_id)
        asked = ask.invoke(step_id, name, target, data, timeout, v, user, meta, fit=self._call.fit)
        return codec_of(object).decode(await self._call.perform(asked))

    async def wait_for_signal(
        self,
        step_id: str,
        *,
        signal: str,
        timeout: Duration | None = None,
        on_conflict: Literal["fail", "replace"] = "fail",
        name: str | None = None,
    ) -> Signal | None:
        """Go on when a signal is sent, or with None when time ran out (a year, if not given).

        Only one run can wait for a signal: a second one fails, or takes the place of the first.
        """
        asked = ask.wait_for_signal(step_id, name, signal, timeout, on_conflict)
        return ask.awaited_signal(await self._call.perform(asked))

    async def send_signal(
        self, step_id: str, *, signal: str, data: object = None, name: str | None = None
    ) -> str | None:
        """Send a signal once; returns the id of the run that waited for it, None if none did."""

        async def send() -> str | None:
            return await self._client.send_signal(signal, data)

        found: str | None = await self._call.run_step(
            ask.run(step_id, name, option.SEND_SIGNAL), send, (), UNSPECIFIED
        )
        return found

    async def fetch(
        self,
        step_id: str,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: object = None,
        name: str | None = None,
    ) -> Fetched:
        """Have the server make an HTTP request; nothing here waits for it meanwhile."""
        asked = ask.fetch(step_id, name, url, method, headers, body)
        return ask.fetched(await self._call.perform(asked))

    async def score(
        self,
        memoization_id: str,
        /,
        *,
        name: str,
        value: float,
        run_id: str | None = None,
        step_id: str | None = None,
        experiment: ExperimentRef | None = None,
    ) -> None:
        """Say once how good this run was: a number, or True or False, under a name.

        The first argument is the id of the step that says it. `run_id` names another run,
        `step_id` the step it is about, by its id in the code. `experiment` is the `experiment_ref`
        of what `ctx.group.experiment` gave, for a score of that variant. Raises what
        `client.score` does.
        """
        said = annotation.score(name, value, run_id=run_id, step_id=step_id, experiment=experiment)
        await self._annotate(memoization_id, said)

    async def metadata(
        self,
        memoization_id: str,
        /,
        values: Mapping[str, object],
        *,
        kind: str = "default",
        op: MetadataOp = "set",
        run_id: str | None = None,
        step_id: str | None = None,
        step_index: int = 0,
        attempt: int | None = None,
        span_id: str | None = None,
    ) -> None:
        """Say something of this run once: it is shown with it, under the name `kind`.

        The first argument is the id of the step that says it. `run_id` names another run,
        `step_id` a step, by its id in the code and how often that was met before (`step_index`);
        `attempt` one of its tries, `span_id` a span. Raises what `client.metadata` does.
        """
        said = annotation.metadata(
            values,
            kind=kind,
            op=op,
            run_id=run_id,
            step_id=step_id,
            step_index=step_index,
            attempt=attempt,
            span_id=span_id,
        )
        await self._annotate(memoization_id, said)

    async def _annotate(self, memoization_id: str, said: Said) -> None:
        told = annotation.of_this_run(said, self._call.run_id)

        async def say() -> None:
            await self._client.annotations.say(told)

        await self._call.run_step(ask.run(memoization_id, None), say, (), UNSPECIFIED)


class StepRealtime:
    """Steps that tell subscribers: `ctx.step.realtime`."""

    def __init__(self, call: CallPort, client: StepClient) -> None:
        self._call = call
        self._client = client

    async def publish(
        self, step_id: str, topic: Topic[T], data: T, *, name: str | None = None
    ) -> T:
        """Tell data to the subscribers of a topic once, however often the function is called;
        returns it."""

        async def tell() -> T:
            publication = publication_of(topic, data, self._call.run_id)
            await self._client.publish_in_run(publication)
            return data

        found: T = await self._call.run_step(
            ask.run(step_id, name, option.PUBLISH), tell, (), topic.kind
        )
        return found


class AI:
    """Steps that ask models: `ctx.step.ai`."""

    def __init__(self, call: CallPort) -> None:
        self._call = call

    @overload
    async def infer(
        self,
        step_id: str,
        *,
        adapter: TypedAdapter[BodyT, T],
        body: BodyT,
        name: str | None = ...,
    ) -> T: ...

    @overload
    async def infer(
        self,
        step_id: str,
        *,
        adapter: InferenceAdapter,
        body: dict[str, object],
        name: str | None = ...,
    ) -> dict[str, object]: ...

    async def infer(
        self, step_id: str, *, adapter: InferenceAdapter, body: Any, name: str | None = None
    ) -> Any:
        """Have the server ask a provider; returns the provider's JSON.

        With a body of the provider's type, such as `openai.Body(messages=[...])`, the answer has a
        type, too.
        """
        asked = inference.infer(step_id, name, adapter, body, fit=self._call.fit)
        return inference.inferred(adapter, body, await self._call.perform(asked))

    @overload
    async def wrap(
        self,
        step_id: str,
        handler: Callable[[*Args], Awaitable[T]],
        *handler_args: *Args,
        output_type: object = ...,
        name: str | None = ...,
    ) -> T: ...

    @overload
    async def wrap(
        self,
        step_id: str,
        handler: Callable[[*Args], T],
        *handler_args: *Args,
        output_type: object = ...,
        name: str | None = ...,
    ) -> T: ...

    async def wrap(
        self,
        step_id: str,
        handler: Callable[[*Args], Any],
        *handler_args: *Args,
        output_type: object = UNSPECIFIED,
        name: str | None = None,
        **unknown: object,
    ) -> Any:
        """Run a client library's own call as a step; its arguments and result are shown."""
        if unknown:
            raise ask.no_option(step_id, unknown, ("name", "output_type"))
        if not callable(handler):
            raise ask.no_handler(step_id, handler)
        asked = ask.run(step_id, name, option.WRAP)
        return await self._call.run_step(asked, handler, handler_args, output_type)
