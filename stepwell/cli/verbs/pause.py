"""`stepwell pause`: a function rests."""

import click

from stepwell.cli.catalog import function_path, known_function
from stepwell.cli.server_api import Enveloped, server_at, server_options
from stepwell.cli.verbs.bulk import count_of
from stepwell.server.query.paused import Paused


@click.command("pause")
@click.argument("function", metavar="FUNCTION")
@click.option("--cancel", is_flag=True, help="Cancel its runs, in place of freezing them.")
@click.option("--dry-run", is_flag=True, help="Only say how many runs it is about.")
@click.option("--yes", is_flag=True, help="With --cancel: do not ask first.")
@server_options
def pause(
    function: str, cancel: bool, dry_run: bool, yes: bool, url: str, signing_key: str | None
) -> None:
    """Let FUNCTION, such as shop-order, rest: its events start nothing and are recorded as skipped.

    Its runs finish the step they are at and then wait, for up to a week, for `stepwell resume`.
    With --cancel they end, after saying how many there are.
    """
    server = server_at(url, signing_key)
    one = known_function(server, function)
    if dry_run or (cancel and not yes):
        going: dict[str, object] = {
            "status": ["QUEUED", "RUNNING"],
            "appId": [one.app.name],
            "functionId": [one.slug],
        }
        number, count = count_of(server, going)
        deed = "cancel" if cancel else "freeze"
        if dry_run:
            click.echo(f"{deed} is about {count} runs")
            return
        if number:
            click.confirm(f"{deed} {count} runs?", abort=True, err=True)
    body = {"running": "cancel" if cancel else "freeze"}
    told = server.post(Enveloped[Paused], f"{function_path(one)}/pause", body).data
    click.echo(f"{told.function} {'is' if told.changed else 'was'} paused")
