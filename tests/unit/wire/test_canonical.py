"""The form that is kept and the form that is signed, an independent implementation of RFC 8785 the
judge of the latter."""

import json
import math

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from stepwell.wire.canonical import canonical, jcs, jcs_of_canonical, jcs_value

SAFE = 2**53 - 1  # what the judge accepts
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | st.integers(-SAFE, SAFE) | FLOATS | TEXT
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)


def judged(value: object) -> bytes:
    return rfc8785.dumps(value)


@given(VALUES)
def test_what_is_signed_agrees_with_the_judge(value: object) -> None:
    for raw in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert jcs(raw.encode()) == judged(value)
        assert jcs(canonical(raw.encode())) == judged(value)
        assert jcs_of_canonical(canonical(raw.encode())) == judged(value)


@given(VALUES)
def test_is_idempotent_and_changes_nothing(value: object) -> None:
    form = canonical(json.dumps(value).encode())
    assert canonical(form) == form
    assert jcs(jcs(form)) == jcs(form)
    assert told(json.loads(form)) == told(value)


def told(value: object) -> str:
    """A value as text in which 1, 1.0 and True differ, and the order of keys does not count."""
    if isinstance(value, dict):
        return repr(sorted((key, told(item)) for key, item in value.items()))
    return repr([told(item) for item in value]) if isinstance(value, list) else repr(value)


@given(FLOATS)
def test_floats_are_signed_as_ecmascript_prints_them(number: float) -> None:
    expected = judged(int(number) if number == 0 else number)
    assert jcs(repr(number).encode()) == expected
    assert jcs(b'{"a":[' + repr(number).encode() + b"]}") == b'{"a":[' + expected + b"]}"


@given(st.integers(-(10**30), 10**30))
def test_integers_are_kept_and_signed_as_doubles(number: int) -> None:
    raw = str(number).encode()
    assert canonical(raw) == raw
    assert float(jcs(raw)) == float(number)
    assert jcs_of_canonical(b'{"a":%d}' % number) == b'{"a":%s}' % jcs(raw)


@pytest.mark.parametrize(
    ("raw", "kept", "signed"),
    [
        (b"9007199254740991", b"9007199254740991", b"9007199254740991"),
        (b"9007199254740993", b"9007199254740993", b"9007199254740992"),
        (b"-9007199254740993", b"-9007199254740993", b"-9007199254740992"),
        (b"9223372036854775808", b"9223372036854775808", b"9223372036854776000"),
        (b"18446744073709551616", b"18446744073709551616", b"18446744073709552000"),
        (b"12345678901234567890", b"12345678901234567890", b"12345678901234567000"),
        (b"1" + b"0" * 22, b"1" + b"0" * 22, b"1e+22"),
        (b"-0", b"0", b"0"),
        (b"-0.0", b"-0.0", b"0"),
        (b"0.0", b"0.0", b"0"),
        (b"1.0", b"1.0", b"1"),
        (b"1E2", b"100.0", b"100"),
        (b"9007199254740993.0", b"9007199254740992.0", b"9007199254740992"),
        (b"1e16", b"10000000000000000.0", b"10000000000000000"),
        (b"123456789e12", b"123456789000000000000.0", b"123456789000000000000"),
        (b"1e21", b"1e+21", b"1e+21"),
        (b"1e22", b"1e+22", b"1e+22"),
        (b"1e-07", b"1e-7", b"1e-7"),
        (b"0.000001", b"0.000001", b"0.000001"),
        (b"1.5e-6", b"0.0000015", b"0.0000015"),
        (b"1e300", b"1e+300", b"1e+300"),
    ],
)
def test_numbers(raw: bytes, kept: bytes, signed: bytes) -> None:
    for before, after in ((b"", b""), (b'{"a":', b"}"), (b"[0,", b"]"), (b"[", b",0]")):
        form = canonical(before + raw + after)
        assert form == before + kept + after
        assert jcs(form) == jcs_of_canonical(form) == before + signed + after


def test_an_integer_beyond_a_double_is_kept_and_cannot_be_signed_otherwise() -> None:
    raw = b'{"a":1' + b"0" * 400 + b"}"
    assert canonical(raw) == jcs_of_canonical(raw) == raw
    with pytest.raises(ValueError, match="beyond the range of a double"):
        jcs(raw)


def test_text_that_looks_like_a_number_is_signed_as_it_is() -> None:
    raw = b'{"a":"1.0, 2.0} 12345678901234567890"}'
    assert canonical(raw) == jcs_of_canonical(raw) == raw


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"b":1,"a":2}', b'{"a":2,"b":1}'),
        (b' { "a" : [ 1 , 2 ] } ', b'{"a":[1,2]}'),
        (b'{"a":1,"a":2}', b'{"a":2}'),
        ('{"\U0001f980":1,"\uffee":2}'.encode(), '{"\U0001f980":1,"\uffee":2}'.encode()),
        (b'"\\u00e9\\u2028\\/\\u0001\\n\\u007f"', '"é\u2028/\\u0001\\n\x7f"'.encode()),
        (b'"\\ud83e\\udd80"', '"\U0001f980"'.encode()),
        (b'{"a":"\\ud800"}', '{"a":"\ufffd"}'.encode()),
        (b'{"a":"\\uDC00x","b":9007199254740993}', '{"a":"\ufffdx","b":9007199254740993}'.encode()),
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
        b"1" + b"0" * 5000,
    ],
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        canonical(raw)
    with pytest.raises(ValueError):
        jcs(raw)


@given(VALUES)
def test_values(value: object) -> None:
    assert jcs_value(value) == judged(value)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_json(number: float) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        jcs_value({"a": [number]})
