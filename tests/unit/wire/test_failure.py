"""Errors as they travel: read leniently, written with the keys that survive."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.wire import failure
from stepwell.wire.failure import Failure, decode_failure, encode_failure, encode_failure_memo


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "TypeError", "message": "nope", "stack": "s"}, Failure("TypeError", "nope", "s")),
        ({"name": "E", "message": "m", "code": "x", "__serialized": True}, Failure("E", "m")),
        ({}, Failure("Error", "Unknown error")),
        ({"message": "m"}, Failure("Error", "m")),
        ({"error": "e"}, Failure("Error", "e")),
        ({"name": 5, "message": ["a"], "stack": None}, Failure("Error", '["a"]')),
        ({"message": "m", "cause": "text"}, Failure(message="m", cause=raw("text"))),
        ({"message": "m", "cause": None, "data": None}, Failure(message="m")),
        (
            {"message": "m", "cause": {"b": 1, "a": 1.0}},
            Failure(message="m", cause=msgspec.Raw(b'{"a":1.0,"b":1}')),
        ),
        (
            {"message": "m", "data": [1], "noRetry": True},
            Failure(message="m", data=raw([1]), no_retry=True),
        ),
        ({"message": "m", "noRetry": "true"}, Failure(message="m")),
        ("plain words", Failure(message="plain words")),
        ('{"name":"N","message":"inner"}', Failure("N", "inner")),
        (None, Failure()),
        ([1, 2], Failure(message="[1,2]")),
        (5, Failure(message="5")),
    ],
)
def test_reading(body: object, expected: Failure) -> None:
    assert decode_failure(json.dumps(body).encode()) == expected


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"", "Unknown error"), (b"<html>no</html>", "<html>no</html>"), (b"\xff", "\ufffd")],
)
def test_reading_what_is_no_json(body: bytes, message: str) -> None:
    assert decode_failure(body) == Failure(message=message)


@given(st.binary(max_size=40) | st.text(alphabet='{}[]":,name1 \\', max_size=40).map(str.encode))
def test_reading_never_raises(body: bytes) -> None:
    assert decode_failure(body).message


def test_deeply_nested_text_in_text_never_raises() -> None:
    body = "{}"
    for _ in range(12):
        body = json.dumps(body)
    assert decode_failure(body.encode()).message
    assert decode_failure(b'{"cause":' * 50_000).message


TEXT = st.text(st.characters(codec="utf-8"))


@given(
    st.builds(
        Failure,
        name=TEXT.filter(bool),
        message=TEXT.filter(bool),
        stack=TEXT,
        cause=st.none() | st.just(raw({"name": "E"})),
        data=st.none() | st.just(raw([1])),
        no_retry=st.booleans(),
    )
)
def test_round_trip(given_failure: Failure) -> None:
    assert decode_failure(encode_failure(given_failure)) == given_failure


def test_the_memo_keeps_only_what_survives() -> None:
    read = decode_failure(
        b'{"code":"E","__serialized":true,"name":"N","message":"m","stack":"s","cause":"c"}'
    )
    memo = bytes(encode_failure_memo(read))
    assert memo == b'{"error":{"cause":"c","message":"m","name":"N","stack":"s"}}'


def test_the_servers_own_memos() -> None:
    assert json.loads(bytes(failure.invoke_timeout_memo())) == {
        "error": {
            "error": "InngestInvokeTimeoutError: "
            "Timed out waiting for invoked function to complete",
            "name": "InngestInvokeTimeoutError",
            "message": "Timed out waiting for invoked function to complete",
        }
    }
    unknown = encode_failure_memo(failure.unknown_function("shop-x"))
    assert json.loads(bytes(unknown)) == {
        "error": {"name": "Error", "message": "could not find function with ID: shop-x"}
    }


def test_texts_of_any_sdk_are_shortened() -> None:
    told = {"name": "ValueError", "message": "m" * 5_000_000, "stack": "s" * 5_000_000}
    cause = {"name": "C", "message": "c" * 5_000_000}
    found = decode_failure(json.dumps({**told, "cause": cause, "data": "d" * 5_000_000}).encode())
    assert found.name == "ValueError"
    assert "[shortened: 5000000 characters]" in found.message
    assert len(encode_failure(found)) < 500_000
    assert decode_failure(encode_failure(found)) == found
    assert len(decode_failure(b"p" * 5_000_000).message) < 40_000
