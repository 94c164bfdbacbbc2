"""The only place that reads query parameters, or says which one cannot be used and why.

A parameter is declared once: its name, how it is read, and what the document of the API says of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec
from starlette.datastructures import QueryParams

from stepwell.expr.dialect import ExpressionError, Program, compile_search
from stepwell.server.api.routing.problem import Problem
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.query.run_object import status_named
from stepwell.server.query.v2.run import StatusV2
from stepwell.wire.duration import DurationError, parse_date_ms
from stepwell.wire.identifier import is_ulid

T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)
Schema = Mapping[str, Any]

EXPRESSION_CHARS_MAX = 4_096
_FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}


@dataclass(frozen=True, slots=True)
class Parameter(Generic[T]):
    """A query parameter. `many` may be repeated (`status`, `status[]`, or with commas)."""

    name: str
    read: Callable[[QueryParams], T]
    schema: Schema
    said: str
    many: bool = False


def plain(name: str, said: str) -> Parameter[str]:
    """Any text; empty if it is not asked for."""
    return Parameter(name, lambda query: query.get(name, ""), {"type": "string"}, said)


def instant(name: str, said: str, default_ms: int | None = None) -> Parameter[int | None]:
    """A date, in milliseconds since 1970."""

    def read(query: QueryParams) -> int | None:
        text = query.get(name, "")
        if not text:
            return default_ms
        try:
            # A plus that was not escaped arrives as a space.
            return parse_date_ms(text.replace(" ", "+"))
        except DurationError:
            fix = "write it as 2030-01-31T12:00:00Z"
            raise Problem(400, f"Invalid {name} query parameter: {text!r}; {fix}") from None

    return Parameter(name, read, {"type": "string", "format": "date-time"}, said)


def expression(said: str) -> Parameter[Program | None]:
    """An expression that what is listed has to satisfy, with what `sessions` asks for; none if
    neither is asked for."""

    def read(query: QueryParams) -> Program | None:
        lines = [*_of_sessions(query), query.get("query", "")]
        text = "\n".join(line for line in lines if line.strip())
        if not text:
            return None
        if len(text) > EXPRESSION_CHARS_MAX:
            most = EXPRESSION_CHARS_MAX
            raise Problem(400, f"query has {len(text)} letters, at most {most} are allowed")
        try:
            return compile_search(text)
        except ExpressionError as error:
            raise Problem(400, f"query: {error}") from None

    return Parameter("query", read, {"type": "string"}, said)


def sessions(said: str) -> Parameter[tuple[str, ...]]:
    """Event sessions as `key=id`. They are conditions like any other: `expression` reads them."""
    schema = {"type": "string", "pattern": "^[^=]+=.+$"}
    return Parameter("session", _of_sessions, schema, said, many=True)


def _of_sessions(query: QueryParams) -> tuple[str, ...]:
    # An id may have commas: each session is a parameter of its own.
    given = [*query.getlist("session"), *query.getlist("session[]")]
    return tuple(session_condition("session", text) for text in given if text)


def session_condition(name: str, text: str) -> str:
    """The condition that an event belongs to the session `key=id`, which the field `name` gave."""
    key, mark, id_ = text.partition("=")
    if not (key and mark and id_):
        raise Problem(400, f"{name} {text[:80]!r} is none: write it as key=id, such as user=7")
    quoted = [msgspec.json.encode(part).decode() for part in (key, id_)]
    return f"event.meta.sessions[{quoted[0]}] == {quoted[1]}"


def entry(said: str) -> Parameter[str]:
    """Where a page begins: the id of the last entry of the page before."""

    def read(query: QueryParams) -> str:
        text = query.get("cursor", "")
        if text and not is_ulid(text):
            refused = f"Invalid cursor query parameter: {text!r} is no id of a listed entry"
            raise Problem(400, refused)
        return text

    return Parameter("cursor", read, {"type": "string"}, said)


def about(default: int, most: int) -> Parameter[int]:
    """How many entries; 0 means the default, what is too much the most, as SDKs of v1 expect."""

    def read(query: QueryParams) -> int:
        text = query.get("limit", "")
        if text and not _is_count(text):
            fix = f"write a number, at most {most}"
            raise Problem(400, f"Invalid limit query parameter: {text!r}; {fix}")
        return min(int(text or 0) or default, most)

    said = f"How many, at most {most}: more counts as that, 0 as the default."
    return Parameter("limit", read, {"type": "integer", "minimum": 0, "default": default}, said)


def limit(default: int, most: int) -> Parameter[int]:
    """How many entries, from 1 to so many; anything else is refused."""

    def read(query: QueryParams) -> int:
        text = query.get("limit", "")
        if not text:
            return default
        if not _is_count(text) or int(text) < 1:
            fix = "write a number from 1 on"
            raise Problem(400, f"Invalid limit query parameter: {text!r}; {fix}")
        if int(text) > most:
            raise Problem(400, f"Limit cannot exceed {most}")
        return int(text)

    return Parameter("limit", read, _numbered(default, most), f"How many, at most {most}.")


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _numbered(default: int, most: int) -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": most, "default": default}


def one_of(name: str, words: type[W], default: W, said: str) -> Parameter[W]:
    """One word of several."""

    def read(query: QueryParams) -> W:
        text = query.get(name, "")
        if not text:
            return default
        try:
            return words(text)
        except ValueError:
            known = ", ".join(words)
            raise Problem(
                400, f"Invalid {name} query parameter: {text!r}; write one of {known}"
            ) from None

    return Parameter(name, read, {"enum": [*words], "default": default}, said)


def flag(name: str, said: str) -> Parameter[bool]:
    """Yes or no; no if it is not asked for."""
    schema = {"type": "boolean", "default": False}
    return Parameter(name, lambda query: _flag(name, query), schema, said)


def choice(name: str, said: str) -> Parameter[bool | None]:
    """Yes or no; neither if it is not asked for."""

    def read(query: QueryParams) -> bool | None:
        return _flag(name, query) if name in query else None

    return Parameter(name, read, {"type": "boolean"}, said)


def _flag(name: str, query: QueryParams) -> bool:
    text = query.get(name, "").lower()
    if text not in _FLAGS:
        raise Problem(400, f"Invalid {name} query parameter: {text!r}; write true or false")
    return _FLAGS[text]


def seconds(name: str, most: float, said: str) -> Parameter[float]:
    """A length of time in seconds, at most so many; 0 if it is not asked for."""

    def read(query: QueryParams) -> float:
        text = query.get(name, "")
        if not text:
            return 0.0
        try:
            asked = float(text)
        except ValueError:
            asked = -1.0
        if not 0 <= asked < float("inf"):
            fix = f"write a number of seconds, at most {most:g}"
            raise Problem(400, f"Invalid {name} query parameter: {text!r}; {fix}")
        return min(asked, most)

    return Parameter(name, read, {"type": "number", "minimum": 0}, said)


def statuses(said: str) -> Parameter[tuple[RunStatus, ...]]:
    """Run statuses by their words, whatever their case; `queued` is `scheduled`."""

    def read(query: QueryParams) -> tuple[RunStatus, ...]:
        try:
            return tuple(status_named(text) for text in _listed(query, "status"))
        except ValueError as error:
            raise Problem(400, str(error)) from None

    return Parameter("status", read, {"enum": [*StatusV2]}, said, many=True)


def texts(name: str, said: str) -> Parameter[tuple[str, ...]]:
    """Several texts."""
    schema = {"type": "string"}
    return Parameter(name, lambda query: tuple(_listed(query, name)), schema, said, many=True)


def _listed(query: QueryParams, name: str) -> list[str]:
    values = [*query.getlist(name), *query.getlist(f"{name}[]")]
    return [part.strip() for value in values for part in value.split(",") if part.strip()]
