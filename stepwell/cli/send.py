"""`stepwell send`: an event from a shell."""

import sys
from typing import Any

import click
import msgspec

from stepwell.cli.server_api import segment, server_at, server_options

ANY_KEY = "dev"
"""A development server takes any event key."""


class _Sent(msgspec.Struct):
    ids: tuple[str, ...]


@click.command("send")
@click.argument("name")
@click.argument("data", default="{}", metavar="[JSON]")
@click.option("--id", "event_id", metavar="TEXT", help="Id of the event: the same one counts once.")
@click.option("--ts", type=int, metavar="MS", help="When it happened, milliseconds since 1970.")
@click.option("--v", "version", metavar="TEXT", help="Version of its data.")
@click.option(
    "--event-key",
    envvar=("STEPWELL_EVENT_KEY", "INNGEST_EVENT_KEY"),
    metavar="TEXT",
    help="The key for sending, where the server has keys. [env: INNGEST_EVENT_KEY]",
)
@server_options
def send(
    name: str,
    data: str,
    event_id: str | None,
    ts: int | None,
    version: str | None,
    event_key: str | None,
    url: str,
    signing_key: str | None,
) -> None:
    """Send the event NAME with JSON as its data ({} by default, - reads it from standard input).

    Prints the event's id.
    """
    event: dict[str, Any] = {"name": name, "data": _object(data)}
    more = {"id": event_id, "ts": ts, "v": version}
    event.update({key: value for key, value in more.items() if value is not None})
    path = f"/e/{segment((event_key or ANY_KEY).split(',')[0])}"
    for sent in server_at(url, None).post(_Sent, path, event).ids:
        click.echo(sent)


def _object(text: str) -> dict[str, Any]:
    raw = sys.stdin.read() if text == "-" else text
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.BadParameter(
            f"{raw[:80]!r} is no JSON object ({error}); write it like '{{\"id\": 1}}'",
            param_hint="JSON",
        ) from None
