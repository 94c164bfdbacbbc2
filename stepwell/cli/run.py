"""`stepwell run`: one run, told in order of time."""

import click
from rich.console import Console

from stepwell.cli.run_view import draw
from stepwell.cli.runs import table_of
from stepwell.cli.server_api import Enveloped, segment, server_at, server_options
from stepwell.server.query.run_object import RunObject
from stepwell.server.query.timeline import Span


@click.command("run")
@click.argument("run_id", metavar="ID")
@click.option("--output", is_flag=True, help="Print the output alone, as JSON.")
@server_options
def run(run_id: str, output: bool, url: str, signing_key: str | None) -> None:
    """Draw the timeline of the run ID: its steps, failed attempts, sleeps and waits.

    ID may be that of an event: then its runs are listed, or drawn if there is only one.
    """
    server = server_at(url, signing_key)
    console = Console()
    of_event = server.get(Enveloped[list[RunObject]], f"/v1/events/{segment(run_id)}/runs").data
    if len(of_event) > 1:
        console.print(table_of(of_event))
        return
    found = of_event[0].run_id if of_event else run_id
    told = server.get(Enveloped[Span], f"/v1/runs/{segment(found)}/timeline").data
    if output:
        click.echo(bytes(told.output))
    else:
        draw(console, found, told)
