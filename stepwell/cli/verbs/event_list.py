"""`stepwell events list`: which events came in."""

from typing import Any

import click
import msgspec

from stepwell.cli.output import PAGE, Page, moment, output_option, show, table, watch
from stepwell.cli.server_api import ServerApi, server_at, server_options
from stepwell.cli.terminal import console
from stepwell.server.query.v2.event import EventV2

TITLES = ("EVENT", "NAME", "RECEIVED", "ID OF ITS SENDER")


class _Events(msgspec.Struct):
    data: list[EventV2]
    page: Page = Page()


@click.command("list")
@click.option("--name", default="", metavar="TEXT", help="Only events of this name.")
@click.option("--from", "since", default="", metavar="DATE", help="Only received from then on.")
@click.option("--until", default="", metavar="DATE", help="Only received before that.")
@click.option(
    "--query",
    default="",
    metavar="CEL",
    help="Only events that satisfy this, such as 'event.data.id == 7'.",
)
@click.option(
    "--session",
    multiple=True,
    metavar="KEY=ID",
    help="Only events that belong to this session; repeat.",
)
@click.option("--internal", is_flag=True, help="The server's own events, too.")
@click.option("--data", is_flag=True, help="Tell what they hold, too (as json and ndjson).")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000),
    default=20,
    show_default=True,
    help="How many, at most 1000.",
)
@click.option("--cursor", default="", metavar="TEXT", help="Go on where another list ended.")
@click.option("--watch", "watched", is_flag=True, help="Show the list anew, until Ctrl-C.")
@output_option
@server_options
def list_events(
    watched: bool, output: str, url: str, signing_key: str | None, **asked: Any
) -> None:
    """List events, those received last first. `stepwell event ID` tells more about one."""
    server = server_at(url, signing_key)
    if watched:
        watch(lambda: table(_listed(server, asked)[0], TITLES, _row))
    found, more = _listed(server, asked)
    if output != "table" or found:
        show(found, output, TITLES, _row)
    else:
        click.echo("no events")
    if more and output == "table":
        console().print(f"[dim]more: stepwell events list --cursor {more}[/dim]", soft_wrap=True)


def _listed(server: ServerApi, asked: dict[str, Any]) -> tuple[list[EventV2], str]:
    query = {
        "name": asked["name"],
        "from": asked["since"],
        "until": asked["until"],
        "query": asked["query"],
        "session": asked["session"],
        "includeInternal": "true" if asked["internal"] else "",
        "includeData": "true" if asked["data"] else "",
    }
    found: list[EventV2] = []
    cursor, most = asked["cursor"], asked["limit"]
    while len(found) < most:
        count = min(most - len(found), PAGE)
        answer = server.get(_Events, "/api/v2/events", **query, limit=count, cursor=cursor)
        found += answer.data
        cursor = answer.page.cursor
        if not cursor:
            break
    return found, cursor


def _row(one: EventV2) -> tuple[str, ...]:
    return one.id, one.name, moment(one.received_at), one.external_id
