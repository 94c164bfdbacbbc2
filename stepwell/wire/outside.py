"""The only place that reads JSON of whoever may have written it.

A decoder follows what is nested as deep as the interpreter lets it, which depends on who called it.
Here the depth has a limit of its own, low enough that whatever passes can be read again anywhere.
"""

from array import array
from itertools import accumulate
from typing import Final, TypeVar

import msgspec

DEPTH_MAX: Final = 250
_PIECE = 65_536
_OTHERS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")

T = TypeVar("T")


class TooDeep(msgspec.DecodeError):
    """JSON that is nested deeper than anybody needs."""

    def __init__(self) -> None:
        """Says the limit and the fix."""
        super().__init__(f"JSON is nested more than {DEPTH_MAX} levels deep: flatten it")


def decode(raw: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T:
    """What a decoder reads. Raises msgspec.DecodeError, UnicodeDecodeError, and `TooDeep`, which is
    the former."""
    check_depth(raw)
    try:
        return decoder.decode(raw)
    except RecursionError:
        raise TooDeep from None


def check_depth(raw: bytes | msgspec.Raw) -> None:
    """Raises `TooDeep`."""
    text = bytes(raw)
    # Nearly everything has fewer brackets than it may be deep.
    if text.count(b"[") + text.count(b"{") > DEPTH_MAX and _depth(text) > DEPTH_MAX:
        raise TooDeep


def has_more_values(raw: bytes | msgspec.Raw, most: int) -> bool:
    """Whether JSON holds more than so many values, lists and objects among them."""
    text = bytes(raw)
    # Nearly everything is too short for it, or has few commas.
    if len(text) <= most or _values(text) <= most:
        return False
    # Of two texts one is a value at least: the other may be its name.
    if _plain(text).count(b'"') > 4 * most:
        return True
    return _values(_without_texts(text)) > most


def _values(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _without_texts(text: bytes) -> bytes:
    return b"".join(_plain(text).split(b'"')[::2])


def _plain(text: bytes) -> bytes:
    """The same, in which each quotation mark begins or ends a text."""
    return text.replace(b"\\\\", b"").replace(b'\\"', b"")


def _depth(text: bytes) -> int:
    """How deep brackets are nested, counted no further than is too deep."""
    brackets = _without_texts(text).translate(_STEPS, _OTHERS)
    depth = deepest = 0
    for at in range(0, len(brackets), _PIECE):
        levels = list(accumulate(array("b", brackets[at : at + _PIECE]), initial=depth))
        deepest, depth = max(deepest, *levels), levels[-1]
        if deepest > DEPTH_MAX:
            break
    return deepest
