"""The decorators that make functions of handlers: what a client is to whoever declares functions.

The only place for their signatures, which tell checkers the events a handler receives.
"""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast, overload

from typing_extensions import TypeVar, Unpack

from stepwell.sdk.client.argument import problem_of, similar
from stepwell.sdk.client.declare import (
    DeclaredOptions,
    FunctionDecorator,
    OnFailure,
    TypedDecorator,
    Untyped,
    declare,
    id_of,
    refuse_function,
)
from stepwell.sdk.errors import FunctionConfigInvalidError
from stepwell.sdk.events.schemas import EventSchemas
from stepwell.sdk.events.source import EventSource
from stepwell.sdk.function.function import Function, check_id
from stepwell.sdk.function.middleware_factory import MiddlewareFactory
from stepwell.sdk.function.option import (
    Backlog,
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    Fairness,
    OnCodeChange,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
)
from stepwell.sdk.function.trigger import Trigger, TriggerCron, TriggerEvent, as_trigger
from stepwell.sdk.middleware.enrol import enrolled
from stepwell.sdk.step.limit import Limit, LimitBy
from stepwell.sdk.value.codec import UNSPECIFIED
from stepwell.sdk.value.serializer import Serializer

if TYPE_CHECKING:
    from stepwell.sdk.events.internal import FunctionFailedEvent

E = TypeVar("E")
E2 = TypeVar("E2")
E3 = TypeVar("E3")
E4 = TypeVar("E4")
D = TypeVar("D")
D2 = TypeVar("D2")
D3 = TypeVar("D3")
D4 = TypeVar("D4")


class Declarer:
    """Declares the functions of an app; `Inngest` is one."""

    app_id: str
    serializer: Serializer | None
    schemas: EventSchemas | None
    _declared: tuple[Function[Any], ...] = ()

    @property
    def functions(self) -> tuple[Function[Any], ...]:
        """What was declared with it so far, in order: what a worker of it serves by default."""
        return self._declared

    # A trigger that says nothing of data is an event source as well: the order decides.
    @overload
    def create_function(
        self,
        *,
        fn_id: str,
        trigger: "Untyped | Sequence[Untyped]",
        **options: Unpack[DeclaredOptions],
    ) -> FunctionDecorator: ...

    @overload
    def create_function(
        self,
        *,
        fn_id: str,
        trigger: EventSource[E, D],
        **options: Unpack[DeclaredOptions],
    ) -> TypedDecorator[E, D]: ...

    @overload
    def create_function(
        self,
        *,
        fn_id: str,
        trigger: tuple[EventSource[E, D], EventSource[E2, D2]],
        **options: Unpack[DeclaredOptions],
    ) -> TypedDecorator[E | E2, D | D2]: ...

    @overload
    def create_function(
        self,
        *,
        fn_id: str,
        trigger: tuple[EventSource[E, D], EventSource[E2, D2], EventSource[E3, D3]],
        **options: Unpack[DeclaredOptions],
    ) -> TypedDecorator[E | E2 | E3, D | D2 | D3]: ...

    @overload
    def create_function(
        self,
        *,
        fn_id: str,
        trigger: tuple[
            EventSource[E, D], EventSource[E2, D2], EventSource[E3, D3], EventSource[E4, D4]
        ],
        **options: Unpack[DeclaredOptions],
    ) -> TypedDecorator[E | E2 | E3 | E4, D | D2 | D3 | D4]: ...

    @overload
    def create_function(
        self,
        *,
        fn_id: str,
        trigger: Sequence[EventSource[E, D]],
        **options: Unpack[DeclaredOptions],
    ) -> TypedDecorator[E, D]: ...

    @overload
    def create_function(
        self,
        *,
        fn_id: str,
        trigger: EventSource[Any, Any] | Sequence[EventSource[Any, Any]],
        handler: Callable[..., Any],
        **options: Unpack[DeclaredOptions],
    ) -> Function[Any]: ...

    def create_function(
        self,
        *,
        backlog: Backlog | None = None,
        batch_events: Batch | None = None,
        cancel: list[Cancel] | None = None,
        checkpointing: bool | None = None,
        code_version: str | None = None,
        concurrency: list[Concurrency] | None = None,
        debounce: Debounce | None = None,
        description: str | None = None,
        fairness: Fairness | None = None,
        fn_id: str,
        idempotency: str | None = None,
        limits: Sequence[Limit | LimitBy] | None = None,
        middleware: list[MiddlewareFactory] | None = None,
        name: str | None = None,
        on_code_change: OnCodeChange | None = None,
        on_failure: OnFailure | None = None,
        output_type: object = UNSPECIFIED,
        priority: Priority | None = None,
        rate_limit: RateLimit | None = None,
        retries: int | None = None,
        run_concurrency: list[Concurrency] | None = None,
        throttle: Throttle | None = None,
        timeouts: Timeouts | None = None,
        singleton: Singleton | None = None,
        non_retriable: Sequence[type[Exception]] = (),
        reraise: Sequence[type[Exception]] = (),
        trigger: EventSource[Any, Any] | Sequence[EventSource[Any, Any]],
        handler: Callable[..., Any] | None = None,
        **unknown: object,
    ) -> Any:
        """Make a durable function of the handler this decorates, `async def` or `def`.

        Args:
            backlog: How many runs may wait for their first call.
            batch_events: Start one run for several events.
            cancel: Events that cancel a run.
            checkpointing: Save finished steps while a call goes on; by default as the client does.
            code_version: What its code is called, up to 64 characters; by default a fingerprint
                of the handler.
            concurrency: How many steps may run at once; up to two entries.
            debounce: Start when no more events come.
            description: What the function is for, up to 2,000 characters; people are shown it.
            fairness: Whose turn it is among the values of a key.
            fn_id: The function's id within the app; changing it makes another function of it.
            idempotency: Expression; the same value starts only once in 24 hours.
            limits: Named limits its calls stand under, shared with whoever names them; up to 5.
            middleware: Middleware of this function, inside the client's.
            name: What people are shown; the id by default.
            on_code_change: What becomes of runs that other code began: "continue" (the default),
                "pin", "pause" or "restart". Ours: with other servers they go on.
            on_failure: Handler that runs when a run has failed.
            output_type: Type of the result, for the serializer; else the annotation counts.
            priority: Which runs go first.
            rate_limit: Drop starts above a rate.
            retries: Tries after the first one of each step, 0 to 20, default 4.
            run_concurrency: How many runs may be under way at once, sleeps and waits included.
            throttle: Delay starts above a rate.
            timeouts: How long a run may wait and last.
            singleton: One run at a time.
            non_retriable: Exceptions after which no further try makes sense, as classes.
            reraise: Exceptions of steps that the handler can catch as what they are, as classes;
                the StepError that a failed step raises is then one of these, too.
            trigger: The event or schedule that starts it, or several of them. Event types make
                the handler's events typed; several of different types belong in a tuple.
            handler: The handler itself, where nothing is decorated: the function is returned.

        Raises FunctionConfigInvalidError naming the option, its value and the fix, TypeError for an
        option there is not.
        """
        check_id(fn_id)
        several = isinstance(trigger, list | tuple)
        given = cast("Sequence[EventSource[Any, Any]]", trigger if several else [trigger])
        decorate = self._decorator(
            fn_id,
            list(map(as_trigger, given)),
            {
                "backlog": backlog,
                "batch_events": batch_events,
                "cancel": cancel,
                "checkpointing": checkpointing,
                "code_version": code_version,
                "concurrency": concurrency,
                "debounce": debounce,
                "description": description,
                "fairness": fairness,
                "idempotency": idempotency,
                "limits": limits,
                "middleware": middleware,
                "name": name,
                "non_retriable": non_retriable,
                "on_code_change": on_code_change,
                "on_failure": on_failure,
                "output_type": output_type,
                "priority": priority,
                "rate_limit": rate_limit,
                "reraise": reraise,
                "retries": retries,
                "run_concurrency": run_concurrency,
                "singleton": singleton,
                "throttle": throttle,
                "timeouts": timeouts,
                **cast(DeclaredOptions, unknown),
            },
        )
        return decorate if handler is None else decorate(handler)

    @overload
    def on(
        self,
        event: str,
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[DeclaredOptions],
    ) -> FunctionDecorator: ...

    @overload
    def on(
        self,
        event: EventSource[E, D],
        *,
        fn_id: str | None = ...,
        expression: str | None = ...,
        **options: Unpack[DeclaredOptions],
    ) -> TypedDecorator[E, D]: ...

    def on(
        self,
        event: str | EventSource[Any, Any],
        *,
        fn_id: str | None = None,
        expression: str | None = None,
        **options: Unpack[DeclaredOptions],
    ) -> Any:
        """Short form: run the handler for events of this name or type.

        `fn_id` is the handler's name by default, with dashes; the options are create_function's.
        """
        trigger: TriggerEvent[Any, Any]
        if isinstance(event, str):
            trigger = TriggerEvent(event=event, expression=expression)
        else:
            trigger = TriggerEvent(event=event, expression=expression)
        return self._decorator(fn_id, [trigger], options)

    def cron(
        self,
        schedule: str,
        *,
        fn_id: str | None = None,
        jitter: str | None = None,
        tz: str | None = None,
        **options: Unpack[DeclaredOptions],
    ) -> FunctionDecorator:
        """Short form: run the handler by the clock, such as "TZ=Europe/Paris 0 9 * * 1-5".

        `fn_id` is the handler's name by default, with dashes; the options are create_function's.
        """
        return self._decorator(fn_id, [TriggerCron(cron=schedule, jitter=jitter, tz=tz)], options)

    def on_any_failure(
        self,
        *,
        app_id: str | None = None,
        fn_id: str | None = None,
        **options: Unpack[DeclaredOptions],
    ) -> "TypedDecorator[FunctionFailedEvent, Any]":
        """Short form: run the handler when any run failed for good, of one app or of all.

        Runs of this function itself start it no further. `fn_id` is the handler's name by default,
        with dashes; the options are create_function's.
        """
        from stepwell.sdk.events.internal import FunctionFailedEvent  # noqa: PLC0415 - many models, for few

        problem = problem_of({"app_id": app_id}, {"app_id": ((str,), "text")})
        if problem is not None:
            raise FunctionConfigInvalidError(problem)
        of_app = None if app_id is None else f"event.data.function_id.startsWith({_quoted(app_id)})"
        trigger: Trigger = TriggerEvent(event=FunctionFailedEvent, expression=of_app)
        return cast(
            "TypedDecorator[FunctionFailedEvent, Any]", self._decorator(fn_id, [trigger], options)
        )

    def _decorator(
        self, fn_id: str | None, triggers: list[Trigger], options: DeclaredOptions
    ) -> FunctionDecorator:
        unknown = sorted(options.keys() - DeclaredOptions.__annotations__.keys())
        if unknown:
            meant = similar(unknown[0], DeclaredOptions.__annotations__)
            known = ", ".join(sorted(DeclaredOptions.__annotations__))
            raise TypeError(
                f"{', '.join(unknown)}: a function has no such option{meant}; there are {known}"
            )
        self._check_names(fn_id, triggers, options)

        def decorate(handler: Callable[..., Any], /) -> Function[Any]:
            refuse_function(handler)
            name = id_of(handler) if fn_id is None else fn_id
            made = declare(self.app_id, name, triggers, handler, options, self.serializer)
            made.use(enrolled(made.middleware, self, made))
            self._declared = (*self._declared, made)
            return made

        return decorate

    def _check_names(
        self, fn_id: str | None, triggers: Sequence[Trigger], options: DeclaredOptions
    ) -> None:
        """Events that nobody defined are refused where schemas are closed."""
        if self.schemas is None:
            return
        named = [("trigger", t.event) for t in triggers if isinstance(t, TriggerEvent)]
        named += [("cancel", cancel.event) for cancel in options.get("cancel") or ()]
        for field, name in named:
            problem = self.schemas.problem_of_listening(name)
            if problem is not None:
                raise FunctionConfigInvalidError(f'function "{fn_id}": {field}: {problem}')


def _quoted(app_id: str) -> str:
    """The beginning of an app's function ids, as text in CEL."""
    return json.dumps(f"{app_id}-", ensure_ascii=False)
