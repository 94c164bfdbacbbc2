"""`stepwell send`: an event from a shell."""

import sys
from typing import Any

import click
import msgspec

from stepwell.cli.server_api import (
    ANY_KEY,
    EVENTS_PATH,
    Enveloped,
    segment,
    server_at,
    server_options,
)


class Listening(msgspec.Struct, frozen=True):
    """Who listens to an event, as a server tells it (read here without a server's imports)."""

    event: str
    functions: tuple[str, ...] = ()
    near: tuple[str, ...] = ()


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

    Prints the event's id, and beside it (on standard error) how many functions listen to it.
    """
    event: dict[str, Any] = {"name": name, "data": _object(data)}
    more = {"id": event_id, "ts": ts, "v": version}
    event.update({key: value for key, value in more.items() if value is not None})
    path = f"{EVENTS_PATH}{segment((event_key or ANY_KEY).split(',')[0])}"
    for sent in server_at(url, None).post(_Sent, path, event).ids:
        click.echo(sent)
    server = server_at(url, signing_key)
    found = server.get_if_there(Enveloped[Listening], "/api/v2/event-listeners", name=name)
    if found is not None:
        click.echo(heard_by(found.data), err=True)


def heard_by(found: Listening) -> str:
    """Who listens to an event, in a sentence."""
    if found.functions:
        many = len(found.functions) > 1
        count = f"{len(found.functions)} functions listen" if many else "1 function listens"
        return f"{count} to {found.event}: {', '.join(found.functions)}"
    nobody = f"no function listens to {found.event} (runs that wait for it hear of it)"
    return f"{nobody}; near it: {', '.join(found.near)}" if found.near else nobody


def _object(text: str) -> dict[str, Any]:
    raw = sys.stdin.read() if text == "-" else text
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.BadParameter(
            f"{raw[:80]!r} is no JSON object ({error}); write it like '{{\"id\": 1}}'",
            param_hint="JSON",
        ) from None
