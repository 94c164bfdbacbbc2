"""Between a platform that hands over requests as dictionaries and the serve handler.

What the adapters of such platforms share: bodies that may be base64, and a call that waits for the
whole answer.
"""

import base64
import binascii

from stepwell.sdk.errors import BodyInvalidError
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.response import ServeResponse


def answer(handler: ServeHandler, request: ServeRequest) -> ServeResponse:
    """Answer a request of a handler that does not stream, from blocking code."""
    response = handler.handle_sync(request)
    assert isinstance(response, ServeResponse), "an adapter of such a platform must not stream"
    return response


def body_of(body: object, *, is_base64: bool) -> bytes:
    """The bytes of a body that came as text. Raises BodyInvalidError for what is no such text."""
    if body is None:
        return b""
    if not isinstance(body, str):
        raise BodyInvalidError(f"the event's body is a {type(body).__name__}; expected its text")
    if not is_base64:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BodyInvalidError(f"the event says its body is base64, but: {error}") from None
