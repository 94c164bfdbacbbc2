"""The test vectors of the protocol, and the window of time."""

import pytest

from stepwell.wire import signature
from stepwell.wire.signature import SignatureError, SigningKeyError

KEY = "signkey-test-12345678"
BODY = '{"a":1,"b":"é"}'.encode()
NOW = 1_700_000_000_000
SIGNED = "t=1700000000&s=ac2dc1d9eb79514d0643e4bb46a3196d97a6e72064141dc35a10d65740317ed6"
EMPTY = "t=1700000000&s=189656184e486419febc1f6fd73e1c45bc8595c99633a32ebe1ea40ac8adf630"
HASHED = "signkey-test-b2ed992186a5cb19f6668aade821f502c1d00970dfd0e35128d51bac4649916c"


@pytest.mark.parametrize(("body", "expected"), [(BODY, SIGNED), (b"", EMPTY)])
def test_vectors(body: bytes, expected: str) -> None:
    assert signature.sign(body, KEY, NOW + 999) == expected
    assert signature.verify(body, expected, [KEY], NOW) == KEY


def test_any_prefix_and_none_sign_alike() -> None:
    assert signature.sign(BODY, "12345678", NOW) == SIGNED
    assert signature.sign(BODY, "signkey-prod-12345678", NOW) == SIGNED


def test_canonical_form_of_what_came_is_accepted_too() -> None:
    loose = '{ "b": "é", "a": 1.0 }'.encode()
    assert signature.verify(loose, SIGNED, [KEY], NOW) == KEY
    assert signature.verify(b"not json", signature.sign(b"not json", KEY, NOW), [KEY], NOW) == KEY


def test_the_fallback_key_is_named_when_it_was_used() -> None:
    made = signature.sign(BODY, "signkey-test-abcd", NOW)
    assert signature.verify(BODY, made, [KEY, "signkey-test-abcd"], NOW) == "signkey-test-abcd"


@pytest.mark.parametrize("age_ms", [-300_000, 0, 300_000])
def test_five_minutes_both_ways_are_fine(age_ms: int) -> None:
    assert signature.verify(BODY, SIGNED, [KEY], NOW + age_ms) == KEY


@pytest.mark.parametrize(
    ("given", "now", "keys", "words"),
    [
        (None, NOW, [KEY], "missing"),
        ("", NOW, [KEY], "missing"),
        ("s=abc", NOW, [KEY], "malformed"),
        ("t=x&s=abc", NOW, [KEY], "malformed"),
        ("t=1700000000", NOW, [KEY], "malformed"),
        (SIGNED, NOW + 301_000, [KEY], "older"),
        (SIGNED, NOW - 301_000, [KEY], "future"),
        (SIGNED, NOW, ["signkey-test-87654321"], "does not match"),
        (SIGNED, NOW, ["", None], "does not match"),
        (EMPTY, NOW, [KEY], "does not match"),
        ("t=1700000000&s=é", NOW, [KEY], "does not match"),
    ],
)
def test_refusals(given: str | None, now: int, keys: list[str], words: str) -> None:
    with pytest.raises(SignatureError, match=words):
        signature.verify(BODY, given, keys, now)


def test_hashed_bearer() -> None:
    assert signature.hashed_key(KEY) == HASHED
    assert signature.bearer(KEY) == f"Bearer {HASHED}"


@pytest.mark.parametrize("key", ["signkey-test-xyz", "123", "signkey-test-"])
def test_a_key_that_is_no_hex_is_named(key: str) -> None:
    if key == "signkey-test-":
        assert signature.hashed_key(key)
        return
    with pytest.raises(SigningKeyError, match="hexadecimal"):
        signature.hashed_key(key)


@pytest.mark.parametrize(
    "token",
    [HASHED, HASHED.removeprefix("signkey-test-"), KEY, "12345678", HASHED.upper()[13:]],
)
def test_bearers_that_are_let_in(token: str) -> None:
    assert signature.is_authorized(f"Bearer {token}", ["signkey-prod-12345678"])
    assert signature.is_authorized(f"bearer {token}", ["abcd", "12345678"])


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer undefined", f"Basic {HASHED}", "Bearer signkey-test-"],
)
def test_bearers_that_are_not(header: str | None) -> None:
    assert not signature.is_authorized(header, ["signkey-prod-12345678"])
    assert not signature.is_authorized(header, [])
