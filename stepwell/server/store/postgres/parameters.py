"""Values in the binary form in which PostgreSQL takes them, by the types that it says parameters
have. Pure."""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import psycopg

Encode: TypeAlias = Callable[[Any], bytes]

_HEAD = struct.Struct("!iiIii")
_EMPTY = struct.Struct("!iiI")
_LENGTH = struct.Struct("!i")
_NULL = _LENGTH.pack(-1)


def _number(layout: str) -> Encode:
    pack = struct.Struct(layout).pack

    def encode(value: int) -> bytes:
        try:
            return pack(value)
        except struct.error as error:
            raise psycopg.DataError(f"{value!r} is no number that fits: {error}") from None

    return encode


def _array(element_type: int, element: Encode) -> Encode:
    def encode(values: Sequence[Any]) -> bytes:
        if not values:
            return _EMPTY.pack(0, 0, element_type)
        count = len(values)
        head = _HEAD.pack(1, int(None in values), element_type, count, 1)
        # Columns of many rows often say the same in all of them.
        if values.count(values[0]) == count:
            return head + _cell(values[0], element) * count
        parts = [head]
        for value in values:
            if value is None:
                parts.append(_NULL)
            else:
                data = element(value)
                parts.append(_LENGTH.pack(len(data)))
                parts.append(data)
        return b"".join(parts)

    return encode


def _cell(value: Any, element: Encode) -> bytes:
    if value is None:
        return _NULL
    data = element(value)
    return _LENGTH.pack(len(data)) + data


# Types by their number, which is the same in every database.
_BYTEA, _INT8, _INT4, _TEXT = 17, 20, 23, 25
_SCALARS: dict[int, Encode] = {
    _BYTEA: bytes,
    _INT8: _number("!q"),
    _INT4: _number("!i"),
    _TEXT: str.encode,
}
_ARRAYS = {1001: _BYTEA, 1016: _INT8, 1007: _INT4, 1009: _TEXT}

ENCODE: Mapping[int, Encode] = _SCALARS | {
    array: _array(element, _SCALARS[element]) for array, element in _ARRAYS.items()
}
"""How a value of a type is written: bytes, numbers, text, and arrays of them with NULLs."""
