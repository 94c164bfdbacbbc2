"""The only place that takes a long JSON list apart without reading the rest of it.

A decoder reads all of a list in one call, which keeps everybody waiting when the list is long. What
comes first of it is found by having it decoded alone: the decoder says where it ends.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

_GAP_BYTES: Final = 4096
"""More white space than this between two elements is not looked through."""
_BETWEEN = re.compile(rb"[ \t\r\n]*([,\]])")
_BLANK = re.compile(rb"[ \t\r\n]*")
_END = re.compile(r"JSON is malformed: trailing characters \(byte (\d+)\)")
ONE = msgspec.json.Decoder(msgspec.Raw)
"""Finds where a value ends."""


class TooLong(ValueError):
    """An element is longer than any may be."""


def elements(body: bytes, bytes_max: int) -> Iterator[memoryview]:
    """Each element of a list, as it is written there; `body` begins with its bracket.

    Raises ValueError where it is no JSON, and `TooLong` for an element of more than `bytes_max`
    bytes. What was given before is good JSON.
    """
    view, at = memoryview(body), _past_blank(body, 1)
    if body[at : at + 1] == b"]":
        _check_end(body, at + 1)
        return
    while True:
        end = at + _length(view[at : at + bytes_max], is_rest=at + bytes_max >= len(body))
        yield view[at:end]
        found = _BETWEEN.match(body, end, end + _GAP_BYTES)
        if found is None:
            raise ValueError(f"expected a comma or ] (byte {end})")
        if found[1] == b"]":
            _check_end(body, found.end())
            return
        at = _past_blank(body, found.end())


def _length(begin: memoryview, *, is_rest: bool) -> int:
    """How long the value is that stands first."""
    try:
        ONE.decode(begin)
    except msgspec.DecodeError as problem:
        found = _END.fullmatch(str(problem))
        if found is not None:
            # It counts the first byte that does not belong to the value.
            return int(found[1]) - 1
        if "truncated" in str(problem) and not is_rest:
            raise TooLong from None
        raise
    return len(begin)


def _past_blank(body: bytes, at: int) -> int:
    found = _BLANK.match(body, at, at + _GAP_BYTES)
    return at if found is None else found.end()


def _check_end(body: bytes, at: int) -> None:
    if _past_blank(body, at) != len(body):
        raise ValueError(f"there is more behind the list (byte {at})")
