"""Exceptions as they travel, and back (features E-153 to E-158)."""

import json
from typing import Any, cast

import msgspec
import pytest

from stepwell.sdk.errors import NonRetriableError, StepError
from stepwell.sdk.value.failure import (
    deserialize_error,
    failure_of,
    is_serialized_error,
    serialize_error,
    step_error,
)
from stepwell.wire.failure import decode_failure, encode_failure


def raised(levels: int) -> BaseException:
    """An exception with a chain of causes."""
    try:
        if levels == 1:
            raise ValueError("level 1")
        try:
            raise raised(levels - 1)
        except BaseException as cause:
            raise KeyError(f"level {levels}") from cause
    except BaseException as error:
        return error


def chain(serialized: Any) -> list[str]:
    found = []
    while serialized is not None:
        found.append(serialized["message"])
        serialized = serialized.get("cause")
    return found


def test_e_153_an_error_has_name_message_stack_and_mark() -> None:
    found = serialize_error(raised(1))
    assert found["name"] == "ValueError"
    assert found["message"] == "level 1"
    assert "test_failure" in str(found["stack"])
    assert found["__serialized"] is True
    assert "cause" not in found
    json.dumps(found)


def test_causes_are_kept_in_order_and_end() -> None:
    assert chain(serialize_error(raised(3))) == ["'level 3'", "'level 2'", "level 1"]
    assert len(chain(serialize_error(raised(40)))) == 16


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert chain(serialize_error(first)) == ["a", "b"]


def test_context_counts_unless_suppressed() -> None:
    try:
        try:
            raise ValueError("inner")
        except ValueError:
            raise KeyError("outer")  # noqa: B904 - that is the point
    except KeyError as error:
        assert chain(serialize_error(error)) == ["'outer'", "inner"]  # noqa: PT017
        error.__suppress_context__ = True
        assert chain(serialize_error(error)) == ["'outer'"]  # noqa: PT017


def test_groups_notes_and_strangers() -> None:
    group = ExceptionGroup("two", [ValueError("a"), ValueError("b")])
    found: Any = serialize_error(group)
    assert [member["message"] for member in found["errors"]] == ["a", "b"]
    noted = ValueError("a")
    noted.add_note("and more")
    assert serialize_error(noted)["message"] == "a\nand more"
    assert serialize_error("plain") == {
        "name": "Error",
        "message": "plain",
        "stack": "",
        "__serialized": True,
    }


def test_e_155_what_is_serialized_passes() -> None:
    found = serialize_error(raised(2))
    assert serialize_error(found) == found
    assert serialize_error(json.dumps(found)) == found
    assert is_serialized_error(found)
    assert is_serialized_error(json.dumps(found))
    assert not is_serialized_error({"name": "x", "message": "y"})
    assert not is_serialized_error("text")
    assert not is_serialized_error(5)


class Awful(Exception):
    """Breaks when looked at."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_error_that_breaks_still_travels() -> None:
    assert serialize_error(Awful())["message"] == "(no text: str() of it raised RuntimeError)"


def test_text_that_is_no_utf8_still_travels() -> None:
    failure = failure_of(ValueError("a\ud800b"))
    assert failure.message == "a?b"
    encode_failure(failure)


def test_e_154_there_and_back() -> None:
    failure = failure_of(raised(3))
    again = step_error(decode_failure(encode_failure(failure)), step_id="s")
    assert (again.name, again.message, again.step_id) == ("KeyError", "'level 3'", "s")
    assert isinstance(again.cause, StepError)
    assert again.cause.name == "KeyError"
    assert again.cause.cause is not None
    assert again.cause.cause.__cause__ is None
    direct = deserialize_error(serialize_error(raised(3)))
    assert (direct.name, str(direct.cause)) == ("KeyError", "'level 2'")


def test_causes_that_are_no_errors_are_kept_as_text() -> None:
    failure = decode_failure(b'{"name":"E","message":"m","cause":"because"}')
    assert str(step_error(failure).cause) == "because"


@pytest.mark.parametrize("value", [5, "text", {"name": "x"}, {"message": "y"}, None, []])
def test_what_is_no_error_becomes_one_that_says_so(value: object) -> None:
    error = deserialize_error(value)
    assert error.message == "Unknown error; could not reserialize"
    assert error.stack is None


def test_our_own_errors_keep_their_names() -> None:
    assert failure_of(NonRetriableError("x")).name == "NonRetriableError"
    assert failure_of(StepError("m", "TypeError", "s")) == msgspec.structs.replace(
        failure_of(StepError("m", "TypeError", "s")), name="TypeError", message="m", stack="s"
    )


# Texts of which nobody chose the size


def test_long_texts_are_shortened_and_say_so() -> None:
    found = failure_of(ValueError("begin " + "x" * 5_000_000 + " end"))
    assert found.name == "ValueError"
    assert len(found.message) < 40_000
    assert found.message.startswith("begin x")
    assert found.message.endswith("x end")
    assert "[shortened: 5000010 characters]" in found.message
    assert len(found.stack) < 80_000
    assert "ValueError" in found.stack


def test_causes_and_members_are_shortened_too() -> None:
    error: Exception = ValueError("x" * 1_000_000)
    for _ in range(20):
        outer = ValueError("y" * 1_000_000)
        outer.__cause__ = error
        error = outer
    found = failure_of(error)
    assert found.cause is not None
    assert len(found.cause) < 300_000
    group = failure_of(ExceptionGroup("g", [ValueError("z" * 100_000) for _ in range(500)]))
    assert group.cause is not None
    assert len(group.cause) < 300_000


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Sour(Exception):
    def __str__(self) -> str:
        return cast(str, 5)


@pytest.mark.parametrize("kind", [Mute, Sour])
def test_an_exception_without_text_keeps_its_name_and_traceback(kind: type[Exception]) -> None:
    try:
        raise kind("x")
    except kind as raised:
        found = failure_of(raised)
    assert found.name == kind.__name__
    assert found.message.startswith("(no text: str() of it raised ")
    assert "test_an_exception_without_text" in found.stack
