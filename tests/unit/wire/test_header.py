"""What a few headers mean."""

import pytest

from stepwell.wire import header


@pytest.mark.parametrize(
    ("text", "kind"), [("dev", "dev"), ("cloud", "cloud"), ("Dev", None), (None, None)]
)
def test_server_kinds(text: str | None, kind: str | None) -> None:
    assert header.server_kind(text) == kind


@pytest.mark.parametrize(
    ("text", "version"),
    [("2", 2), (" 1 ", 1), ("-1", -1), ("", 0), (None, 0), ("x", 0), ("9" * 30, 0), ("1.5", 0)],
)
def test_request_versions(text: str | None, version: int) -> None:
    assert header.request_version(text) == version


@pytest.mark.parametrize(
    ("text", "forbids"),
    [("true", True), ("True", False), ("1", False), ("false", False), (None, False)],
)
def test_only_the_exact_word_forbids_another_try(text: str | None, forbids: bool) -> None:
    assert header.is_no_retry(text) == forbids


def test_names_are_lower_case() -> None:
    names = [
        value for name, value in vars(header).items() if name.isupper() and isinstance(value, str)
    ]
    assert [name for name in names if name.startswith("x-") and name != name.lower()] == []
