"""What fits a terminal: tables as long as no word is broken, and whole lines where no terminal is.

The only place that makes consoles.
"""

import os
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

_LINE_CHARS = 100_000
_GAP = 2


def console(*, stderr: bool = False) -> Console:
    """The terminal, at its width. Where output is redirected nothing is folded or cut, and each
    entry keeps to its line, unless the variable COLUMNS names a width."""
    made = Console(stderr=stderr)
    if made.is_terminal or "COLUMNS" in os.environ:
        return made
    return Console(stderr=stderr, width=_LINE_CHARS)


def put(to: Console, made: Table) -> None:
    """Print a table; where a word would be broken, one entry after the other, a line a value."""
    least = [*map(_least, made.columns)]
    spare = to.width - _gaps(made) - sum(least)
    if spare < 0 and made.show_header:
        for number in range(made.row_count):
            if number:
                to.print()
            to.print(_entry(made, number))
        return
    for column, width in zip(made.columns, least, strict=True):
        wanted = max(map(cell_len, _cells(column))) - width
        more = max(min(wanted, spare), 0)
        column.overflow, column.width = "fold", width + more
        spare -= more
    with to.capture() as told:
        to.print(made)
    # The last column is padded, which a terminal does not show and a file does.
    to.file.write("\n".join(line.rstrip() for line in told.get().split("\n")))


def fits(to: Console, made: Table) -> bool:
    """Can a table be printed without breaking a word, or a column that may not wrap?"""
    return sum(map(_least, made.columns)) + _gaps(made) <= to.width


def _gaps(made: Table) -> int:
    _, right, _, left = made.padding
    return (left + right) * len(made.columns)


def _least(column: Column) -> int:
    """How narrow a column may be: as its longest word, or as it is said to be at least."""
    least = max(map(cell_len if column.no_wrap else _longest_word, _cells(column)))
    return least if column.min_width is None else min(column.min_width, least)


def _longest_word(cell: str) -> int:
    return max(map(cell_len, cell.split()), default=0)


def _cells(column: Column) -> Iterator[str]:
    yield str(column.header)
    for cell in column.cells:
        yield Text.from_markup(str(cell)).plain


def _entry(made: Table, number: int) -> Table:
    entry = Table(box=None, padding=(0, _GAP, 0, 0), show_header=False)
    entry.add_column(no_wrap=True)
    entry.add_column(overflow="fold")
    for column in made.columns:
        cell = [*column.cells][number]
        if cell != "":
            entry.add_row(f"[dim]{column.header}[/dim]", cell)
    return entry
