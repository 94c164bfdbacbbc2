"""The only place that reads query parameters, or says which one cannot be used and why."""

from enum import StrEnum
from typing import TypeVar

from starlette.datastructures import QueryParams

from stepwell.server.api.problem import Problem
from stepwell.server.engine.row import RunStatus
from stepwell.server.query.run_object import status_named
from stepwell.wire.duration import DurationError, parse_date_ms
from stepwell.wire.identifier import is_ulid

W = TypeVar("W", bound=StrEnum)

_FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}


def instant(query: QueryParams, name: str, default_ms: int | None) -> int | None:
    """A date, in milliseconds since 1970."""
    text = query.get(name, "")
    if not text:
        return default_ms
    try:
        # A plus that was not escaped arrives as a space.
        return parse_date_ms(text.replace(" ", "+"))
    except DurationError:
        fix = "write it as 2030-01-31T12:00:00Z"
        raise Problem(400, f"Invalid {name} query parameter: {text!r}; {fix}") from None


def cursor(query: QueryParams) -> str:
    """Where a page begins: the id of the last entry of the page before."""
    text = query.get("cursor", "")
    if text and not is_ulid(text):
        raise Problem(400, f"Invalid cursor query parameter: {text!r} is no id of a listed entry")
    return text


def limit(query: QueryParams, default: int, most: int) -> int:
    """How many entries; what is no number means the default, what is too much the most."""
    text = query.get("limit", "")
    count = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    return min(count or default, most)


def count(query: QueryParams, default: int, most: int) -> int:
    """How many entries, from 1 to so many; anything else is refused."""
    text = query.get("limit", "")
    if not text:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise Problem(400, f"Invalid limit query parameter: {text!r}; write a number from 1 on")
    if int(text) > most:
        raise Problem(400, f"Limit cannot exceed {most}")
    return int(text)


def one_of(query: QueryParams, name: str, words: type[W], default: W) -> W:
    """One word of several."""
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


def flag(query: QueryParams, name: str) -> bool:
    """Yes or no; no if it is not asked for."""
    text = query.get(name, "").lower()
    if text not in _FLAGS:
        raise Problem(400, f"Invalid {name} query parameter: {text!r}; write true or false")
    return _FLAGS[text]


def seconds(query: QueryParams, name: str, most: float) -> float:
    """A length of time in seconds, at most so many; 0 if it is not asked for."""
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


def statuses(query: QueryParams) -> tuple[RunStatus, ...]:
    """Run statuses by their words, whatever their case; `queued` is `scheduled`."""
    try:
        return tuple(status_named(text) for text in _listed(query, "status"))
    except ValueError as error:
        raise Problem(400, str(error)) from None


def texts(query: QueryParams, name: str) -> tuple[str, ...]:
    """A parameter that may be repeated, or hold several texts with commas between them."""
    return tuple(_listed(query, name))


def _listed(query: QueryParams, name: str) -> list[str]:
    values = [*query.getlist(name), *query.getlist(f"{name}[]")]
    return [part.strip() for value in values for part in value.split(",") if part.strip()]
