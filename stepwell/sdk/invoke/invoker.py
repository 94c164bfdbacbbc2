"""Runs that ordinary code starts and, if it likes, waits for: `client.invoke`.

What a web route does.
"""

import time
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast, overload

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.events.event import MinimalEvent
from stepwell.sdk.function.function import Function
from stepwell.sdk.invoke.hooks import InvocationHooks
from stepwell.sdk.invoke.http_runs import HttpRunPort
from stepwell.sdk.invoke.port import Invoked, RunPort
from stepwell.sdk.invoke.waiting import ended, ended_sync, result_of
from stepwell.sdk.net.server_api import ServerApi
from stepwell.sdk.send.sending import new_seed
from stepwell.sdk.value.codec import CodecError, encode_any
from stepwell.sdk.value.duration import Duration

T = TypeVar("T")


class Invoker:
    """What a client can do with functions besides declaring them."""

    _run_port: RunPort | None = None

    @property
    def api(self) -> ServerApi:
        """The server's API."""
        raise NotImplementedError

    @property
    def run_port(self) -> RunPort:
        """Where runs are started and looked at: the server, unless a port was put in its place."""
        return self._run_port or HttpRunPort(self.api)

    @run_port.setter
    def run_port(self, port: RunPort | None) -> None:
        """Start runs through this port; None goes back to the server."""
        self._run_port = port

    @overload
    async def invoke(
        self,
        function: Function[T, Any],
        *,
        data: object = ...,
        user: Mapping[str, object] | None = ...,
        v: str | None = ...,
        wait: Literal[True] = ...,
        timeout: Duration | None = ...,
    ) -> T: ...

    @overload
    async def invoke(
        self,
        function: str,
        *,
        data: object = ...,
        user: Mapping[str, object] | None = ...,
        v: str | None = ...,
        wait: Literal[True] = ...,
        timeout: Duration | None = ...,
    ) -> Any: ...

    @overload
    async def invoke(
        self,
        function: Function[Any, Any] | str,
        *,
        data: object = ...,
        user: Mapping[str, object] | None = ...,
        v: str | None = ...,
        wait: Literal[False],
        timeout: Duration | None = ...,
    ) -> str: ...

    async def invoke(
        self,
        function: Function[Any, Any] | str,
        *,
        data: object = None,
        user: Mapping[str, object] | None = None,
        v: str | None = None,
        wait: bool = True,
        timeout: Duration | None = None,
    ) -> Any:
        """Run a function, and give what it returns; with `wait=False` the id of its run, at once.

        For code outside of functions, such as a web route; inside one use `ctx.step.invoke`.

        Args:
            function: A function, or its composite id such as "shop-ship-order".
            data: What the event that starts it carries, an object.
            user: About whom it is.
            v: The version of the data.
            wait: Wait until the run has ended.
            timeout: How long at most: milliseconds, a timedelta, or text such as "30s"; by default
                as long as it takes.

        Raises RunFailedError if the run failed or was cancelled, RunTimeoutError if it took longer
        (it goes on), Error if the function cannot be started, NetworkError if nobody answers.
        """
        port, hooks = self.run_port, InvocationHooks(self, function)
        asked = invoked(function, data, user, v)
        leaving = await hooks.leaving(asked.data)
        run_id = await port.start(msgspec.structs.replace(asked, data=leaving))
        if not wait:
            return run_id
        seen = await ended(port, run_id, timeout)
        if seen.completed:
            output = await hooks.returned(seen.output)
            seen = msgspec.structs.replace(seen, output=output)
        return result_of(seen, function)

    @overload
    def invoke_sync(
        self,
        function: Function[T, Any],
        *,
        data: object = ...,
        user: Mapping[str, object] | None = ...,
        v: str | None = ...,
        wait: Literal[True] = ...,
        timeout: Duration | None = ...,
    ) -> T: ...

    @overload
    def invoke_sync(
        self,
        function: str,
        *,
        data: object = ...,
        user: Mapping[str, object] | None = ...,
        v: str | None = ...,
        wait: Literal[True] = ...,
        timeout: Duration | None = ...,
    ) -> Any: ...

    @overload
    def invoke_sync(
        self,
        function: Function[Any, Any] | str,
        *,
        data: object = ...,
        user: Mapping[str, object] | None = ...,
        v: str | None = ...,
        wait: Literal[False],
        timeout: Duration | None = ...,
    ) -> str: ...

    def invoke_sync(
        self,
        function: Function[Any, Any] | str,
        *,
        data: object = None,
        user: Mapping[str, object] | None = None,
        v: str | None = None,
        wait: bool = True,
        timeout: Duration | None = None,
    ) -> Any:
        """The same as `invoke`, for blocking code."""
        port, hooks = self.run_port, InvocationHooks(self, function)
        asked = invoked(function, data, user, v)
        leaving = hooks.leaving_sync(asked.data)
        run_id = port.start_sync(msgspec.structs.replace(asked, data=leaving))
        if not wait:
            return run_id
        seen = ended_sync(port, run_id, timeout)
        if seen.completed:
            output = hooks.returned_sync(seen.output)
            seen = msgspec.structs.replace(seen, output=output)
        return result_of(seen, function)


def invoked(
    function: Function[Any, Any] | str,
    data: object,
    user: Mapping[str, object] | None,
    v: str | None,
) -> Invoked:
    """What `client.invoke` was told. Raises ConfigurationError for what JSON cannot carry."""
    slug = function.id if isinstance(function, Function) else function
    if not isinstance(cast(object, slug), str) or not slug:
        raise ConfigurationError(
            f'invoke: function = {function!r}: give a function, or its id such as "shop-ship-order"'
        )
    if not isinstance(cast(object, v), str | None):
        raise ConfigurationError(f'invoke "{slug}": v = {v!r}: give text')
    if isinstance(data, MinimalEvent):
        whole = cast(Any, data)
        data, v, user = whole.data, v or whole.v, user or whole.user
    try:
        payload = encode_any({} if data is None else data)
        about = None if user is None else encode_any(user)
    except CodecError as error:
        raise ConfigurationError(f'invoke "{slug}": data: {error}') from None
    if bytes(payload)[:1] != b"{":
        raise ConfigurationError(
            f'invoke "{slug}": data: {type(data).__name__} is no object; wrap it, as in'
            " {'value': ...}"
        )
    return Invoked(slug, payload, new_seed(time.time_ns() // 1_000_000), about, v)
