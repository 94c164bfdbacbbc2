"""What a request to a route may carry. The only place that refuses what a route would ignore: a
parameter that is mistyped or not yet known must not quietly give another answer.

Routes that SDKs of any version speak (`WIRE`) pass over what they do not know, as the protocol
says.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Generic, TypeVar

import msgspec
from starlette.requests import Request

from stepwell.server.api.routing.parameter import Parameter
from stepwell.server.api.routing.problem import Problem, body_of
from stepwell.server.turns import in_turns
from stepwell.wire.long_json import decoding

T = TypeVar("T")

_MISSING = re.compile(r"Object contains unknown field `(.*?)`(?: - at `(.*)`)?")
SHOWN_CHARS = 80
BODY_BYTES_DEFAULT: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Body(Generic[T]):
    """A JSON object of this kind, a struct that forbids unknown fields, or a list of such; `fix`
    shows how to write it."""

    kind: type[T]
    fix: str
    bytes_max: int = BODY_BYTES_DEFAULT
    """Those that hold what a user stores take more; what is built of them is in one go."""

    @property
    def needed(self) -> bool:
        """Whether a request without a body is refused."""
        fields: Any = getattr(self.kind, "__struct_config__", None) and self.kind
        return not fields or any(one.required for one in msgspec.structs.fields(fields))

    async def read(self, request: Request) -> T:
        """The body; an empty one is `{}`. Raises `Problem`."""
        body = await body_of(request, self.bytes_max)
        try:
            return await in_turns(decoding(body.strip() or b"{}", msgspec.json.Decoder(self.kind)))
        except ValueError as error:
            known: tuple[str, ...] = getattr(self.kind, "__struct_encode_fields__", ())
            said = unknown_field(error, known)
            code = "missing_field" if "missing required field" in said else "invalid_field_format"
            told = f"the request body cannot be used: {said}; {self.fix}"
            raise Problem(400, told, code) from None


@dataclass(frozen=True, slots=True)
class Takes:
    """What a route reads: its query parameters, and its body, if it has one. `others` says that
    more may come."""

    parameters: tuple[Parameter[Any], ...] = ()
    body: Body[Any] | bool = False
    others: bool = False

    @property
    def one(self) -> tuple[str, ...]:
        """Names of parameters that come once."""
        return tuple(one.name for one in self.parameters if not one.many)

    @property
    def many(self) -> tuple[str, ...]:
        """Names of parameters that may be repeated."""
        return tuple(one.name for one in self.parameters if one.many)


NOTHING = Takes()
BODY = Takes(body=True)
WIRE = Takes(body=True, others=True)


async def refuse_others(request: Request, takes: Takes) -> None:
    """Raises `Problem` for a parameter or a body the route does nothing with."""
    if takes.others:
        return
    _refuse_parameters(request, takes)
    if not takes.body and _may_have_body(request):
        body = await body_of(request)
        if body.strip() not in (b"", b"{}"):
            shown = body[:SHOWN_CHARS].decode(errors="replace")
            place = f"{request.method} {request.url.path}"
            raise Problem(400, f"{place} takes no body, got {shown!r}: send none")


def unknown_field(error: Exception, known: Iterable[str]) -> str:
    """What to say of a body that has a field its route does nothing with; else the error's text."""
    found = _MISSING.fullmatch(str(error))
    if found is None:
        return str(error)
    name, inside = found[1], (found[2] or "$").removeprefix("$").removeprefix(".")
    place = f"{inside}.{name}" if inside else name
    return _unknown(f"field {place!r} is not known here", name, tuple(known))


def _refuse_parameters(request: Request, takes: Takes) -> None:
    known = (*takes.one, *takes.many)
    for name in request.query_params:
        if name.removesuffix("[]") in takes.many:
            continue
        if name not in takes.one:
            text = f"query parameter {name!r} is not known here"
            raise Problem(400, _unknown(text, name, known))
        values = request.query_params.getlist(name)
        if len(values) > 1:
            raise Problem(400, f"query parameter {name!r} is given {len(values)} times: give one")


def _unknown(text: str, name: str, known: tuple[str, ...]) -> str:
    if not known:
        return f"{text}: leave it out"
    near = get_close_matches(name, known, 1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return f"{text}: {meant}use {', '.join(known)}"


def _may_have_body(request: Request) -> bool:
    headers = request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
