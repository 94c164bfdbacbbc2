"""The only place that reads the bodies of v2 requests, or says which field cannot be used."""

from typing import TypeVar

import msgspec
from starlette.requests import Request

from stepwell.server.api.problem import Problem, body_of
from stepwell.server.api.route import unknown_field
from stepwell.wire.outside import decode

T = TypeVar("T", bound=msgspec.Struct)


async def body_as(request: Request, kind: type[T], fix: str) -> T:
    """The body as a struct that forbids unknown fields. Raises `Problem`; `fix` shows how to write
    it."""
    body = await body_of(request)
    try:
        return decode(body.strip() or b"{}", msgspec.json.Decoder(kind))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = unknown_field(error, kind.__struct_encode_fields__)
        code = "missing_field" if "missing required field" in said else "invalid_field_format"
        raise Problem(400, f"the request body cannot be used: {said}; {fix}", code) from None
