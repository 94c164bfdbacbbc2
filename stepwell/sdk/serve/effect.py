"""What answering a request needs from outside, as values. `perform.py` does what they say."""

from collections.abc import Generator
from typing import Any, TypeAlias

import msgspec

from stepwell.sdk.function.function import Function
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.net.server_api import ApiRequest
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.timing import Timings
from stepwell.sdk.tracing import Trace
from stepwell.wire.execution import CallRequest, CallResponse


class FunctionCall(msgspec.Struct, frozen=True):
    """Call this function; `raw` is the framework's request, for middleware."""

    function: Function[Any]
    call: CallRequest
    target: str
    raw: object
    trace: Trace
    timings: Timings


class ApiRequests(msgspec.Struct, frozen=True):
    """Ask the server's API, all of it at once."""

    requests: tuple[ApiRequest, ...]


Effect: TypeAlias = FunctionCall | ApiRequests
Outcome: TypeAlias = CallResponse | list[HttpReply] | Exception
Steps: TypeAlias = Generator[Effect, Outcome, CallResponse | None]
Serving: TypeAlias = Generator[Effect, Outcome, ServeResponse]
