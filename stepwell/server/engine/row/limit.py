"""The only place that makes and reads the rows of named limits, and the ids of their keys.

A limit's numbers are one row; what is used of it is remembered for each value of its key.
"""

import re
from zlib import crc32

import msgspec

from stepwell.server.engine.row.flow import FlowKey, KeyKind
from stepwell.server.flow.named_limit import NamedLimit
from stepwell.wire.named_limit import NAME

_NUMBERS = "named:"
_USE = "limit:"
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")
_CHARS_MAX = 100
_FOR_EVER_MS = 2**62


def numbers_id(name: str) -> str:
    """The id of the row with a limit's numbers."""
    return _NUMBERS + name


def use_key(name: str, value: str = "") -> str:
    """The key that calls stand under that name a limit, with the text of their key's value."""
    return f"{_USE}{name}:{value}"


def limit_name(key: str) -> str:
    """The limit a key is of; empty if it is of none."""
    return key.removeprefix(_USE).partition(":")[0] if key.startswith(_USE) else ""


def key_text(key: str) -> str:
    """The value of a limit's key, as text."""
    return key.removeprefix(_USE).partition(":")[2]


def own_name(function: str, step: str) -> str:
    """The name of a limit that one step alone stands under."""
    name = f"{function}.{step}"
    if NAME.fullmatch(name):
        return name
    # Not every name of a step is one of a limit: what tells such steps apart is kept as a number.
    short = _OTHER.sub("-", name).strip("-.")[: _CHARS_MAX - 9]
    return f"{short or 'step'}-{crc32(name.encode()):08x}"


def row_of_limit(limit: NamedLimit) -> FlowKey:
    """The row that keeps a limit and its numbers."""
    data = msgspec.json.encode(limit)
    return FlowKey(numbers_id(limit.name), KeyKind.LIMIT, _FOR_EVER_MS, data=data)


_LIMIT = msgspec.json.Decoder(NamedLimit)


def limit_of_row(row: FlowKey) -> NamedLimit | None:
    """The limit a row keeps; None if the row says that there is none any more, or was written by a
    version that keeps others: then it is no limit, and the server runs."""
    try:
        return _LIMIT.decode(row.data) if row.data else None
    except msgspec.DecodeError:
        return None
