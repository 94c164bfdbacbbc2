"""How users declare functions: the options every form of it takes, and the types of decorators."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Concatenate, Protocol, TypeAlias, TypedDict, TypeVar, overload

from stepwell.sdk.client.argument import FUNCTION, problem_of
from stepwell.sdk.errors import FunctionConfigInvalidError
from stepwell.sdk.events.event import Event
from stepwell.sdk.function.function import Function
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
from stepwell.sdk.function.trigger import Trigger, TriggerCron, TriggerEvent
from stepwell.sdk.function.wire import FunctionOptions
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sdk.step.limit import Limit, LimitBy
from stepwell.sdk.step.port import Takes
from stepwell.sdk.value.codec import UNSPECIFIED
from stepwell.sdk.value.serializer import Serializer

T = TypeVar("T")
E = TypeVar("E")
Given = TypeVar("Given", bound=Context[Any])
GivenSync = TypeVar("GivenSync", bound=ContextSync[Any])
In_contra = TypeVar("In_contra", contravariant=True)

Untyped: TypeAlias = "TriggerEvent[Event, Mapping[str, object]] | TriggerCron"
"""Triggers that say nothing of the event's data. Text: Pydantic would build a model of it, and look
through all that is installed for its plugins first."""
OnFailure: TypeAlias = Callable[[Context[Any]], Any] | Callable[[ContextSync[Any]], Any]
"""A handler for runs that failed."""


class FunctionDecorator(Protocol):
    """Turns a handler, `async def` or `def`, into a Function.

    Triggers name events; which data they have is the handler's word: `Context[Event[OrderPaid]]`
    is judged before it is called.
    """

    @overload
    def __call__(
        self, handler: Callable[Concatenate[Given, ...], Awaitable[T]], /
    ) -> Function[T]: ...

    @overload
    def __call__(self, handler: Callable[Concatenate[GivenSync, ...], T], /) -> Function[T]: ...


class TypedDecorator(Protocol[E, In_contra]):
    """Turns a handler of these events, `async def` or `def`, into a Function."""

    @overload
    def __call__(
        self, handler: Callable[[Context[E]], Awaitable[T]], /
    ) -> Function[T, Takes[In_contra]]: ...

    @overload
    def __call__(
        self, handler: Callable[Concatenate[ContextSync[E], ...], T], /
    ) -> Function[T, Takes[In_contra]]: ...


class DeclaredOptions(TypedDict, total=False):
    """The options of a function besides its id and triggers; see `create_function`."""

    backlog: Backlog | None
    batch_events: Batch | None
    cancel: list[Cancel] | None
    checkpointing: bool | None
    code_version: str | None
    concurrency: list[Concurrency] | None
    debounce: Debounce | None
    description: str | None
    fairness: Fairness | None
    idempotency: str | None
    limits: Sequence[Limit | LimitBy] | None
    middleware: list[MiddlewareFactory] | None
    name: str | None
    non_retriable: Sequence[type[Exception]]
    on_code_change: OnCodeChange | None
    on_failure: OnFailure | None
    output_type: object
    priority: Priority | None
    rate_limit: RateLimit | None
    reraise: Sequence[type[Exception]]
    retries: int | None
    run_concurrency: list[Concurrency] | None
    singleton: Singleton | None
    throttle: Throttle | None
    timeouts: Timeouts | None


def declare(
    app_id: str,
    fn_id: str,
    triggers: Sequence[Trigger],
    handler: Callable[..., Any],
    options: DeclaredOptions,
    serializer: Serializer | None,
) -> Function[Any]:
    """Make a Function of a handler and its options. Raises FunctionConfigInvalidError."""
    problem = problem_of(options, FUNCTION)
    if problem is not None:
        raise FunctionConfigInvalidError(f'function "{fn_id}": {problem}')
    return Function(
        FunctionOptions(
            app_id=app_id,
            fn_id=fn_id,
            name=options.get("name"),
            description=options.get("description"),
            triggers=tuple(triggers),
            backlog=options.get("backlog"),
            batch_events=options.get("batch_events"),
            cancel=tuple(options.get("cancel") or ()),
            code_version=options.get("code_version"),
            concurrency=tuple(options.get("concurrency") or ()),
            debounce=options.get("debounce"),
            fairness=options.get("fairness"),
            idempotency=options.get("idempotency"),
            limits=tuple(options.get("limits") or ()),
            on_code_change=options.get("on_code_change"),
            priority=options.get("priority"),
            rate_limit=options.get("rate_limit"),
            retries=options.get("retries"),
            run_concurrency=tuple(options.get("run_concurrency") or ()),
            singleton=options.get("singleton"),
            throttle=options.get("throttle"),
            timeouts=options.get("timeouts"),
        ),
        handler,
        on_failure=options.get("on_failure"),
        output_type=options.get("output_type", UNSPECIFIED),
        middleware=options.get("middleware") or (),
        serializer=serializer,
        non_retriable=options.get("non_retriable", ()),
        reraise=options.get("reraise", ()),
        checkpointing=options.get("checkpointing"),
    )


def refuse_function(handler: object) -> None:
    """Refuse what is a function already. Raises FunctionConfigInvalidError."""
    if isinstance(handler, Function):
        raise FunctionConfigInvalidError(
            f'function "{handler.local_id}": one decorator makes one function of a handler: remove'
            " the others, and name all that starts it in one, as in create_function(fn_id=...,"
            ' trigger=[TriggerEvent(event="a"), TriggerEvent(event="b")])'
        )


def id_of(handler: Callable[..., Any]) -> str:
    """The function id a handler's own name gives: `send_mail` becomes `send-mail`."""
    name = getattr(inspect.unwrap(handler), "__name__", "")
    if not name or not name.isidentifier():
        raise FunctionConfigInvalidError(
            f"{handler!r} has no name to make a function id of; pass fn_id="
        )
    return name.strip("_").replace("_", "-")
