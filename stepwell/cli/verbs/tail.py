"""`stepwell tail`: what runs do, as they do it."""

import time
from collections.abc import Iterator
from contextlib import suppress

import click
import msgspec

from stepwell.cli.output import moment
from stepwell.cli.server_api import ServerApi, server_at, server_options
from stepwell.server.query.v2.run import RunV2

AGAIN_S = 1.0


class _Changes(msgspec.Struct):
    runs: tuple[RunV2, ...] = ()
    more: bool = False


@click.command("tail")
@click.option("--run", "runs", multiple=True, metavar="ID", help="Only this run; repeat.")
@click.option("--app", "apps", multiple=True, metavar="NAME", help="Only this app; repeat.")
@click.option(
    "--output",
    type=click.Choice(["table", "ndjson"]),
    default="table",
    show_default=True,
    help="Columns, or one JSON object a line.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many changes.")
@server_options
def tail(
    runs: tuple[str, ...],
    apps: tuple[str, ...],
    output: str,
    count: int | None,
    url: str,
    signing_key: str | None,
) -> None:
    """Print each run that begins, goes on or ends, until you press Ctrl-C. A connection that is
    lost is made again, and what was missed meanwhile is told."""
    with suppress(KeyboardInterrupt):
        _told(server_at(url, signing_key), runs, apps, output, count)


def _told(
    server: ServerApi,
    runs: tuple[str, ...],
    apps: tuple[str, ...],
    output: str,
    count: int | None,
) -> None:
    last, left = "", count
    while left is None or left > 0:
        kind = ""
        for line in _lines(server, runs, apps, last):
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "id":
                last = value
            elif name == "data" and kind == "changes":
                found = msgspec.json.decode(value, type=_Changes)
                for run in found.runs[:left]:
                    click.echo(msgspec.json.encode(run) if output == "ndjson" else _line(run))
                left = None if left is None else left - len(found.runs)
                if left is not None and left <= 0:
                    return
            elif name == "data" and kind == "reset":
                click.echo("what happened meanwhile was missed: stepwell runs", err=True)
        time.sleep(AGAIN_S)


def _lines(
    server: ServerApi, runs: tuple[str, ...], apps: tuple[str, ...], last: str
) -> Iterator[str]:
    return server.lines("/api/v2/stream", runId=runs, appId=apps, lastEventId=last)


def _line(run: RunV2) -> str:
    at = moment(run.ended_at) or moment(run.started_at) or moment(run.queued_at)
    return f"{at}  {run.status.lower():9}  {run.id}  {run.function.name}"
