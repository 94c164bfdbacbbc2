"""Middleware declared by a name and an `init` function, as the JS SDK of version 3 has it.

`init(client, fn)` runs once where the middleware is registered and returns the hooks, as a mapping
or an object:

    on_function_run(ctx, fn, steps, req_args) -> the hooks of one call:
        transform_input(ctx, steps, fn, req_args), before_memoization(), after_memoization(),
        before_execution(), after_execution(), transform_output(result, step), finished(result),
        before_response()
    on_send_event() -> the hooks of one `send`:
        transform_input(payloads), also for what an invocation carries;
        transform_output(result)

Every hook may be `def` or `async def`, takes those of its arguments it names, and changes what it
was given in place or returns its changes. The only place that translates them onto the chain.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator, Mapping
from concurrent.futures import Future
from inspect import CORO_CREATED, getcoroutinestate, isawaitable, iscoroutine
from typing import Any, TypeAlias, cast
from weakref import WeakKeyDictionary, finalize

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.events.event import Event
from stepwell.sdk.middleware import change
from stepwell.sdk.middleware.given import called
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.middleware.result import TransformOutputResult
from stepwell.sdk.send.result import SendEventsResult
from stepwell.wire.event import FUNCTION_INVOKED
from stepwell.wire.operation import InvokeFunction

Hooking: TypeAlias = Generator[Any, Any, None]
"""A hook that yields what is to be awaited."""

_REGISTERED = ("on_function_run", "on_send_event")
_RUN = (
    "transform_input",
    "before_memoization",
    "after_memoization",
    "before_execution",
    "after_execution",
    "transform_output",
    "finished",
    "before_response",
)
_SEND = ("transform_input", "transform_output")


class InngestMiddleware:
    """Middleware of a name and an `init` function; see the module for the hooks it returns."""

    def __init__(self, name: str, init: Callable[..., Any]) -> None:
        """Declare middleware.

        Args:
            name: What it is called in error messages.
            init: Called as `init(client, fn)` once for each client and function the middleware is
                registered with; `fn` is None for a client. A coroutine is awaited at first use.

        Raises ConfigurationError if `name` is empty or `init` cannot be called.
        """
        if not isinstance(cast(object, name), str) or not name:
            raise ConfigurationError(f"InngestMiddleware: name = {name!r}: give it a name")
        if not callable(init):
            raise ConfigurationError(
                f'InngestMiddleware "{name}": init = {init!r}: give a function that returns hooks'
            )
        self.name = name
        self.init = init
        self._clients: WeakKeyDictionary[Any, Registration] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<InngestMiddleware {self.name}>"

    def registered(self, client: Any, fn: object) -> "Registration":
        """The middleware for one client, or for one function of it. Calls `init`."""
        if fn is not None:
            return Registration(self, client, fn)
        found = self._clients.get(client)
        if found is None:
            found = self._clients[client] = Registration(self, client, None)
        return found

    def __call__(self, client: Any, raw_request: object) -> "DeclaredMember":
        """An instance for one call, as of any middleware that is registered with a client."""
        return self.registered(client, None)(client, raw_request)


class Registration:
    """What `init` returned, once for all calls. A factory."""

    def __init__(self, middleware: InngestMiddleware, client: object, fn: object) -> None:
        self.name = middleware.name
        self._lock = threading.Lock()
        self._ready: Future[Hooks] | None = None
        try:
            found: Any = called(middleware.init, client=client, fn=fn)
            self._found = found
            if iscoroutine(found):
                # Where every send skips the middleware nobody awaits it, and Python would complain.
                finalize(self, _left, found)
            if not isawaitable(found):
                self._ready = Future()
                self._ready.set_result(Hooks(self.name, "init", found, _REGISTERED))
        except Exception as error:
            error.add_note(f'raised by init of middleware "{self.name}"')
            raise

    def __call__(self, client: Any, raw_request: object) -> "DeclaredMember":
        """An instance for one call or one `send`."""
        return DeclaredMember(self, raw_request)

    def hooks(self) -> Generator[Any, Any, "Hooks"]:
        """What `init` returned; whoever comes first awaits it, the others wait for that."""
        with self._lock:
            first = self._ready is None
            ready = self._ready = self._ready or Future()
        if first:
            try:
                ready.set_result(Hooks(self.name, "init", (yield self._found), _REGISTERED))
            except BaseException as error:
                error.add_note(f'raised by init of middleware "{self.name}"')
                ready.set_exception(error)
                raise
        if not ready.done():
            yield _finished(ready)
        return ready.result()


def _left(init: Coroutine[Any, Any, Any]) -> None:
    if getcoroutinestate(init) == CORO_CREATED:
        init.close()


async def _finished(future: "Future[Hooks]") -> None:
    await asyncio.wrap_future(future)


class Hooks:
    """Hooks as users return them: a mapping or an object. Judged when they are made."""

    def __init__(self, name: str, where: str, found: object, known: tuple[str, ...]) -> None:
        self._hooks: dict[str, Callable[..., Any]] = {}
        if isinstance(found, Mapping):
            self._hooks = _from_mapping(name, where, cast(Mapping[object, object], found), known)
        elif found is not None:
            self._hooks = {
                hook: getattr(found, hook) for hook in known if callable(getattr(found, hook, None))
            }
            if not self._hooks:
                raise ConfigurationError(
                    f'middleware "{name}": {where} returned {found!r}, which has none of the hooks'
                    f" {', '.join(known)}"
                )

    def call(self, hook: str, **offered: Any) -> Any:
        """What a hook returns, None if there is no such hook."""
        found = self._hooks.get(hook)
        return None if found is None else called(found, **offered)


def _from_mapping(
    name: str, where: str, found: Mapping[object, object], known: tuple[str, ...]
) -> dict[str, Callable[..., Any]]:
    hooks: dict[str, Callable[..., Any]] = {}
    for key, hook in found.items():
        if key not in known:
            raise ConfigurationError(
                f'middleware "{name}": {where} returned a hook {key!r}; there are'
                f" {', '.join(known)}"
            )
        if hook is None:
            continue
        if not callable(hook):
            raise ConfigurationError(
                f'middleware "{name}": {where} returned {key!r} = {hook!r}: give a function'
            )
        hooks[str(key)] = hook
    return hooks


class DeclaredMember:
    """The middleware for one call or one `send`: what the chain asks."""

    def __init__(self, registration: Registration, raw_request: object) -> None:
        self.name = f'"{registration.name}"'
        self._registration = registration
        self._raw_request = raw_request
        self._run: Hooks | None = None
        self._sends: dict[object, Hooks] = {}
        """The hooks of each `send` under way: steps of one call may send beside each other."""

    def _call(self, hook: str, **offered: Any) -> Any:
        return None if self._run is None else self._run.call(hook, **offered)

    def transform_input(self, ctx: Any, function: object, steps: StepMemos) -> Hooking:
        """Ask for the hooks of this call; then the first of them."""
        registered = yield from self._registration.hooks()
        offered = {
            "ctx": ctx,
            "fn": function,
            "steps": list(steps.values()),
            "req_args": self._raw_request,
        }
        found = yield registered.call("on_function_run", **offered)
        self._run = Hooks(self._registration.name, "on_function_run", found, _RUN)
        change.into_context((yield self._call("transform_input", **offered)), ctx, steps)

    def before_memoization(self) -> Any:
        """Known steps are about to be gone through."""
        return self._call("before_memoization")

    def after_memoization(self) -> Any:
        """They were all met."""
        return self._call("after_memoization")

    def before_execution(self) -> Any:
        """New code is about to run."""
        return self._call("before_execution")

    def after_execution(self) -> Any:
        """It has stopped."""
        return self._call("after_execution")

    def transform_output(self, result: TransformOutputResult) -> Hooking:
        """The output of a step or of the function, or a step of the server's on its way there."""
        step = result.step
        if step is not None and step.op == InvokeFunction.op and step.opts is not None:
            yield from self._invocation(step.opts)
        found = yield self._call("transform_output", result=result, step=step)
        change.into_output(found, result)

    def _invocation(self, options: dict[str, object]) -> Hooking:
        """What an invocation carries is an event too: the hooks of sending see it."""
        payload = change.as_mapping(options.get("payload"))
        data = payload.get("data")
        given = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
        events = [Event(name=FUNCTION_INVOKED, data=given)]
        yield from self._sending(events)
        if len(events) == 1:
            options["payload"] = {**payload, "data": dict(events[0].data)}

    def observe_output(self, result: TransformOutputResult) -> Any:
        """The function has ended, if the output is its own."""
        return self._call("finished", result=result) if result.step is None else None

    def before_response(self) -> Any:
        """Last of all."""
        return self._call("before_response")

    def before_send_events(self, events: list[Event]) -> Hooking:
        """Ask for the hooks of this `send`; then the first of them."""
        self._sends[_sender()] = yield from self._sending(events)

    def _sending(self, events: list[Event]) -> "Generator[Any, Any, Hooks]":
        registered = yield from self._registration.hooks()
        found = yield registered.call("on_send_event")
        hooks = Hooks(self._registration.name, "on_send_event", found, _SEND)
        changed = change.as_mapping((yield hooks.call("transform_input", payloads=events)))
        change.only(changed, "payloads")
        change.into_events(changed.get("payloads"), events)
        return hooks

    def after_send_events(self, result: SendEventsResult) -> Hooking:
        """Events were sent, or could not be."""
        hooks = self._sends.pop(_sender(), None)
        if hooks is not None:
            change.into_sent((yield hooks.call("transform_output", result=result)), result)


def _sender() -> object:
    """Who sends here: a task, or a thread."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident() if task is None else task
