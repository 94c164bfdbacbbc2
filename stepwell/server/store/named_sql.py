"""Reads files of named statements: a line `-- name --`, then the statement, up to the next name.
The only place that knows that form."""

import re
from collections.abc import Mapping

_HEADER = re.compile(r"^-- (\w+) --$", re.MULTILINE)
_HEADINGS = re.compile(r"(?:\n\s*--[^\n]*|\s)+$")
"""Lines after a statement, which are about those that follow."""


def named_statements(text: str) -> Mapping[str, str]:
    """The statements of such a text by name. What stands before the first name is a preface.

    Raises `ValueError` for a name that comes twice and for a name without a statement.
    """
    _, *parts = _HEADER.split(text)
    found: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        statement = _HEADINGS.sub("", body).strip().rstrip(";")
        if name in found:
            raise ValueError(f"the statement {name!r} is there twice; give one another name")
        if not statement:
            raise ValueError(f"the statement {name!r} is empty")
        found[name] = statement
    return found
