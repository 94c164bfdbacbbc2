"""Lines of a function's log on their way: bounds hold whoever sends them."""

import json

import msgspec
import pytest

from stepwell.wire import log
from stepwell.wire.log import LogLine, decode_lines, encode_lines, lines_in_error

LINE = LogLine(1, "info", "said", "ab", "charge")


def test_lines_come_out_as_they_went_in() -> None:
    assert decode_lines(encode_lines([LINE, LogLine(2, "error", "x")])) == (
        LINE,
        LogLine(2, "error", "x"),
    )


def test_no_more_and_no_longer_than_an_answer_may_have() -> None:
    long = LogLine(1, "l" * 99, "t" * 9_999, "s", "n" * 9_999)
    found = decode_lines(encode_lines([long] * 500))
    assert len(found) == log.LINES_PER_ANSWER_MAX + 1
    assert len(found[0].level) <= 16
    assert len(found[0].text) <= log.LINE_CHARS_MAX
    assert "[shortened: 9999 characters]" in found[0].text
    assert len(found[0].name) <= 1_000


@pytest.mark.parametrize("raw", [b"{}", b'[{"at":"x"}]', b'["text"]', b"[", b"\xff"])
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decode_lines(raw)


def test_an_error_is_freed_of_the_lines_it_carries() -> None:
    lines = json.loads(bytes(encode_lines([LINE])))
    body, found = lines_in_error(json.dumps({"name": "E", "stepwell_logs": lines}).encode())
    assert (json.loads(body), found) == ({"name": "E"}, (LINE,))


@pytest.mark.parametrize(
    "body",
    [b"null", b"", b'{"name":"E"}', b'{"stepwell_logs":"mine"}', b'"about \\"stepwell_logs\\""'],
)
def test_other_bodies_are_left_as_they_are(body: bytes) -> None:
    assert lines_in_error(body) == (body, ())
