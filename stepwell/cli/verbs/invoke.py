"""`stepwell invoke`: a function is started by its id."""

import click
import msgspec

from stepwell.cli.catalog import function_path, known_function
from stepwell.cli.following import follow
from stepwell.cli.server_api import Enveloped, server_at, server_options


class _Started(msgspec.Struct, rename="camel"):
    run_id: str


@click.command("invoke")
@click.argument("function", metavar="FUNCTION")
@click.argument("data", default="{}")
@click.option("--key", default="", metavar="TEXT", help="Counts once in 24 hours.")
@click.option("--wait", is_flag=True, help="Print what the run returns, once it has ended.")
@click.option(
    "--timeout", default=300.0, show_default=True, help="With --wait: for so many seconds."
)
@server_options
def invoke(
    function: str,
    data: str,
    key: str,
    wait: bool,
    timeout: float,
    url: str,
    signing_key: str | None,
) -> None:
    """Start FUNCTION, such as shop-order, with DATA, a JSON object, and print the id of its run."""
    try:
        body: dict[str, object] = {"data": msgspec.json.decode(data, type=dict[str, object])}
    except msgspec.DecodeError as error:
        raise click.UsageError(f"DATA must be a JSON object: {error}") from None
    if key:
        body["idempotencyKey"] = key
    server = server_at(url, signing_key)
    path = f"{function_path(known_function(server, function))}/invoke"
    started = server.post(Enveloped[_Started], path, body).data
    click.echo(started.run_id, err=wait)
    if wait:
        follow(server, started.run_id, timeout)
