"""`stepwell runs`: the latest runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from stepwell.cli.output import moment, output_option, show, table, watch
from stepwell.cli.source import Wanted, source_at, source_options
from stepwell.cli.terminal import console
from stepwell.server.query.v2.run import RunV2
from stepwell.wire.duration import format_duration, parse_date_ms

TITLES = ("RUN", "STATUS", "FUNCTION", "QUEUED", "TOOK")


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
@click.option(
    "--session",
    multiple=True,
    metavar="KEY=ID",
    help="Only runs whose event belongs to this session; repeat.",
)
@click.option(
    "--deferred/--not-deferred",
    "deferred",
    default=None,
    help="Only runs that another run left to be started at its end; or only others.",
)
@click.option("--with-output", is_flag=True, help="Tell outputs, too (as json and ndjson).")
@click.option("--cursor", default="", metavar="TEXT", help="Go on where another list ended.")
@click.option(
    "--watch", "watched", is_flag=True, help="Show the list anew every second, until Ctrl-C."
)
@output_option
@source_options
def runs(
    time_field: str | None,
    oldest_first: bool,
    watched: bool,
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
        if watched:
            watch(lambda: table_of(source.runs(wanted)[0]))
        found, more = source.runs(wanted)
    if output != "table" or found:
        show(found, output, TITLES, _row)
    else:
        click.echo("no runs")
    if more and output == "table":
        console().print(f"[dim]more: stepwell runs --cursor {more}[/dim]", soft_wrap=True)


def _row(run: RunV2) -> tuple[str, ...]:
    began, ended = run.started_at, run.ended_at
    took = ""
    if isinstance(began, str) and isinstance(ended, str):
        took = format_duration(max(parse_date_ms(ended) - parse_date_ms(began), 0))
    return run.id, run.status.value, run.function.name, moment(run.queued_at), took


def table_of(found: Sequence[RunV2]) -> Table:
    """Runs as a table."""
    return table(found, TITLES, _row)
