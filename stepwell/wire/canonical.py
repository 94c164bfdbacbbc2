"""The only place that brings JSON into its canonical form (RFC 8785).

The server normalises every payload once, at intake, and afterwards embeds it verbatim in the calls
it signs. Law: `canonical(canonical(x)) == canonical(x)`, and what comes out is what an ECMAScript
`JSON.stringify` with sorted keys would print: integers beyond 2**53 are rounded, -0 is 0, escapes
are minimal, keys are ordered by UTF-16 code units.
"""

import json
import re
from decimal import Decimal
from typing import TypeAlias

import msgspec

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"

# A JSON value of which only the first level is typed: the decoder knows no recursive types.
Loose: TypeAlias = dict[str, object] | list[object] | str | int | float | bool | None

# What stands in a tree that is about to be encoded: numbers JSON text knows better than a float.
_Leaf: TypeAlias = "dict[str, _Leaf] | list[_Leaf] | str | int | float | bool | msgspec.Raw | None"

_TOO_LARGE = "a number is beyond the range of a double: send it as a string"
_SAFE_INTEGER = 2**53
_DIGITS_SUSPECT = b"0" * 16
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Digits become "0" and the lead bytes of characters beyond the BMP become 0xF0, so that two plain
# searches find what the fast path cannot print.
_FOLD = bytes(
    0x30 if 0x30 <= byte <= 0x39 else 0xF0 if 0xF0 <= byte <= 0xF4 else byte for byte in range(256)
)
_ATOMS = frozenset({b"null", b"true", b"false", b"{}", b"[]", b'""', b"0", b"1"})


def _number(value: float) -> int | float | msgspec.Raw:
    """A float as something the encoder prints the way ECMAScript does."""
    if value.is_integer():
        if abs(value) <= _SAFE_INTEGER:
            return int(value)
        return int(Decimal(repr(value))) if abs(value) < 1e21 else msgspec.Raw(repr(value).encode())
    size = abs(value)
    if 1e-6 <= size < 1e-5:
        return msgspec.Raw(format(Decimal(repr(value)), "f").encode())
    if size == float("inf"):
        raise ValueError(_TOO_LARGE)
    return value


def _float(text: str) -> int | float | msgspec.Raw:
    return _number(float(text))


_DECODER = msgspec.json.Decoder(float_hook=_float)
_ENCODER = msgspec.json.Encoder(order="sorted")
_PLAIN_ENCODER = msgspec.json.Encoder()


def _utf16(pair: tuple[str, object]) -> bytes:
    return pair[0].encode("utf-16-be")


def _arranged(value: _Leaf) -> _Leaf:
    """The tree with keys in UTF-16 order and large integers rounded."""
    if isinstance(value, dict):
        return {key: _arranged(item) for key, item in sorted(value.items(), key=_utf16)}
    if isinstance(value, list):
        return [_arranged(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE_INTEGER:
        return _number(float(value))
    return value


def _encoded(value: _Leaf) -> bytes:
    out = _ENCODER.encode(value)
    folded = out.translate(_FOLD)
    if _DIGITS_SUSPECT in folded or b"\xf0" in folded:
        return _PLAIN_ENCODER.encode(_arranged(value))
    return out


def repaired(text: str) -> str:
    """JSON text with each lone surrogate (legal as an escape, no character) made U+FFFD.

    Raises ValueError if `text` is no JSON.
    """
    plain = json.dumps(json.loads(text, parse_constant=_refuse), ensure_ascii=False)
    return _LONE_SURROGATE.sub("\ufffd", plain)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no JSON: send null or a string")


def _decoded(raw: bytes | msgspec.Raw) -> _Leaf:
    try:
        value: _Leaf = _DECODER.decode(raw)
    except msgspec.DecodeError as problem:
        text = bytes(raw).decode()
        if "\\ud" not in text.lower():
            raise ValueError(str(problem)) from None
        value = _DECODER.decode(repaired(text))
    return value


def canonical(raw: bytes | msgspec.Raw) -> bytes:
    """`raw` JSON in canonical form (http.md 2.2).

    Raises ValueError if `raw` is no JSON, is nested beyond what the interpreter follows, is not
    UTF-8, or holds a number beyond a double.
    """
    if len(raw) < 6 and (atom := bytes(raw)) in _ATOMS:
        return atom
    try:
        return _encoded(_decoded(raw))
    except OverflowError:
        raise ValueError(_TOO_LARGE) from None
    except RecursionError:
        raise ValueError("JSON is nested too deeply: flatten it") from None


def canonical_value(value: JSON) -> bytes:
    """A JSON value, encoded in canonical form. Raises ValueError for infinities and NaN."""
    return canonical(_PLAIN_ENCODER.encode(_finite(value)))


def _finite(value: JSON) -> JSON:
    if isinstance(value, float) and not -1.8e308 < value < 1.8e308:
        raise ValueError(f"{value} is no JSON: send null or a string")
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
