"""A framework's adapter said as actions: how to read the parts of its request, how to answer it.

The only place that asks the actions in order, times them, and says of one that fails what it was
needed for.
"""

import functools
import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Generic, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.serve import answer
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest, read_query
from stepwell.sdk.serve.response import ServeResponse, StreamingResponse, StreamingResponseSync
from stepwell.sdk.settings import Streaming
from stepwell.wire import header

R = TypeVar("R")
P = ParamSpec("P")

HEADERS = (
    header.SIGNATURE,
    header.SERVER_KIND,
    header.SYNC_KIND,
    header.TRACEPARENT,
    header.TRACESTATE,
    header.JOB_ID,
    header.REQUEST_ID,
    header.RUN_ID,
    header.GENERATION_ID,
    header.FORCE_STEP_PLAN,
    "accept",
    "forwarded",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
)
"""The headers an endpoint reads; each is asked for once."""


class Adapter(ABC, Generic[R]):
    """One request of a framework, made of what the framework hands to a route.

    A subclass takes that in its constructor. Its actions may be plain or, where `create` is used,
    `async def`. `R` is the framework's own response.
    """

    @abstractmethod
    def method(self) -> str | Awaitable[str]:
        """GET, POST, PUT or another."""

    @abstractmethod
    def url(self) -> str | Awaitable[str]:
        """The absolute URL as the client asked for it, query included."""

    @abstractmethod
    def headers(self, key: str) -> str | Awaitable[str | None] | None:
        """The first value of a header, by its name in lower case."""

    @abstractmethod
    def body(self) -> bytes | Awaitable[bytes]:
        """The body as it came, before any parser: signatures are made over its bytes."""

    def query_string(self, key: str, url: str) -> str | Awaitable[str | None] | None:
        """A parameter of the query, by default that of the URL."""
        return read_query(urlsplit(url).query).get(key)

    def env(self) -> Mapping[str, str] | Awaitable[Mapping[str, str] | None] | None:
        """Variables that platforms hand over with a request, for this request alone; None where the
        process has them."""
        return None

    def is_production(self) -> bool | Awaitable[bool | None] | None:
        """Whether this is production; None where the settings say so."""
        return None

    @abstractmethod
    def transform_response(self, response: ServeResponse) -> R | Awaitable[R]:
        """The framework's response."""

    def transform_streaming_response(
        self, response: StreamingResponse | StreamingResponseSync
    ) -> R | Awaitable[R]:
        """The framework's response, sent in pieces. Leave it out where it cannot do that."""
        raise ConfigurationError(f"{type(self).__name__} has no transform_streaming_response")


class ActionError(Exception):
    """An action of an adapter failed. Says which, of which adapter, and what it was needed for."""


class _Ask(msgspec.Struct, frozen=True):
    """Run this action."""

    action: str
    reason: str
    given: tuple[object, ...] = ()


_Asking = Generator[_Ask, Any, ServeRequest]


class CommHandler(ServeHandler):
    """A `ServeHandler` for adapters that are said as actions."""

    def create(self, adapter: Callable[P, Adapter[R]]) -> Callable[P, Awaitable[R]]:
        """A coroutine function with the adapter's own parameters, for the framework to call.

        Raises ConfigurationError if streaming is asked for and the adapter has no action for it.
        """
        self._check(adapter)

        async def inngest_handler(*args: P.args, **kwargs: P.kwargs) -> R:
            made, spent = adapter(*args, **kwargs), dict[str, int]()
            asking = self._asking(made)
            try:
                ask = next(asking)
                while True:
                    value = _act(made, ask, spent)
                    ask = asking.send(await value if inspect.isawaitable(value) else value)
            except StopIteration as read:
                response = await self.handle(read.value)
            except ActionError as error:
                response = self._failed(made, error)
            told = _act(made, _answering(response), spent, _timed(response, spent))
            return cast(R, await told if inspect.isawaitable(told) else told)

        return _named(inngest_handler, adapter)

    def create_sync(self, adapter: Callable[P, Adapter[R]]) -> Callable[P, R]:
        """The same for blocking frameworks: a plain function; no action may be `async def`."""
        self._check(adapter)

        def inngest_handler(*args: P.args, **kwargs: P.kwargs) -> R:
            made, spent = adapter(*args, **kwargs), dict[str, int]()
            asking = self._asking(made)
            response: ServeResponse | StreamingResponseSync
            try:
                ask = next(asking)
                while True:
                    ask = asking.send(_act(made, ask, spent))
            except StopIteration as read:
                response = self.handle_sync(read.value)
            except ActionError as error:
                response = self._failed(made, error)
            return cast(R, _act(made, _answering(response), spent, _timed(response, spent)))

        return _named(inngest_handler, adapter)

    def _check(self, adapter: object) -> None:
        cannot = isinstance(adapter, type) and not any(
            "transform_streaming_response" in vars(kind)
            for kind in adapter.__mro__
            if kind is not Adapter
        )
        self._can_stream = not cannot
        if self._setups.own.serve.streaming is Streaming.FORCE and cannot:
            raise ConfigurationError(
                f"streaming is forced, but {getattr(adapter, '__name__', adapter)} has no"
                " transform_streaming_response: add it, or do not ask for streaming"
            )

    def _asking(self, adapter: Adapter[Any]) -> _Asking:
        env = yield _Ask("env", "settings may come with the request")
        production = yield _Ask("is_production", "the mode may come with the request")
        method = yield _Ask("method", "it says what is asked")
        url = yield _Ask("url", "it says what is asked, and where the app lives")
        headers: dict[str, str] = {}
        for name in HEADERS:
            value = yield _Ask("headers", f'the header "{name}" is looked at', (name,))
            if value is not None:
                headers[name] = value
        query: dict[str, str] = {}
        for name in sorted(header.INTERNAL_QUERY):
            value = yield _Ask("query_string", f'the parameter "{name}" is looked at', (name, url))
            if value is not None:
                query[name] = value
        body = yield _Ask("body", "signatures are made over it, and a call lies in it")
        return ServeRequest(
            method=method,
            url=url,
            headers=headers,
            query=query,
            body=body,
            raw=adapter,
            variables=env,
            is_production=production,
        )

    def _failed(self, adapter: Adapter[Any], error: ActionError) -> ServeResponse:
        self._client.log.error("%s", error, exc_info=error)
        setup = self._setups.own
        if setup.settings.mode == "cloud" or _brings_environment(type(adapter)):
            return answer.MISCONFIGURED  # nobody has shown a right to know more
        told = answer.error_answer(error)
        return ServeResponse(told.status, {**setup.headers, **told.headers}, told.body)


def _brings_environment(kind: type[Any]) -> bool:
    plain: type[Any] = Adapter
    return kind.env is not plain.env or kind.is_production is not plain.is_production


def _answering(response: ServeResponse | StreamingResponse | StreamingResponseSync) -> _Ask:
    whole = isinstance(response, ServeResponse)
    action = "transform_response" if whole else "transform_streaming_response"
    return _Ask(action, "the answer must become the framework's own")


def _act(adapter: Adapter[Any], ask: _Ask, spent: dict[str, int], *answered: object) -> Any:
    """Run an action, or begin it. Raises ActionError."""
    began_ns = time.perf_counter_ns()
    try:
        value = getattr(adapter, ask.action)(*ask.given, *answered)
        if inspect.isawaitable(value):
            return _awaited(adapter, ask, spent, value)
    except Exception as error:
        raise _action_error(adapter, ask, error) from error
    spent[ask.action] = spent.get(ask.action, 0) + time.perf_counter_ns() - began_ns
    return value


async def _awaited(
    adapter: Adapter[Any], ask: _Ask, spent: dict[str, int], value: Awaitable[Any]
) -> Any:
    began_ns = time.perf_counter_ns()
    try:
        result = await value
    except Exception as error:
        raise _action_error(adapter, ask, error) from error
    spent[ask.action] = spent.get(ask.action, 0) + time.perf_counter_ns() - began_ns
    return result


def _action_error(adapter: Adapter[Any], ask: _Ask, error: Exception) -> ActionError:
    name = type(adapter).__name__
    return ActionError(f"{name}.{ask.action}() failed, needed because {ask.reason}: {error!r}")


def _timed(
    response: ServeResponse | StreamingResponse | StreamingResponseSync, spent: dict[str, int]
) -> ServeResponse | StreamingResponse | StreamingResponseSync:
    """The answer with what the actions took, beside the handler's own timings."""
    told = [f"action.{name};dur={ns // 1_000_000}" for name, ns in spent.items()]
    known = response.headers.get(header.SERVER_TIMING)
    timing = ", ".join([known, *told] if known else told)
    headers = {**response.headers, header.SERVER_TIMING: timing}
    return msgspec.structs.replace(response, headers=headers)


F = TypeVar("F", bound=Callable[..., Any])


def _named(function: F, adapter: Callable[..., Any]) -> F:
    """Frameworks look at a route's name and parameters: they are the adapter's."""
    functools.update_wrapper(function, adapter, assigned=("__doc__", "__module__"), updated=())
    function.__signature__ = inspect.signature(adapter)  # type: ignore[attr-defined]
    del function.__wrapped__  # type: ignore[attr-defined]
    return function
