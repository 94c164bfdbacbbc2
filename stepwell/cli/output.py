"""How lists are printed: as a table that fits the terminal, as one JSON document, or as one JSON
object a line."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

import click
import msgspec
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from stepwell.cli.server_api import ServerApi
from stepwell.cli.terminal import console, put

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

PAGE = 100
ALL = 100_000
WATCH_S = 1.0
COLOURS = {
    "QUEUED": "dim",
    "RUNNING": "cyan",
    "WAITING": "cyan",
    "COMPLETED": "green",
    "FAILED": "red",
    "CANCELLED": "yellow",
}


class Page(msgspec.Struct, frozen=True, rename="camel"):
    """What leads to the next page; empty where there is none."""

    cursor: str = ""
    partial: bool = False


def output_option(function: F) -> F:
    """Gives a command the option that says how to print."""
    return click.option(
        "--output",
        type=click.Choice(["table", "json", "ndjson"]),
        default="table",
        show_default=True,
        help="A table, one JSON document, or one JSON object a line.",
    )(function)


def listed(server: ServerApi, kind: type[T], path: str, limit: int, **query: Any) -> list[T]:
    """At most so many entries of a list, over as many pages as it takes."""
    shape = msgspec.defstruct("Listed", [("data", list[kind]), ("page", Page, Page())])  # type: ignore[valid-type]
    found: list[T] = []
    cursor = ""
    while len(found) < limit:
        count = min(limit - len(found), PAGE)
        answer: Any = server.get(shape, path, **query, limit=count, cursor=cursor)
        found += answer.data
        cursor = answer.page.cursor
        if not cursor:
            break
    return found


def show(
    rows: Sequence[object],
    output: str,
    titles: Sequence[str],
    row: Callable[[Any], Iterable[str]],
) -> None:
    """Print a list. `row` makes the cells of a table; the first column is never cut."""
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
    elif output == "ndjson":
        for one in rows:
            click.echo(msgspec.json.encode(one))
    elif rows:
        put(console(), table(rows, titles, row))
    else:
        click.echo("none")


def table(
    rows: Sequence[object], titles: Sequence[str], row: Callable[[Any], Iterable[str]]
) -> Table:
    """The same as a table."""
    made = Table(box=None, padding=(0, 2, 0, 0))
    for place, title in enumerate(titles):
        made.add_column(title, no_wrap=place == 0, overflow="fold")
    for one in rows:
        made.add_row(*(_coloured(cell) for cell in row(one)))
    return made


def watch(look: Callable[[], Table]) -> NoReturn:
    """Show a table anew every second, until Ctrl-C: that is no failure."""
    with suppress(KeyboardInterrupt), Live(auto_refresh=False) as live:
        while True:
            live.update(look())
            live.refresh()
            time.sleep(WATCH_S)
    raise SystemExit(0)


def _coloured(text: str) -> str:
    colour = COLOURS.get(text)
    return f"[{colour}]{text}[/{colour}]" if colour else escape(text)


def plain(text: str) -> str:
    """Text of a user's for a terminal, without what would move its cursor or change its colours."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\ufffd" for one in text)


def moment(instant: str | msgspec.UnsetType | None) -> str:
    """Date and time in UTC, to the second."""
    return instant[:19].replace("T", " ") if isinstance(instant, str) else ""
