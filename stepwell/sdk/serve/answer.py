"""The answers an endpoint gives besides those of functions: refusals, errors, introspection, syncs.

The only place that decides their statuses and bodies.
"""

from collections.abc import Mapping

import msgspec

from stepwell.sdk.errors import Error, code_of
from stepwell.sdk.serve.response import ServeResponse
from stepwell.wire import header
from stepwell.wire.execution import CallResponse

UNAUTHORIZED = ServeResponse(
    401,
    # Nothing that tells a stranger what lives here.
    {header.CONTENT_TYPE: header.JSON, header.SDK_HANDLED: "true"},
    b'{"message":"Unauthorized"}',
)
MISCONFIGURED = ServeResponse(
    500,
    {header.CONTENT_TYPE: header.JSON, header.SDK_HANDLED: "true"},
    b'{"code":"internal_server_error","message":"Internal server error"}',
)
"""What is set for this request cannot be used. What is wrong stands in the log: nobody has shown a
right to know it."""
NOT_ALLOWED = CallResponse(405, b'{"message":"Method not allowed"}', {"allow": "GET, POST, PUT"})
TRUSTED = CallResponse(200, b"null")
KIND_FORBIDDEN = CallResponse(403, b"{}")


def error_answer(error: Exception, status: int = 500) -> CallResponse:
    """An error that is not the function's own: what is wrong with the request, or with us."""
    known = error if isinstance(error, Error) else None
    body = {
        "code": code_of(error).value,
        "message": str(error),
        "name": known.name if known else type(error).__name__,
    }
    headers = {header.NO_RETRY: "false"} if status == 500 else {}
    return CallResponse(status, msgspec.json.encode(body), headers)


def message_answer(status: int, message: str, code: str | None = None) -> CallResponse:
    """A refusal in one sentence."""
    body = {"message": message} if code is None else {"code": code, "message": message}
    return CallResponse(status, msgspec.json.encode(body))


def echoed(headers: Mapping[str, str]) -> dict[str, str]:
    """The trace context of a request, which goes back with the answer."""
    names = (header.TRACEPARENT, header.TRACESTATE)
    return {name: headers[name] for name in names if name in headers}
