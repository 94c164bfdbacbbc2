"""Dependencies as parameters: `db: Annotated[Database, Depends(get_db)]`, or a default of it.

The only place that finds such parameters, makes what they ask for, and closes it again. Providers
are functions, coroutine functions, or generators of either kind that yield one value and clean up
afterwards; they may have dependencies of their own, and a parameter annotated with `Context`.

Law: within a scope each provider is asked once; what was made last is closed first, whatever
happened.
"""

import asyncio
import atexit
import functools
import inspect
import threading
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
)
from contextlib import (
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from contextvars import ContextVar
from typing import (
    Annotated,
    Any,
    Literal,
    Protocol,
    TypeAlias,
    TypeVar,
    cast,
    get_args,
    get_origin,
    overload,
)
from weakref import WeakKeyDictionary

import msgspec

from stepwell.sdk.errors import ConfigurationError, FunctionConfigInvalidError
from stepwell.sdk.step.handler import is_async, parameter_hints

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Provider: TypeAlias = Callable[..., Any]
Scope: TypeAlias = Literal["run", "step", "worker"]
_SCOPES = ("run", "step", "worker")


class Dependency(msgspec.Struct, frozen=True):
    """What `Depends` makes: who provides a value, and how long it is kept."""

    provider: Provider
    scope: Scope


@overload
def Depends(provider: Callable[..., AsyncIterator[T]], *, scope: Scope = ...) -> T: ...  # pyright: ignore[reportOverlappingOverload]
@overload
def Depends(provider: Callable[..., Iterator[T]], *, scope: Scope = ...) -> T: ...
@overload
def Depends(provider: Callable[..., Coroutine[Any, Any, T]], *, scope: Scope = ...) -> T: ...
@overload
def Depends(provider: Callable[..., T], *, scope: Scope = ...) -> T: ...


def Depends(provider: Provider, *, scope: Scope = "run") -> Any:  # noqa: N802 - as FastAPI calls it
    """A parameter that is filled by a provider, as `Annotated[X, Depends(get_x)]` or as a default.

    Args:
        provider: Called for the value; a generator yields it and cleans up after its `yield`.
        scope: How long the value is kept and shared. "run": while one call of the function is
            under way, steps included. "step": while one step runs. "worker": until the process
            ends, or `close_dependencies`.

    Raises ConfigurationError for what cannot be called, and for another scope.
    """
    if not callable(provider):
        raise ConfigurationError(f"Depends({provider!r}): give a function that makes the value")
    if scope not in _SCOPES:
        raise ConfigurationError(f"Depends: scope = {scope!r}: choose one of {', '.join(_SCOPES)}")
    return Dependency(provider, scope)


class Needs(msgspec.Struct, frozen=True):
    """What a callable asks for: dependencies by parameter, and the parameter for the context."""

    dependencies: tuple[tuple[str, Dependency], ...] = ()
    context: str | None = None


def needs_of(function: Callable[..., Any]) -> Needs:
    """What the parameters of a function ask for."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return Needs()
    hints = parameter_hints(function)
    found: list[tuple[str, Dependency]] = []
    context: str | None = None
    for parameter in parameters:
        hint = hints.get(parameter.name)
        dependency = _asked(hint, parameter.default)
        if dependency is not None:
            found.append((parameter.name, dependency))
        elif getattr(get_origin(hint) or hint, "holds_events", False):
            context = parameter.name
    return Needs(tuple(found), context)


def _asked(hint: object, default: object) -> Dependency | None:
    if isinstance(default, Dependency):
        return default
    if get_origin(hint) is Annotated:
        return next((part for part in get_args(hint)[1:] if isinstance(part, Dependency)), None)
    return None


_overrides: dict[Provider, Provider] = {}


@contextmanager
def override(provider: Provider, replacement: Provider) -> Generator[None, None, None]:
    """For tests: inside of this, `replacement` is asked instead of `provider`, in any thread."""
    before = _overrides.get(provider)
    _overrides[provider] = replacement
    try:
        yield
    finally:
        if before is None:
            del _overrides[provider]
        else:
            _overrides[provider] = before


class _Values:
    """What was made in one scope, by its provider, in blocking code."""

    def __init__(
        self, scope: Scope, stack: ExitStack, ctx: object, outer: "_Values | None"
    ) -> None:
        self._scope = scope
        self._stack = stack
        self._ctx = ctx
        self._outer = outer
        self._made: dict[Provider, Any] = {}
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close what was made, the last first."""
        self._stack.close()

    def arguments(self, needs: Needs) -> dict[str, Any]:
        """What the parameters are filled with."""
        found = {name: self._value(asked) for name, asked in needs.dependencies}
        return found if needs.context is None else {needs.context: self._ctx, **found}

    def _value(self, asked: Dependency) -> Any:
        owner = self._owner(asked.scope)
        if owner is not self:
            return owner._value(asked)  # noqa: SLF001 - one of its own
        provider = _overrides.get(asked.provider, asked.provider)
        with self._lock:
            if provider not in self._made:
                self._made[provider] = self._make(provider)
            return self._made[provider]

    def _owner(self, scope: Scope) -> "_Values":
        if scope == "worker":
            return _worker_values()
        return self._outer if scope != self._scope and self._outer is not None else self

    def _make(self, provider: Provider) -> Any:
        given = self.arguments(needs_of(provider))
        if is_async(provider) or inspect.isasyncgenfunction(provider):
            raise ConfigurationError(
                f"{_name(provider)} is a coroutine function, which a plain function cannot wait"
                " for: write the handler with `async def`, or the provider with `def`"
            )
        if inspect.isgeneratorfunction(provider):
            return self._stack.enter_context(contextmanager(provider)(**given))
        return provider(**given)


class _AsyncValues:
    """What was made in one scope, by its provider, on one event loop."""

    def __init__(
        self, scope: Scope, stack: AsyncExitStack, ctx: object, outer: "_AsyncValues | None"
    ) -> None:
        self._scope = scope
        self._stack = stack
        self._ctx = ctx
        self._outer = outer
        self._made: dict[Provider, asyncio.Future[Any]] = {}

    async def close(self) -> None:
        """Close what was made, the last first."""
        await self._stack.aclose()

    async def arguments(self, needs: Needs) -> dict[str, Any]:
        """What the parameters are filled with."""
        found = {name: await self._value(asked) for name, asked in needs.dependencies}
        return found if needs.context is None else {needs.context: self._ctx, **found}

    async def _value(self, asked: Dependency) -> Any:
        owner = self._owner(asked.scope)
        if owner is not self:
            return await owner._value(asked)  # noqa: SLF001 - one of its own
        provider = _overrides.get(asked.provider, asked.provider)
        made = self._made.get(provider)
        if made is not None:  # perhaps by a branch that waits for it yet
            return await asyncio.shield(made)
        made = self._made[provider] = asyncio.get_running_loop().create_future()
        try:
            value = await self._make(provider)
        except BaseException:
            del self._made[provider]
            made.cancel()
            raise
        made.set_result(value)
        return value

    def _owner(self, scope: Scope) -> "_AsyncValues":
        if scope == "worker":
            return _async_worker_values()
        return self._outer if scope != self._scope and self._outer is not None else self

    async def _make(self, provider: Provider) -> Any:
        given = await self.arguments(needs_of(provider))
        if inspect.isasyncgenfunction(provider):
            return await self._stack.enter_async_context(asynccontextmanager(provider)(**given))
        if inspect.isgeneratorfunction(provider):
            return self._stack.enter_context(contextmanager(provider)(**given))
        found = provider(**given)
        return await found if inspect.isawaitable(found) else found


_workers: WeakKeyDictionary[asyncio.AbstractEventLoop, _AsyncValues] = WeakKeyDictionary()
_worker: list[_Values] = []
_RUN: ContextVar[_Values | _AsyncValues | None] = ContextVar("stepwell_run_values", default=None)
"""What was made for the call that runs here."""


def _worker_values() -> _Values:
    if not _worker:
        stack = ExitStack()
        atexit.register(stack.close)
        _worker.append(_Values("worker", stack, None, None))
    return _worker[0]


def _async_worker_values() -> _AsyncValues:
    loop = asyncio.get_running_loop()
    found = _workers.get(loop)
    if found is None:
        found = _workers[loop] = _AsyncValues("worker", AsyncExitStack(), None, None)
    return found


async def close_dependencies() -> None:
    """Close what was made with the scope "worker" for this event loop and for blocking code.

    For the end of a process that should leave nothing open; what is asked for later is made anew.
    """
    found = _workers.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.close()
    while _worker:
        _worker.pop().close()


def filled(local_id: str, handler: Callable[..., Any], needs: Needs) -> Callable[[Any], Any]:
    """The handler with the context as its only parameter.

    Raises FunctionConfigInvalidError for a parameter that nothing fills, or for another scope.
    """
    _check_parameters(local_id, handler, {name for name, _ in needs.dependencies})
    for name, asked in needs.dependencies:
        if asked.scope == "step":
            raise FunctionConfigInvalidError(
                f'function "{local_id}": its parameter {name!r} has the scope "step", but a'
                ' function is no step: choose "run", or ask for it in a step with inject(...)'
            )
    wanted = msgspec.structs.replace(needs, context=None)

    async def entry(ctx: Any) -> Any:
        async with AsyncExitStack() as stack:
            values = _AsyncValues("run", stack, ctx, None)
            with _current(values):
                return await handler(ctx, **await values.arguments(wanted))

    def entry_sync(ctx: Any) -> Any:
        with ExitStack() as stack:
            values = _Values("run", stack, ctx, None)
            with _current(values):
                return handler(ctx, **values.arguments(wanted))

    return entry if is_async(handler) else entry_sync


def _check_parameters(local_id: str, handler: Callable[..., Any], names: set[str]) -> None:
    parameters = list(inspect.signature(handler).parameters.values())
    first = parameters[0]
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if first.kind not in named or first.name in names:
        raise FunctionConfigInvalidError(
            f'function "{local_id}": its first parameter must be the context, as in'
            " `async def handler(ctx: Context, db: Annotated[Db, Depends(get_db)])`"
        )
    spread = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for parameter in parameters[1:]:
        open_ = parameter.default is parameter.empty and parameter.kind not in spread
        if open_ and parameter.name not in names:
            raise FunctionConfigInvalidError(
                f'function "{local_id}": its parameter "{parameter.name}" has no Depends(...) and'
                " no default: nothing fills it"
            )


@contextmanager
def _current(values: _Values | _AsyncValues) -> Generator[None, None, None]:
    token = _RUN.set(values)
    try:
        yield
    finally:
        _RUN.reset(token)


class Injected(Protocol[T_co]):
    """A step's handler that is called with its own arguments alone."""

    def __call__(self, *args: object) -> T_co: ...


def inject(handler: Callable[..., T]) -> Injected[T]:
    """The handler of a step with its dependencies filled: `step.run("x", inject(work), 1)`.

    What it asks for with the scope "run" is shared with the function and its other steps of the
    same colour. Outside a function it can be called too; everything is closed when it returns.
    """
    needs = needs_of(handler)

    @functools.wraps(handler)
    async def run(*args: Any, **kwargs: Any) -> Any:
        found = _RUN.get()
        outer = found if isinstance(found, _AsyncValues) else None
        async with AsyncExitStack() as stack:
            values = _AsyncValues("step", stack, getattr(outer, "_ctx", None), outer)
            given = {**await values.arguments(needs), **kwargs}
            return await cast("Callable[..., Awaitable[T]]", handler)(*args, **given)

    @functools.wraps(handler)
    def run_sync(*args: Any, **kwargs: Any) -> Any:
        found = _RUN.get()
        outer = found if isinstance(found, _Values) else None
        with ExitStack() as stack:
            values = _Values("step", stack, getattr(outer, "_ctx", None), outer)
            return handler(*args, **{**values.arguments(needs), **kwargs})

    return cast("Injected[T]", run if is_async(handler) else run_sync)


def _name(provider: Provider) -> str:
    return getattr(provider, "__qualname__", repr(provider))
