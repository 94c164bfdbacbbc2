"""`stepwell run`: one run, told in order of time."""

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.markup import escape

from stepwell.cli.log_view import show_lines
from stepwell.cli.run_view import draw
from stepwell.cli.source import source_at, source_options, tell_event
from stepwell.cli.terminal import console, put
from stepwell.cli.verbs.runs import table_of
from stepwell.server.query.not_started import NotStartedV2
from stepwell.server.query.v2.run import RunV2
from stepwell.wire.recorded_run import RecordedRun, encode_recorded


@click.command("run")
@click.argument("run_id", metavar="ID")
@click.option("--output", is_flag=True, help="Print the output alone, as JSON.")
@click.option("--logs", is_flag=True, help="Print what its function wrote with ctx.logger alone.")
@click.option(
    "--export",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write all that is stored of the run to a file, for tests and `stepwell check-replay`.",
)
@source_options
def run(
    run_id: str,
    output: bool,
    logs: bool,
    export: Path | None,
    database: Path | None,
    url: str,
    signing_key: str | None,
) -> None:
    """Draw the timeline of the run ID: its steps, failed attempts, sleeps and waits.

    ID may be that of an event: then its runs are listed, or drawn if there is only one; functions
    whose flow control let it start none, or none yet, are listed with the reason. Of an event that
    started no run it is told who listens to it.
    """
    to = console()
    with source_at(database, url, signing_key) as source:
        came = source.of_event(run_id)
        of_event, without = came.runs, came.not_started
        if len(of_event) > 1 or without:
            if export is not None:
                raise click.ClickException(
                    f"{run_id} is an event of several runs, or of none yet: name one run by its id"
                )
            _show_event(to, of_event, without)
            return
        if not of_event:
            tell_event(source, run_id)
        found = of_event[0].id if of_event else run_id
        if export is not None:
            _write(export, source.recorded(found))
            return
        if logs:
            show_lines(to, source.logs(found))
            return
        told = source.trace(found)
    if output:
        value = told.root_span.output
        click.echo(b"null" if value is msgspec.UNSET else bytes(value))
    else:
        draw(to, told)


def _write(file: Path, run: RecordedRun) -> None:
    try:
        file.write_bytes(encode_recorded(run))
    except OSError as error:
        raise click.ClickException(f"--export {file}: {error.strerror or error}") from None
    click.echo(f"wrote run {run.id} of {run.function} to {file}")


def _show_event(to: Console, of_event: Sequence[RunV2], without: Sequence[NotStartedV2]) -> None:
    if of_event:
        put(to, table_of(of_event))
    for one in without:
        name = escape(one.function.name)
        to.print(f"[yellow]{one.reason}[/yellow] {name}: {escape(one.detail)}")
