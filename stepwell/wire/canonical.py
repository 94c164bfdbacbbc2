"""The only place that brings JSON into a fixed form: one that is kept, and one that is signed.

The server normalises every payload once, at intake, and afterwards embeds it verbatim in the calls
it sends. `canonical` is that form: RFC 8785 (JCS: sorted keys, minimal escapes, no spaces) but for
numbers, which keep their value and kind. An integer has all its digits, however many; a float stays
one (`1.0`, `-0.0`). `jcs` is RFC 8785 to the letter, where every number is a double: signatures are
made over it, because the official SDKs verify them so.

Laws: `canonical(canonical(x)) == canonical(x)`, `jcs(canonical(x)) == jcs(x)`, and what comes out
of `jcs` is what an ECMAScript `JSON.stringify` with sorted keys would print.
"""

import json
import re
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from stepwell.wire.outside import TooDeep, decode

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"

# A JSON value of which only the first level is typed: the decoder knows no recursive types.
Loose: TypeAlias = dict[str, object] | list[object] | str | int | float | bool | None

# What stands in a tree that is about to be encoded: numbers JSON text knows better than a float.
_Leaf: TypeAlias = "dict[str, _Leaf] | list[_Leaf] | str | int | float | bool | msgspec.Raw | None"

_TOO_LARGE = "a number is beyond the range of a double: send it as a string"
_TOO_LONG = "an integer has more than 4300 digits: send it as a string"
_SAFE_INTEGER = 2**53
_DIGITS_SUSPECT = b"0" * 16
_WHOLE_FLOATS = (b".0,", b".0}", b".0]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# A surrogate in UTF-8 is 0xED and two bytes, of which the first is that of no other character.
_LEAD = bytes(255 if byte == 0xED else 0 for byte in range(256))
_SECOND = bytes(255 if 0xA0 <= byte <= 0xBF else 0 for byte in range(256))
_REPLACEMENT = tuple(bytes([0] * 255 + [byte]) for byte in "\ufffd".encode())
# Digits become "0" and the lead bytes of characters beyond the BMP become 0xF0, so that two plain
# searches find what the fast path cannot print.
_FOLD = bytes(
    0x30 if 0x30 <= byte <= 0x39 else 0xF0 if 0xF0 <= byte <= 0xF4 else byte for byte in range(256)
)
_ATOMS = frozenset({b"null", b"true", b"false", b"{}", b"[]", b'""', b"0", b"1"})


def _float(text: str) -> float | msgspec.Raw:
    """A number that is written as a float, as something the encoder prints the way we want it."""
    value = float(text)
    size = abs(value)
    if size < 1e16 and not 1e-6 <= size < 1e-5:
        return value
    if size == float("inf"):
        raise ValueError(_TOO_LARGE)
    if size >= 1e21:
        return msgspec.Raw(repr(value).encode())
    written = format(Decimal(repr(value)), "f")
    return msgspec.Raw((written + ".0" if size >= 1 and "." not in written else written).encode())


def _double(text: str) -> int | float | msgspec.Raw:
    """A number that is written as a float, printed the way ECMAScript does."""
    value = float(text)
    return int(Decimal(repr(value))) if value.is_integer() and abs(value) < 1e21 else _float(text)


_DECODER = msgspec.json.Decoder(float_hook=_float)
_JCS_DECODER = msgspec.json.Decoder(float_hook=_double)
_ENCODER = msgspec.json.Encoder(order="sorted")
_PLAIN_ENCODER = msgspec.json.Encoder()


def _utf16(pair: tuple[str, object]) -> bytes:
    return pair[0].encode("utf-16-be")


def _arranged(value: _Leaf) -> _Leaf:
    """The tree with keys in UTF-16 order."""
    if isinstance(value, dict):
        return {key: _arranged(item) for key, item in sorted(value.items(), key=_utf16)}
    return [_arranged(item) for item in value] if isinstance(value, list) else value


def _doubled(value: _Leaf) -> _Leaf:
    """The tree with large integers as the doubles next to them."""
    if isinstance(value, dict):
        return {key: _doubled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_doubled(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE_INTEGER:
        return _double(str(value))
    return value


def _encoded(value: _Leaf) -> bytes:
    out = _ENCODER.encode(value)
    return _PLAIN_ENCODER.encode(_arranged(value)) if b"\xf0" in out.translate(_FOLD) else out


def repaired(text: str) -> str:
    """JSON text with each lone surrogate (legal as an escape, no character) made U+FFFD.

    Raises ValueError if `text` is no JSON.
    """
    plain = json.dumps(json.loads(text, parse_constant=_refuse), ensure_ascii=False)
    return _replaced(plain)


def _replaced(plain: str) -> str:
    """The text with U+FFFD for each surrogate, all of them at once: there may be a million. Both
    have three bytes, so the bytes of the text are one number, and those of surrogates its digits.
    """
    if _LONE_SURROGATE.search(plain) is None:
        return plain
    text = plain.encode("utf-8", "surrogatepass")
    number, size = _number(text), len(text)
    begins = _number(text.translate(_LEAD)) & _number(text.translate(_SECOND)) >> 8
    marks, whole, instead = begins.to_bytes(size, "little"), 0, 0
    for place, table in enumerate(_REPLACEMENT):
        whole |= begins << 8 * place
        instead |= _number(marks.translate(table)) << 8 * place
    return (number ^ (number & whole) | instead).to_bytes(size, "little").decode()


def _number(text: bytes) -> int:
    return int.from_bytes(text, "little")


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no JSON: send null or a string")


def _decoded(raw: bytes | msgspec.Raw, decoder: "msgspec.json.Decoder[Any]") -> _Leaf:
    try:
        value: _Leaf = decode(raw, decoder)
    except TooDeep as problem:
        raise ValueError(str(problem)) from None
    except msgspec.DecodeError as problem:
        if str(problem).startswith("Integer value out of range"):
            raise ValueError(_TOO_LONG) from None
        text = bytes(raw).decode()
        if "\\ud" not in text.lower():
            raise ValueError(str(problem)) from None
        value = decoder.decode(repaired(text))
    return value


def canonical(raw: bytes | msgspec.Raw) -> bytes:
    """`raw` JSON in the form the server keeps: JCS, but for its numbers.

    Raises ValueError if `raw` is no JSON, is nested too deeply, is not UTF-8,
    or holds a float beyond a double or an integer of more than 4300 digits.
    """
    if len(raw) < 6 and (atom := bytes(raw)) in _ATOMS:
        return atom
    try:
        return _encoded(_decoded(raw, _DECODER))
    except OverflowError:
        raise ValueError(_TOO_LARGE) from None
    except RecursionError:
        raise ValueError("JSON is nested too deeply: flatten it") from None


def jcs(raw: bytes | msgspec.Raw) -> bytes:
    """`raw` JSON as RFC 8785 has it, every number a double: what is signed.

    Raises ValueError as `canonical` does, and for an integer beyond a double.
    """
    try:
        value = _decoded(raw, _JCS_DECODER)
        out = _encoded(value)
        return _encoded(_doubled(value)) if _DIGITS_SUSPECT in out.translate(_FOLD) else out
    except OverflowError:
        raise ValueError(_TOO_LARGE) from None
    except RecursionError:
        raise ValueError("JSON is nested too deeply: flatten it") from None


def fields(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of an object: the UTF-16 code units each is sorted by, and the text it has in
    `canonical`. Raises ValueError as that does."""
    return [(name, key + _encoded(item)) for name, key, item in _named(raw, _DECODER)]


def jcs_fields(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The same in `jcs`."""
    return [(name, key + _encoded(_doubled(item))) for name, key, item in _named(raw, _JCS_DECODER)]


def _named(raw: bytes, decoder: "msgspec.json.Decoder[Any]") -> list[tuple[bytes, bytes, _Leaf]]:
    try:
        value = _decoded(raw, decoder)
    except OverflowError:
        raise ValueError(_TOO_LARGE) from None
    assert isinstance(value, dict)
    return [
        (key.encode("utf-16-be"), _PLAIN_ENCODER.encode(key) + b":", item)
        for key, item in value.items()
    ]


def is_jcs(body: bytes) -> bool:
    """Whether two searches find nothing in canonical JSON that JCS writes otherwise. What they find
    may be part of a text."""
    if body.endswith(b".0") or any(end in body for end in _WHOLE_FLOATS):
        return False
    return _DIGITS_SUSPECT not in body.translate(_FOLD)


def jcs_of_canonical(body: bytes) -> bytes:
    """The same for JSON that is canonical: most of it is JCS already, and is given back at once.

    What holds an integer beyond a double has no JCS, and is given back as it is.
    """
    if is_jcs(body):
        return body
    try:
        return jcs(body)
    except ValueError:
        return body


def jcs_value(value: JSON) -> bytes:
    """A JSON value in JCS form. Raises ValueError for infinities and NaN."""
    return jcs(_PLAIN_ENCODER.encode(_finite(value)))


def _finite(value: JSON) -> JSON:
    if isinstance(value, float) and not -1.8e308 < value < 1.8e308:
        raise ValueError(f"{value} is no JSON: send null or a string")
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
