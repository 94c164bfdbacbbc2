"""`stepwell runs`: the latest runs."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from stepwell.cli.output import moment, output_option, show, table
from stepwell.cli.source import Source, Wanted, source_at, source_options
from stepwell.server.query.run_object import RunObject
from stepwell.server.query.run_v2 import RunV2
from stepwell.wire.duration import format_duration, parse_date_ms

WATCH_S = 1.0
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
@click.option("--from", "since", default="", metavar="DATE", help="Only from then on.")
@click.option("--until", default="", metavar="DATE", help="Only before that.")
@click.option(
    "--time",
    "time_field",
    type=click.Choice(["queuedAt", "startedAt", "endedAt"]),
    help="What --from, --until and the order are about. [default: queuedAt]",
)
@click.option("--oldest-first", is_flag=True, help="The oldest first, in place of the newest.")
@click.option(
    "--query",
    default="",
    metavar="CEL",
    help="Only runs that satisfy this, such as 'event.data.id == 7' or 'error.name == \"E\"'.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000),
    default=20,
    show_default=True,
    help="How many, at most 1000.",
)
@click.option("--cursor", default="", metavar="TEXT", help="Go on where another list ended.")
@click.option("--watch", is_flag=True, help="Show the list anew every second, until Ctrl-C.")
@output_option
@source_options
def runs(
    time_field: str | None,
    oldest_first: bool,
    watch: bool,
    output: str,
    database: Path | None,
    url: str,
    signing_key: str | None,
    **asked: Any,
) -> None:
    """List runs, the newest first. `stepwell run ID` tells more about one."""
    order = "ASC" if oldest_first else ""
    wanted = Wanted(**asked, time_field=time_field or "", order=order)
    with source_at(database, url, signing_key) as source:
        if watch:
            _watch(source, wanted)
        found, more = source.runs(wanted)
    if output != "table" or found:
        show(found, output, ("RUN", "STATUS", "FUNCTION", "QUEUED", "TOOK"), _row)
    else:
        click.echo("no runs")
    if more and output == "table":
        Console().print(f"[dim]more: stepwell runs --cursor {more}[/dim]", soft_wrap=True)


def _watch(source: Source, wanted: Wanted) -> NoReturn:
    with Live(auto_refresh=False) as live:
        while True:
            found, _ = source.runs(wanted)
            live.update(table(found, ("RUN", "STATUS", "FUNCTION", "QUEUED", "TOOK"), _row))
            live.refresh()
            time.sleep(WATCH_S)


def _row(run: RunV2) -> tuple[str, ...]:
    began, ended = run.started_at, run.ended_at
    took = ""
    if isinstance(began, str) and isinstance(ended, str):
        took = format_duration(max(parse_date_ms(ended) - parse_date_ms(began), 0))
    return run.id, run.status.value, run.function.name, moment(run.queued_at), took


def table_of(found: Sequence[RunObject]) -> Table:
    """Runs as a table."""
    shown = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("STATUS", "RUN", "FUNCTION", "QUEUED", "TOOK"):
        # Ids are to be copied: they are never cut, whatever the width of the terminal.
        shown.add_column(title, no_wrap=title != "QUEUED", overflow="fold")
    for run in found:
        colour = COLOURS.get(run.status, "")
        status = f"[{colour}]{run.status}[/{colour}]" if colour else run.status
        shown.add_row(status, run.run_id, run.function, _shown(run.queued_at), _took(run))
    return shown


def _shown(instant: str) -> str:
    """Date and time in UTC, to the second."""
    return instant[:19].replace("T", " ")


def _took(run: RunObject) -> str:
    if not run.ended_at:
        return ""
    took_ms = parse_date_ms(run.ended_at) - parse_date_ms(run.run_started_at)
    return format_duration(max(took_ms, 0))
