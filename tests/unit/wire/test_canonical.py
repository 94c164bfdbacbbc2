"""The canonical form, with an independent implementation of RFC 8785 as the judge."""

import json
import math

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from stepwell.wire.canonical import canonical, canonical_value

SAFE = 2**53 - 1
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | st.integers(-SAFE, SAFE) | FLOATS | TEXT
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)


def judged(value: object) -> bytes:
    return rfc8785.dumps(value)


@given(VALUES)
def test_agrees_with_the_judge(value: object) -> None:
    assert canonical(json.dumps(value).encode()) == judged(value)
    assert canonical(json.dumps(value, ensure_ascii=False, indent=1).encode()) == judged(value)


@given(VALUES)
def test_is_idempotent_and_changes_no_meaning(value: object) -> None:
    form = canonical(json.dumps(value).encode())
    assert canonical(form) == form
    assert json.loads(form, parse_int=float) == json.loads(json.dumps(value), parse_int=float)


@given(FLOATS)
def test_numbers_print_as_in_ecmascript(number: float) -> None:
    expected = judged(int(number) if number == 0 else number)
    assert canonical(repr(number).encode()) == expected
    assert canonical(b'{"a":[' + repr(number).encode() + b"]}") == b'{"a":[' + expected + b"]}"


@given(st.integers(-(10**30), 10**30))
def test_integers_are_doubles(number: int) -> None:
    form = canonical(str(number).encode())
    assert float(form) == float(number)
    if abs(number) <= 2**53:
        assert form == str(number).encode()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"12345678901234567890", b"12345678901234567000"),
        (b'{"big":12345678901234567890}', b'{"big":12345678901234567000}'),
        (b"-0", b"0"),
        (b"-0.0", b"0"),
        (b"1.0", b"1"),
        (b"1E2", b"100"),
        (b"1e21", b"1e+21"),
        (b"1e-07", b"1e-7"),
        (b"0.000001", b"0.000001"),
        (b"1.5e-6", b"0.0000015"),
        (b"1e300", b"1e+300"),
        (b'{"b":1,"a":2}', b'{"a":2,"b":1}'),
        (b' { "a" : [ 1 , 2 ] } ', b'{"a":[1,2]}'),
        (b'{"a":1,"a":2}', b'{"a":2}'),
        ('{"\U0001f980":1,"\uffee":2}'.encode(), '{"\U0001f980":1,"\uffee":2}'.encode()),
        (b'"\\u00e9\\u2028\\/\\u0001\\n\\u007f"', '"é\u2028/\\u0001\\n\x7f"'.encode()),
        (b'"\\ud83e\\udd80"', '"\U0001f980"'.encode()),
        (b'{"a":"\\ud800"}', '{"a":"\ufffd"}'.encode()),
        (b'{"a":"\\uDC00x","b":1.0}', '{"a":"\ufffdx","b":1}'.encode()),
        (b"null", b"null"),
        (b"{}", b"{}"),
    ],
)
def test_examples(raw: bytes, expected: bytes) -> None:
    assert canonical(raw) == expected
    assert canonical(msgspec.Raw(raw)) == expected


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b" ", b"{", b"nul", b"[1,]", b"{a:1}", b"NaN", b"Infinity", b"1e400", b"-1e400"),
        *(b'"\xff"', b'"\\ud800', b"1 2", b"[" * 100_000, b'{"a":' * 100_000),
        b"1" + b"0" * 400,
        b"1" + b"0" * 5000,
    ],
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        canonical(raw)


@given(VALUES)
def test_values(value: object) -> None:
    assert canonical_value(value) == judged(value)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_json(number: float) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        canonical_value({"a": [number]})
