"""`stepwell why`: in a sentence, why a run does not run, or an event started none."""

from pathlib import Path

import click

from stepwell.cli.source import source_at, source_options, tell_event


@click.command("why")
@click.argument("run_id", metavar="ID")
@source_options
def why(run_id: str, database: Path | None, url: str, signing_key: str | None) -> None:
    """Say why the run ID stands where it stands: what it waits for, since when, what ends that.

    Of a run that waits for a limit it is told which one, of which key, who has its places, and how
    many come first. ID may be that of an event: then it is told of each of its runs, and of each
    function that has none for it because of its flow control. Of an event that started no run it is
    told who listens to it.
    """
    with source_at(database, url, signing_key) as source:
        came = source.of_event(run_id)
        for one in came.not_started:
            click.echo(f"{one.function.name}: {one.detail}")
        runs = [run.id for run in came.runs]
        if not runs and not came.not_started:
            tell_event(source, run_id)
            runs = [run_id]
        for found in runs:
            told = source.explain(found)
            click.echo(f"{told.function.name}: {told.text}")
