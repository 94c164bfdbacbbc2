"""`stepwell limits`: named limits, and other numbers for them."""

import click

from stepwell.cli.output import ALL, listed, output_option, show
from stepwell.cli.parts import Parts
from stepwell.cli.server_api import Enveloped, segment, server_at, server_options
from stepwell.wire.limit_state import LimitState

_PATH = "/api/v2/limits"


@click.group("limits", cls=Parts, invoke_without_command=True)
@output_option
@server_options
@click.pass_context
def limits(ctx: click.Context, output: str, url: str, signing_key: str | None) -> None:
    """List named limits: what holds, what is in use, and how many runs wait."""
    if ctx.invoked_subcommand is not None:
        return
    found = listed(server_at(url, signing_key), LimitState, _PATH, ALL)
    if output != "table" or found:
        show(found, output, ("LIMIT", "ALLOWS", "SAID BY", "IN USE", "WAITING"), _row)
    else:
        click.echo("no limits")


def _row(one: LimitState) -> tuple[str, ...]:
    by = "an operator" if one.is_changed else "the code"
    return one.name, allows(one), by, str(one.in_use), str(one.waiting)


@limits.command("set")
@click.argument("name")
@click.option("--concurrency", type=int, help="So much may be under way at once.")
@click.option("--rate", type=int, help="So much may begin per --period.")
@click.option("--period", help='Such as "1m": 1 second to 7 days.')
@server_options
def change(
    name: str,
    concurrency: int | None,
    rate: int | None,
    period: str | None,
    url: str,
    signing_key: str | None,
) -> None:
    """Give the limit NAME other numbers, at once, whatever the code says.

    What is under way goes on. What waits begins as soon as there is room.
    """
    given = {"concurrency": concurrency, "rate": rate, "period": period}
    body = {key: value for key, value in given.items() if value is not None}
    if not body:
        raise click.UsageError("say what it allows: --concurrency N, or --rate N --period 1m")
    server = server_at(url, signing_key)
    told = server.post(Enveloped[LimitState], f"{_PATH}/{segment(name)}", body).data
    click.echo(f"{told.name} allows {allows(told)}; {told.in_use} in use, {told.waiting} waiting")


@limits.command("reset")
@click.argument("name")
@server_options
def reset(name: str, url: str, signing_key: str | None) -> None:
    """Let the numbers hold again that the code gives the limit NAME."""
    server = server_at(url, signing_key)
    told = server.delete(Enveloped[LimitState], f"{_PATH}/{segment(name)}").data
    click.echo(f"{told.name} allows {allows(told)}")


def allows(limit: LimitState) -> str:
    """What a limit allows, in words."""
    if limit.concurrency:
        return f"{limit.concurrency} at once"
    return f"{limit.rate} per {limit.period}" if limit.rate else "anything"
