"""Named statements."""

import re
from pathlib import Path

import pytest

import stepwell.server.store.sqlite
from stepwell.server.store.named_sql import named_statements
from stepwell.server.store.sqlite.connection import SQL


def test_statements_by_name() -> None:
    one = "-- a preface\n-- one --\nSELECT 1;\n\n-- load: more; of it\n\n"
    text = one + "-- two --\nSELECT 2\n-- not a name\nFROM x;\n"
    assert named_statements(text) == {"one": "SELECT 1", "two": "SELECT 2\n-- not a name\nFROM x"}


def test_a_name_comes_once_and_has_a_statement() -> None:
    with pytest.raises(ValueError, match="'one' is there twice"):
        named_statements("-- one --\nSELECT 1;\n-- one --\nSELECT 2;")
    with pytest.raises(ValueError, match="'one' is empty"):
        named_statements("-- one --\n-- two --\nSELECT 2;")


def test_every_statement_is_used_and_every_used_one_is_there() -> None:
    folder = Path(stepwell.server.store.sqlite.__file__).parent
    code = "".join(path.read_text() for path in folder.glob("*.py"))
    words = set(re.findall(r'"(\w+)"', code))
    assert set(SQL) - words == set()
    assert set(re.findall(r'SQL\["(\w+)"\]', code)) - set(SQL) == set()
