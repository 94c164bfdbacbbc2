"""`stepwell resume`: a paused function goes on, or a run that waits because its code changed."""

import click
import msgspec

from stepwell.cli.catalog import function_path, known_function
from stepwell.cli.server_api import Enveloped, ServerApi, segment, server_at, server_options
from stepwell.server.query.paused import Paused
from stepwell.wire.identifier import is_ulid


class _Resumed(msgspec.Struct, rename="camel"):
    run_id: str
    changed: bool


@click.command("resume")
@click.argument("name", metavar="FUNCTION|RUN")
@server_options
def resume(name: str, url: str, signing_key: str | None) -> None:
    """Let FUNCTION, which was paused, go on, and its frozen runs with it.

    Events that came meanwhile stay skipped. Of a RUN that began under other code: let it go on
    under the code that its function has now.
    """
    server = server_at(url, signing_key)
    if is_ulid(name):
        _resume_run(server, name)
        return
    path = f"{function_path(known_function(server, name))}/resume"
    told = server.post(Enveloped[Paused], path, {}).data
    click.echo(f"{told.function} {'goes on' if told.changed else 'was not paused'}")


def _resume_run(server: ServerApi, run_id: str) -> None:
    told = server.post(Enveloped[_Resumed], f"/api/v2/runs/{segment(run_id)}/resume", {}).data
    under = "goes on under the code of now" if told.changed else "has the code of now already"
    click.echo(f"{told.run_id} {under}")
