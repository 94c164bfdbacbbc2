"""A declared function: its options, its handler, and what is registered of it.

The only place for the rules that join options into one declaration; what users call is
`client.create_function`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast, get_origin

import msgspec
from typing_extensions import TypeVar

from stepwell.sdk.errors import FunctionConfigInvalidError, Place, StepError, warn
from stepwell.sdk.events.incoming import Intake
from stepwell.sdk.events.source import EventKind
from stepwell.sdk.function.dependency import filled, needs_of
from stepwell.sdk.function.expression import expression_problems
from stepwell.sdk.function.fingerprint import fingerprint
from stepwell.sdk.function.middleware_factory import MiddlewareFactory
from stepwell.sdk.function.trigger import TriggerDefer
from stepwell.sdk.function.wire import FunctionOptions, function_config, option_name
from stepwell.sdk.step.context import ContextSync
from stepwell.sdk.step.handler import (
    context_asked,
    event_type_asked,
    is_async,
    place_of,
    positional_parameters,
    return_type,
)
from stepwell.sdk.step.port import Invocable
from stepwell.sdk.value.codec import UNSPECIFIED, Codec, CodecError, SerializerCodec, codec_of
from stepwell.sdk.value.reraised import also
from stepwell.sdk.value.serializer import Serializer
from stepwell.wire import function_config as wire
from stepwell.wire.event import FUNCTION_FAILED
from stepwell.wire.function_check import problems
from stepwell.wire.function_config import FunctionConfig

T_co = TypeVar("T_co", covariant=True)
Takes_co = TypeVar("Takes_co", covariant=True, default=Any)

_ANYWHERE = "http://localhost"


class FunctionConfigs(msgspec.Struct, frozen=True):
    """What is registered of one declaration: the function, and its companion for failures."""

    main: FunctionConfig
    on_failure: FunctionConfig | None


class Function(Invocable[T_co, Takes_co]):
    """A durable function. Serve it, or hand it to `step.invoke`; it is not called directly.

    `T_co` is what it returns, `Takes_co` the data it can be invoked with.
    """

    def __init__(
        self,
        options: FunctionOptions,
        handler: Callable[..., Any],
        *,
        on_failure: Callable[..., Any] | None = None,
        output_type: object = UNSPECIFIED,
        middleware: Sequence[MiddlewareFactory] = (),
        serializer: Serializer | None = None,
        non_retriable: Sequence[type[Exception]] = (),
        reraise: Sequence[type[Exception]] = (),
        checkpointing: bool | None = None,
    ) -> None:
        """Declare a function. Raises FunctionConfigInvalidError naming field, value and fix."""
        check_id(options.fn_id)
        kinds = tuple(trigger.__event_kind__() for trigger in options.triggers)
        self._prepare(function_config(options), options.fn_id, handler, kinds)
        self.codec: Codec = _codec(options.fn_id, handler, output_type, serializer)
        self.middleware: tuple[MiddlewareFactory, ...] = tuple(middleware)
        self.non_retriable = _exceptions(options.fn_id, "non_retriable", non_retriable)
        """Exceptions that end the run, or fail the step, at once."""
        self.takes_deferrals = any(isinstance(one, TriggerDefer) for one in options.triggers)
        self.checkpointing = checkpointing
        """Are finished steps saved while a call goes on? None if the client says so."""
        self.reraised = _reraised(options.fn_id, reraise)
        """What failed steps are raised as, by the name of what they raised."""
        self.failure_function: Function[object] | None = None
        """The companion that runs when a run of this function failed; served like any other."""
        if on_failure is not None:
            self.failure_function = self._companion(on_failure)
        found = problems(self._config_at(_ANYWHERE, wire.RUNTIME_HTTP), option_name)
        found += [f"{option_name(f)} {why}" for f, why in expression_problems(self._config)]
        if found:
            raise FunctionConfigInvalidError(f'function "{self.local_id}": {"; ".join(found)}')

    def _prepare(
        self,
        config: FunctionConfig,
        local_id: str,
        handler: Callable[..., Any],
        kinds: Sequence[EventKind[Any, Any]],
    ) -> None:
        self.kinds = tuple(kinds)
        """What its triggers stand for."""
        self.intake = Intake(kinds, event_type_asked(handler))
        """What it takes for events."""
        self._config = config
        self._local_id = local_id
        self._is_async = is_async(handler)
        self._handler = handler
        self._code: str | None = config.code.version or None
        self.place: Place | None = place_of(handler)
        """Where its handler begins; None if it is not written in Python."""
        _check_context(local_id, handler, self._is_async)
        self.entry: Callable[[Any], Any] = _entry(local_id, handler)
        """The handler, called with the context alone."""

    def saves_steps(self, by_default: bool) -> bool:
        """Are finished steps saved while a call goes on?"""
        return by_default if self.checkpointing is None else self.checkpointing

    def use(self, middleware: Sequence[MiddlewareFactory]) -> None:
        """Have this middleware, inside the client's; so has the handler of failures."""
        self.middleware = tuple(middleware)
        if self.failure_function is not None:
            self.failure_function.use(middleware)

    def _companion(self, handler: Callable[..., Any]) -> "Function[object]":
        companion = cast("Function[object]", Function.__new__(Function))
        config = wire.failure_companion(self._config, "")
        failed: EventKind[Any, Any] = EventKind(FUNCTION_FAILED)
        local_id = f"{self.local_id}-failure"
        companion._prepare(config, local_id, handler, (failed,))  # noqa: SLF001 - one of its own
        companion.codec = _codec(companion.local_id, handler, UNSPECIFIED, None)
        companion.middleware = self.middleware
        companion.non_retriable = self.non_retriable
        companion.reraised = self.reraised
        companion.checkpointing = self.checkpointing
        companion.failure_function = None
        return companion

    def __repr__(self) -> str:
        return f"<Function {self.id}>"

    def __call__(self, *_: object, **__: object) -> None:
        """Not to be called: what it would do without a server is nothing durable."""
        raise TypeError(
            f'function "{self.local_id}" is run by the server: send it an event, or invoke it from'
            " another function with ctx.step.invoke"
        )

    @property
    def id(self) -> str:
        """The composite id: `app-function`."""
        return self._config.id

    @property
    def local_id(self) -> str:
        """The id it was declared with."""
        return self._local_id

    def belongs_to(self, app_id: str) -> bool:
        """Whether it was declared with a client of this app; "shop-web-greet" may be a function
        "greet" of "shop-web" or a "web-greet" of "shop"."""
        return self.id == f"{app_id}-{self._local_id}"

    @property
    def name(self) -> str:
        """What people are shown."""
        return self._config.name

    @property
    def code_version(self) -> str:
        """What its code is called: as the option says, or by its fingerprint; empty for a handler
        that is not written in Python. Made when it is first asked for."""
        if self._code is None:
            self._code = fingerprint(self._handler)
        return self._code

    @property
    def is_handler_async(self) -> bool:
        """Is the handler a coroutine function?"""
        return self._is_async

    @property
    def is_on_failure_handler_async(self) -> bool | None:
        """Is the failure handler a coroutine function? None if there is none."""
        companion = self.failure_function
        return None if companion is None else companion.is_handler_async

    @property
    def on_failure_fn_id(self) -> str | None:
        """The composite id of the companion that handles failures, if there is one."""
        companion = self.failure_function
        return None if companion is None else companion.id

    def get_id(self) -> str:
        """The composite id, as `id`."""
        return self.id

    def config(self, serve_url: str, *, runtime: str = wire.RUNTIME_HTTP) -> FunctionConfig:
        """What is registered of this function alone, called below `serve_url`."""
        code = wire.Code(self.code_version, self._config.code.on_change)
        return msgspec.structs.replace(self._config_at(serve_url, runtime), code=code)

    def _config_at(self, serve_url: str, runtime: str) -> FunctionConfig:
        url = wire.call_url(serve_url, self.id)
        return msgspec.structs.replace(self._config, url=url, runtime=runtime)

    def get_config(self, app_url: str) -> FunctionConfigs:
        """What is registered: the function, and its companion if it handles failures."""
        companion = self.failure_function
        return FunctionConfigs(
            self.config(app_url), None if companion is None else companion.config(app_url)
        )

    def served(self) -> "tuple[Function[Any], ...]":
        """Every function the server may call because of this declaration."""
        companion = self.failure_function
        return (self,) if companion is None else (self, companion)


def check_id(fn_id: object) -> None:
    """Refuse what is no id of a function. Raises FunctionConfigInvalidError."""
    if not isinstance(fn_id, str) or not fn_id.strip():
        raise FunctionConfigInvalidError(
            f'fn_id = {fn_id!r}: give the function an id, such as "send-welcome-mail"'
        )


def _check_context(local_id: str, handler: Callable[..., Any], awaits: bool) -> None:
    """Refuse `async def` with the context of blocking code, which checkers let pass."""
    asked = context_asked(handler)
    kind = get_origin(asked) or asked
    if awaits and isinstance(kind, type) and issubclass(kind, ContextSync):
        raise FunctionConfigInvalidError(
            f'function "{local_id}": its handler is "async def" and asks for {kind.__name__}, whose'
            " steps block: annotate it with Context, or write a plain def"
        )


def _exceptions(fn_id: str, option: str, given: object) -> tuple[type[Exception], ...]:
    """The classes an option names, one or several."""
    several = cast("Iterable[object]", given) if isinstance(given, Iterable) else (given,)
    classes = tuple(several)
    for kind in classes:
        if not isinstance(kind, type) or not issubclass(kind, Exception):
            raise FunctionConfigInvalidError(
                f'function "{fn_id}": {option} holds {kind!r}: give classes of exceptions,'
                " such as (ValueError,)"
            )
    return cast("tuple[type[Exception], ...]", classes)


def _reraised(fn_id: str, given: object) -> dict[str, type[StepError]]:
    found: dict[str, type[StepError]] = {}
    for kind in _exceptions(fn_id, "reraise", given):
        if issubclass(kind, StepError):
            raise FunctionConfigInvalidError(
                f'function "{fn_id}": reraise holds {kind.__name__}: that is what every failed step'
                " raises; name what steps raise themselves"
            )
        try:
            found[kind.__name__] = also(kind)
        except TypeError as error:
            raise FunctionConfigInvalidError(
                f'function "{fn_id}": reraise holds {kind.__name__}, which cannot be combined with'
                f" StepError: {error}"
            ) from None
    return found


def _entry(local_id: str, handler: Callable[..., Any]) -> Callable[[Any], Any]:
    """The handler with one parameter, the context; the old `(ctx, step)` is still understood."""
    if isinstance(handler, Function):
        raise FunctionConfigInvalidError(
            f'function "{local_id}": its handler is a Function already; give the plain function'
        )
    if not callable(handler):
        raise FunctionConfigInvalidError(
            f'function "{local_id}": handler = {handler!r} cannot be called: decorate a function'
        )
    needs = needs_of(handler)
    parameters = positional_parameters(handler)
    if needs.dependencies:
        return filled(local_id, handler, needs)
    if parameters is None or parameters == 1:
        return handler
    if parameters == 2:
        warn(
            DeprecationWarning(
                f'function "{local_id}": handlers take one parameter; write (ctx) and use ctx.step'
                " instead of (ctx, step)"
            )
        )

        def with_step(ctx: Any) -> Any:
            return handler(ctx, ctx.step)

        return with_step
    raise FunctionConfigInvalidError(
        f'function "{local_id}": its handler takes {parameters} parameters: it must take one, the'
        " context, as in `async def handler(ctx: Context)`; others need Depends(...)"
    )


def _codec(
    local_id: str,
    handler: Callable[..., Any],
    output_type: object,
    serializer: Serializer | None,
) -> Codec:
    """How the function's result travels. An annotation nothing can use is no mistake here."""
    if output_type is UNSPECIFIED:
        try:
            return codec_of(return_type(handler))
        except CodecError:
            return codec_of(object)
    if serializer is not None:
        return SerializerCodec(serializer, output_type)
    try:
        return codec_of(output_type)
    except CodecError as error:
        raise FunctionConfigInvalidError(f'function "{local_id}": output_type: {error}') from None
