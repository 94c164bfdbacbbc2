"""`stepwell runs`: the latest runs."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from stepwell.cli.source import Wanted, source_at, source_options
from stepwell.server.query.run_object import RunObject
from stepwell.wire.duration import format_duration, parse_date_ms

COLOURS = {
    "Scheduled": "dim",
    "Running": "cyan",
    "Completed": "green",
    "Failed": "red",
    "Cancelled": "yellow",
}


@click.command("runs")
@click.option("--status", multiple=True, metavar="TEXT", help="Only runs of this status; repeat.")
@click.option("--function", multiple=True, metavar="ID", help="Only runs of this function; repeat.")
@click.option("--app", multiple=True, metavar="NAME", help="Only runs of this app; repeat.")
@click.option(
    "--limit",
    type=click.IntRange(1, 200),
    default=20,
    show_default=True,
    help="How many, at most 200.",
)
@click.option("--cursor", metavar="ID", help="Only runs before this one.")
@source_options
def runs(
    status: tuple[str, ...],
    function: tuple[str, ...],
    app: tuple[str, ...],
    limit: int,
    cursor: str | None,
    database: Path | None,
    url: str,
    signing_key: str | None,
) -> None:
    """List runs, the newest first. `stepwell run ID` tells more about one."""
    wanted = Wanted(status, function, app, limit, cursor)
    with source_at(database, url, signing_key) as source:
        found, more = source.runs(wanted)
    console = Console()
    if not found:
        console.print("no runs")
        return
    console.print(table_of(found))
    if more:
        console.print(f"[dim]more: stepwell runs --cursor {more}[/dim]")


def table_of(found: Sequence[RunObject]) -> Table:
    """Runs as a table."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("STATUS", "RUN", "FUNCTION", "QUEUED", "TOOK"):
        # Ids are to be copied: they are never cut, whatever the width of the terminal.
        table.add_column(title, no_wrap=title != "QUEUED", overflow="fold")
    for run in found:
        colour = COLOURS.get(run.status, "")
        status = f"[{colour}]{run.status}[/{colour}]" if colour else run.status
        table.add_row(status, run.run_id, run.function, _shown(run.queued_at), _took(run))
    return table


def _shown(instant: str) -> str:
    """Date and time in UTC, to the second."""
    return instant[:19].replace("T", " ")


def _took(run: RunObject) -> str:
    if not run.ended_at:
        return ""
    took_ms = parse_date_ms(run.ended_at) - parse_date_ms(run.run_started_at)
    return format_duration(max(took_ms, 0))
