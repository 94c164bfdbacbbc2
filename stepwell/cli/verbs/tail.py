"""`stepwell tail`: what runs do and what their functions write, as they do it."""

import time
from collections.abc import Iterator
from contextlib import suppress

import click
import msgspec

from stepwell.cli.output import moment, plain
from stepwell.cli.server_api import (
    Away,
    Enveloped,
    ServerApi,
    Text,
    segment,
    server_at,
    server_options,
)
from stepwell.server.query.v2.catalog import AppV2
from stepwell.server.query.v2.log import RunLineV2
from stepwell.server.query.v2.run import RunV2

AGAIN_S = 1.0


class _Changes(msgspec.Struct):
    runs: tuple[RunV2, ...] = ()
    lines: tuple[RunLineV2, ...] = ()
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
@click.option("--count", type=click.IntRange(1), help="End after so many lines.")
@click.option("--logs/--no-logs", default=True, help="What functions write with ctx.logger, too.")
@server_options
def tail(
    runs: tuple[str, ...],
    apps: tuple[str, ...],
    output: str,
    count: int | None,
    logs: bool,
    url: str,
    signing_key: str | None,
) -> None:
    """Print each run that begins, goes on or ends, and what its function writes with ctx.logger,
    until you press Ctrl-C. A connection that is lost is made again, and what was missed meanwhile
    is told."""
    asked: dict[str, Text] = {"runId": runs, "appId": apps}
    if logs:
        asked["includeLogs"] = "true"
    server = server_at(url, signing_key)
    _look_for(server, runs, apps)
    with suppress(KeyboardInterrupt):
        _told(server, asked, output, count)


def _look_for(server: ServerApi, runs: tuple[str, ...], apps: tuple[str, ...]) -> None:
    """Of what nobody knows nothing would ever be told. An app may register later."""
    for run_id in runs:
        server.get(Enveloped[RunV2], f"/api/v2/runs/{segment(run_id)}")
    for name in apps:
        if server.get_if_there(Enveloped[AppV2], f"/api/v2/apps/{segment(name)}") is None:
            click.echo(f"no app {name!r} is registered: nothing is told until one is", err=True)


def _told(server: ServerApi, asked: dict[str, Text], output: str, count: int | None) -> None:
    left = count
    for changes in _changes(server, asked):
        # A run writes before it ends.
        found: list[RunV2 | RunLineV2] = [*changes.lines, *changes.runs]
        for one in found[:left]:
            click.echo(msgspec.json.encode(one) if output == "ndjson" else _line(one))
        if changes.more:
            click.echo("more happened at once than is told: stepwell runs", err=True)
        left = None if left is None else left - len(found)
        if left is not None and left <= 0:
            return


def _changes(server: ServerApi, asked: dict[str, Text]) -> Iterator[_Changes]:
    """What a server tells, from each connection on where the one before ended. Raises Away where
    there is none at first."""
    last, was_there, is_missed = "", False, False
    while True:
        kind = ""
        try:
            for line in server.lines("/api/v2/stream", **asked, lastEventId=last):
                was_there, is_missed = True, False
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "id":
                    last = value
                elif name == "data" and kind == "changes":
                    yield msgspec.json.decode(value, type=_Changes)
                elif name == "data" and kind == "reset":
                    click.echo("what happened meanwhile was missed: stepwell runs", err=True)
        except Away:
            if not was_there:
                raise
            if not is_missed:
                click.echo(f"{server.url} does not answer: asking until it does", err=True)
            is_missed = True
        time.sleep(AGAIN_S)


def _line(one: RunV2 | RunLineV2) -> str:
    if isinstance(one, RunLineV2):
        step = f"[{one.step_name}] " if one.step_name else ""
        return plain(f"{moment(one.at)}  {one.level:9}  {one.run_id}  {step}{one.text}")
    at = moment(one.ended_at) or moment(one.started_at) or moment(one.queued_at)
    return plain(f"{at}  {one.status.lower():9}  {one.id}  {one.function.name}")
