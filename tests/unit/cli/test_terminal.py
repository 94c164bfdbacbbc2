"""What is printed fits the terminal; what is redirected is whole lines, without colours."""

import io

import pytest
from click.testing import CliRunner
from rich.console import Console

from stepwell.cli import output, terminal
from stepwell.cli.main import main

TITLES = ("RUN", "STATUS", "FUNCTION", "QUEUED")
RUN = "01M8Q6ZD01JWV6Y919G0SQZSQP"
LONG = ("shop-fulfil-order-of-customer", "2026-11-30 21:50:02")
ROWS = [(RUN, "FAILED", *LONG), (RUN, "COMPLETED", "shop-[tell]", "")]


def printed(columns: int) -> list[str]:
    """The lines of a list on a terminal of this width."""
    file = io.StringIO()
    to = Console(file=file, width=columns, force_terminal=True, color_system=None)
    terminal.put(to, output.table(ROWS, TITLES, lambda row: row))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_list_that_fits_is_a_table() -> None:
    titles, first, second = printed(100)
    assert titles.split() == list(TITLES)
    assert first.split() == [RUN, "FAILED", LONG[0], *LONG[1].split()]
    assert second.split() == [RUN, "COMPLETED", "shop-[tell]"]


def test_words_are_kept_whole_while_a_table_can() -> None:
    _, first, rest, *_ = printed(26 + 9 + 29 + 10 + 4 * 2)
    assert first.endswith("2026-11-30")
    assert rest.strip() == "21:50:02"


def test_where_a_word_would_be_broken_an_entry_is_told_line_by_line() -> None:
    assert printed(60) == [
        f"RUN       {RUN}",
        "STATUS    FAILED",
        f"FUNCTION  {LONG[0]}",
        f"QUEUED    {LONG[1]}",
        "",
        f"RUN       {RUN}",
        "STATUS    COMPLETED",
        "FUNCTION  shop-[tell]",
    ]


def test_what_is_redirected_keeps_an_entry_to_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    wide = ("x" * 300, "FAILED", "a function of many words", "y" * 100)
    output.show([wide], "table", TITLES, lambda row: row)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "  ".join(wide)
    assert lines[0] == lines[0].rstrip()


@pytest.mark.parametrize("group", ["bulk", "events", "keys", "limits"])
def test_help_on_a_narrow_terminal_cuts_no_sentence(group: str) -> None:
    told = CliRunner().invoke(main, [group, "--help"], terminal_width=60).output
    _, _, parts = told.partition("Commands:")
    assert parts
    assert "..." not in parts
    assert max(map(len, told.splitlines())) <= 60
