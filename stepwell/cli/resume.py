"""`stepwell resume`: a paused function goes on."""

import click

from stepwell.cli.catalog import function_path, known_function
from stepwell.cli.server_api import Enveloped, server_at, server_options
from stepwell.server.query.paused import Paused


@click.command("resume")
@click.argument("function", metavar="FUNCTION")
@server_options
def resume(function: str, url: str, signing_key: str | None) -> None:
    """Let FUNCTION, which was paused, go on, and its frozen runs with it.

    Events that came meanwhile stay skipped.
    """
    server = server_at(url, signing_key)
    path = f"{function_path(known_function(server, function))}/resume"
    told = server.post(Enveloped[Paused], path, {}).data
    click.echo(f"{told.function} {'goes on' if told.changed else 'was not paused'}")
