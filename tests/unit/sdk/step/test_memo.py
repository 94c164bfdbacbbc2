"""Known steps: read when met, released by rank (http.md 6.4)."""

import msgspec
import pytest

from stepwell.sdk.step.memo import Known, KnownFailure, Memos, Override, read_memo

EVENT = b'{"data":{"by":"bob"},"id":"x","name":"e","ts":1,"user":{}}'


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b'{"data":42}', b"42"),
        (b'{"data":null}', b"null"),
        (b'{"data":{"data":1}}', b'{"data":1}'),
        (b'{ "data" : [1] }', b"[1]"),
        (b"null", b"null"),
        (b"42", b"42"),
        (b'"text"', b'"text"'),
        (b"{}", b"{}"),
        (b'{"a":1}', b'{"a":1}'),
        (b'{"data":1,"error":null}', b"1"),
        (EVENT, EVENT),
        (b'{"data":1,"name":"x"}', b'{"data":1,"name":"x"}'),
    ],
)
def test_results(raw: bytes, data: bytes) -> None:
    memo = read_memo(msgspec.Raw(raw))
    assert isinstance(memo, Known)
    assert bytes(memo.data) == data


def test_failures_and_overrides() -> None:
    failed = read_memo(msgspec.Raw(b'{"error":{"name":"E","message":"m","stack":"s"}}'))
    assert isinstance(failed, KnownFailure)
    assert (failed.failure.name, failed.failure.message, failed.failure.stack) == ("E", "m", "s")
    override = read_memo(msgspec.Raw(b'{"input":[1,2]}'))
    assert isinstance(override, Override)
    assert bytes(override.input) == b"[1,2]"


def test_meeting_a_step_marks_it_seen() -> None:
    memos = Memos({"a": msgspec.Raw(b"1"), "b": msgspec.Raw(b"2")}, ("b", "a"))
    assert memos.any_unseen
    assert memos.unseen() == ["b", "a"]
    assert memos.meet("x") is None
    assert memos.meet("b") == Known(msgspec.Raw(b"2"))
    assert memos.unseen() == ["a"]
    memos.meet("a")
    assert not memos.any_unseen


def test_ranks_are_those_of_the_stack_and_then_of_the_map() -> None:
    steps = {step: msgspec.Raw(b"1") for step in "abcd"}
    memos = Memos(steps, ("c", "gone", "b", "c"))
    assert sorted("abcd", key=memos.rank) == ["c", "b", "a", "d"]


def test_nothing_is_decoded_that_is_not_met() -> None:
    memos = Memos({"bad": msgspec.Raw(b"not json"), "good": msgspec.Raw(b'{"data":1}')})
    assert memos.meet("good") == Known(msgspec.Raw(b"1"))
