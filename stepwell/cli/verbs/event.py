"""`stepwell event`: one event, and what it started."""

import click
import msgspec
from rich.console import Console
from rich.markup import escape

from stepwell.cli.output import moment
from stepwell.cli.server_api import server_at, server_options
from stepwell.cli.source import ServerSource
from stepwell.cli.terminal import console, put
from stepwell.cli.verbs.runs import table_of
from stepwell.server.query.not_started import NotStartedV2
from stepwell.server.query.v2.event import EventV2
from stepwell.server.query.v2.run import RunV2


class _Told(msgspec.Struct):
    """An event, and what came of it."""

    event: EventV2
    runs: tuple[RunV2, ...]
    not_started: tuple[NotStartedV2, ...] = msgspec.field(name="notStarted")


@click.command("event")
@click.argument("event_id", metavar="ID")
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Lines, or one JSON document.",
)
@server_options
def event(event_id: str, output: str, url: str, signing_key: str | None) -> None:
    """Tell what the event ID holds, the runs that it started, and the functions that have none for
    it because of their flow control, with the reason. Exits with 1 if there is no such event."""
    source = ServerSource(server_at(url, signing_key))
    found = source.event(event_id)
    if found is None:
        raise click.ClickException(f"there is no event {event_id}: `stepwell events list` has ids")
    came = source.of_event(event_id)
    if output == "json":
        told = _Told(found, tuple(came.runs), tuple(came.not_started))
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2))
        return
    to = console()
    _print(to, found)
    if came.runs:
        put(to, table_of(came.runs))
    for one in came.not_started:
        to.print(f"[yellow]{one.reason}[/yellow] {escape(one.function.name)}: {escape(one.detail)}")
    if not came.runs and not came.not_started:
        to.print(f"started no run: {escape(source.heard_by(found.name))}")


def _print(to: Console, found: EventV2) -> None:
    to.print(f"[bold]{escape(found.name)}[/bold] {found.id}")
    sender = f", id of its sender {escape(found.external_id)}" if found.external_id else ""
    to.print(f"[dim]received {moment(found.received_at)}{sender}[/dim]")
    for name, value in (("data", found.data), ("user", found.user), ("meta", found.meta)):
        if value is not msgspec.UNSET:
            text = msgspec.json.format(bytes(value), indent=2).decode()
            to.print(f"{name}: {escape(text)}", soft_wrap=True)
