"""The trace context that travels beside calls and events: the only place that holds it.

Its names are W3C's, `traceparent` and `tracestate`; nothing here reads their values.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

from stepwell.wire import header

Trace = Mapping[str, str]
"""`traceparent` and `tracestate`, as far as there are such."""

NAMES: Final = (header.TRACEPARENT, header.TRACESTATE)
NOTHING: Final[Trace] = MappingProxyType({})

_ARRIVED: ContextVar[Trace] = ContextVar("stepwell_trace_arrived", default=NOTHING)
_LEAVING: ContextVar[Trace] = ContextVar("stepwell_trace_leaving", default=NOTHING)


def trace_in(headers: Mapping[str, object]) -> Trace:
    """The trace context among headers in small letters, or in an event's `meta`."""
    found = ((name, headers.get(name)) for name in NAMES)
    return {name: value for name, value in found if isinstance(value, str)}


@contextmanager
def arrived(trace: Trace) -> Generator[None, None, None]:
    """Inside of this runs a call that the server sent with this trace context."""
    token = _ARRIVED.set(trace)
    try:
        yield
    finally:
        _ARRIVED.reset(token)


@contextmanager
def leaving(trace: Trace) -> Generator[None, None, None]:
    """Events sent inside of this leave with this trace context, as headers of their request."""
    token = _LEAVING.set(trace)
    try:
        yield
    finally:
        _LEAVING.reset(token)


def arrived_trace() -> Trace:
    """What the server sent with the call that runs here."""
    return _ARRIVED.get()


def leaving_trace() -> Trace:
    """What leaves with events that are sent here."""
    return _LEAVING.get()
