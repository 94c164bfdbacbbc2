"""`stepwell pause`: a function rests."""

import click

from stepwell.cli.server_api import Enveloped, segment, server_at, server_options
from stepwell.server.query.paused import Paused


@click.command("pause")
@click.argument("function", metavar="FUNCTION")
@click.option("--cancel", is_flag=True, help="Cancel its runs, in place of freezing them.")
@server_options
def pause(function: str, cancel: bool, url: str, signing_key: str | None) -> None:
    """Let FUNCTION, such as shop-order, rest: its events start nothing and are recorded as skipped.

    Its runs finish the step they are at and then wait, for up to a week, for `stepwell resume`.
    """
    server = server_at(url, signing_key)
    body = {"running": "cancel" if cancel else "freeze"}
    told = server.post(Enveloped[Paused], f"/v1/functions/{segment(function)}/pause", body).data
    click.echo(f"{told.function} {'is' if told.changed else 'was'} paused")
