"""Values judged by JSON Schema: the only place that says where one does not fit."""

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, cast
from uuid import UUID

import msgspec

from stepwell.sdk.events.shape import (
    Anything,
    Choice,
    Either,
    Field,
    Kind,
    Listing,
    Record,
    Reference,
    Scalar,
    Schema,
    Shape,
    Table,
    read_schema,
)
from stepwell.sdk.events.validator import Problem, Unfit

_DEPTH_MAX = 200


class ShapeValidator:
    """Values judged by a JSON Schema; a `Validator`."""

    def __init__(
        self, schema: Mapping[str, Any], document: Mapping[str, Any] | None = None
    ) -> None:
        """Raises ValueError for a schema with a reference that leads nowhere."""
        self._source = dict(schema)
        self._schema = read_schema(schema, document)

    def load(self, body: bytes) -> Any:
        """The value that JSON stands for. Raises Unfit with all problems."""
        value = msgspec.json.decode(body)
        problems = list(misfits(self._schema, value))
        if problems:
            raise Unfit(problems)
        return value

    def dump(self, value: Any) -> Any:
        """The value itself: it is plain already."""
        return value

    def json_schema(self) -> dict[str, Any] | None:
        """The schema it was made of."""
        return self._source


def misfits(schema: Schema, value: object) -> list[Problem]:
    """Every place where a value does not fit."""
    return _misfits(schema.shape, value, "", schema.named, 0)


def _misfits(
    shape: Shape, value: Any, path: str, named: Mapping[str, Shape], depth: int
) -> list[Problem]:
    if depth > _DEPTH_MAX:
        return [(path, "nested too deeply")]
    match shape:
        case Anything():
            return []
        case Reference():
            return _misfits(named[shape.name], value, path, named, depth + 1)
        case Scalar():
            return _scalar_misfits(shape, value, path)
        case Choice():
            fits = any(_same(value, one) for one in shape.values)
            shown = ", ".join(map(_shown, shape.values))
            return [] if fits else [(path, f"{_shown(value)} is not one of {shown}")]
        case Either():
            tried = [_misfits(one, value, path, named, depth + 1) for one in shape.members]
            return [] if not all(tried) else min(tried, key=len)
        case Listing():
            return _list_misfits(shape, value, path, named, depth)
        case Table() | Record():
            return _object_misfits(shape, value, path, named, depth)


def _list_misfits(
    shape: Listing, value: Any, path: str, named: Mapping[str, Shape], depth: int
) -> list[Problem]:
    if not isinstance(value, list):
        return [(path, f"{_shown(value)} is no list")]
    items = cast("list[object]", value)
    found = [(path, text) for text in _out_of_bounds(shape.bounds, items)]
    for index, item in enumerate(items):
        found += _misfits(shape.item, item, _join(path, index), named, depth + 1)
    return found


def _object_misfits(
    shape: Table | Record, value: Any, path: str, named: Mapping[str, Shape], depth: int
) -> list[Problem]:
    if not isinstance(value, dict):
        return [(path, f"{_shown(value)} is no object")]
    given = cast("dict[str, object]", value)
    if isinstance(shape, Table):
        fields = [Field(key, shape.value, required=False) for key in given]
        extra = True
    else:
        fields, extra = list(shape.fields), shape.extra
    found: list[Problem] = []
    for field in fields:
        place = _join(path, field.name)
        if field.name in given:
            found += _misfits(field.shape, given[field.name], place, named, depth + 1)
        elif field.required:
            found.append((place, "Field required"))
    if not extra:
        known = {field.name for field in fields} | {"_inngest"}
        found += [(_join(path, key), "no such field") for key in given if key not in known]
    return found


def _scalar_misfits(shape: Scalar, value: Any, path: str) -> list[Problem]:
    if not _IS[shape.kind](value):
        return [(path, f"{_shown(value)} is no {_WORDS[shape.kind]}")]
    return [(path, text) for text in _out_of_bounds(shape.bounds, value)]


def _is_int(value: object) -> bool:
    whole = isinstance(value, float) and value.is_integer()
    return (isinstance(value, int) and not isinstance(value, bool)) or whole


def _is_float(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_IS: dict[Kind, Callable[[object], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": _is_int,
    "float": _is_float,
    "bool": lambda value: isinstance(value, bool),
    "None": lambda value: value is None,
}
_WORDS: dict[Kind, str] = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "boolean",
    "None": "null",
}


def _out_of_bounds(bounds: tuple[tuple[str, Any], ...], value: Any) -> list[str]:
    return [
        f"{_shown(value)} breaks {keyword} {bound!r}"
        for keyword, bound in bounds
        if keyword in _HOLDS and not _holds(keyword, value, bound)
    ]


def _holds(keyword: str, value: Any, bound: Any) -> bool:
    try:
        return _HOLDS[keyword](value, bound)
    except TypeError:
        return True  # a bound for values of another type


def _has_format(value: Any, format: str) -> bool:
    read = _FORMATS.get(format)
    if read is None or not isinstance(value, str):
        return True
    try:
        read(value)
    except ValueError:
        return False
    return True


_FORMATS: dict[str, Callable[[str], object]] = {
    "date-time": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "uuid": UUID,
}
_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
    "minLength": lambda value, bound: len(value) >= bound,
    "maxLength": lambda value, bound: len(value) <= bound,
    "minItems": lambda value, bound: len(value) >= bound,
    "maxItems": lambda value, bound: len(value) <= bound,
    "pattern": lambda value, bound: re.search(bound, value) is not None,
    "format": _has_format,
}


def _same(value: object, other: object) -> bool:
    """Equal as JSON: true is not 1."""
    return isinstance(value, bool) == isinstance(other, bool) and value == other


def _join(path: str, part: object) -> str:
    return f"{path}.{part}" if path else str(part)


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
