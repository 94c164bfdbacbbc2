"""The page of the server lists the settings as they are."""

from tools.settings_table import PAGE, page_with, table


def test_the_table_of_settings_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page_with(table()), (
        "run python -m tools.settings_table --write"
    )
    assert "| `--port`, `-p` |" in table()
