"""What middleware sees of runs that ordinary code starts: what they carry, and what they return.

The data goes through the hooks of sending, as that of a step's invocation does; the result
through `read_result`, so that what a function's middleware made of it is undone here.
"""

from typing import Any, cast

import msgspec

from stepwell.sdk.events.event import Event
from stepwell.sdk.function.function import Function
from stepwell.sdk.middleware.chain import Chain
from stepwell.sdk.middleware.result import RunResult
from stepwell.sdk.value.codec import PLAIN
from stepwell.wire.event import FUNCTION_INVOKED


class InvocationHooks:
    """The middleware of a client, and of the function it invokes, for one invocation."""

    def __init__(self, client: Any, function: Function[Any, Any] | str) -> None:
        own = function.middleware if isinstance(function, Function) else ()
        factories = (*client.middleware, *own)
        self._session = Chain(factories).open(client, None) if factories else None

    async def leaving(self, data: msgspec.Raw) -> msgspec.Raw:
        """The data as it is sent."""
        if self._session is None:
            return data
        events = [_event(data)]
        await self._session.before_send_events(events)
        return _data(events, data)

    def leaving_sync(self, data: msgspec.Raw) -> msgspec.Raw:
        """The same for blocking code."""
        if self._session is None:
            return data
        events = [_event(data)]
        self._session.before_send_events_sync(events)
        return _data(events, data)

    async def returned(self, output: msgspec.Raw) -> msgspec.Raw:
        """A result as the caller gets it."""
        if self._session is None:
            return output
        result = RunResult(PLAIN.decode(output))
        await self._session.read_result(result)
        return PLAIN.encode(result.data)

    def returned_sync(self, output: msgspec.Raw) -> msgspec.Raw:
        """The same for blocking code."""
        if self._session is None:
            return output
        result = RunResult(PLAIN.decode(output))
        self._session.read_result_sync(result)
        return PLAIN.encode(result.data)


def _event(data: msgspec.Raw) -> Event:
    return Event(name=FUNCTION_INVOKED, data=cast("dict[str, Any]", PLAIN.decode(data)))


def _data(events: list[Event], data: msgspec.Raw) -> msgspec.Raw:
    """The data of the one event; hooks that made more or fewer of it changed nothing."""
    return PLAIN.encode(dict(events[0].data)) if len(events) == 1 else data
