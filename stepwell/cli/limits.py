"""`stepwell limits`: named limits, and other numbers for them."""

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from stepwell.cli.parts import Parts
from stepwell.cli.server_api import Enveloped, segment, server_at, server_options
from stepwell.cli.terminal import console, put
from stepwell.wire.limit_state import LimitState

PAGE = 100
_PATH = "/api/v2/limits"


class _Page(msgspec.Struct):
    cursor: str | None = None


class _Listed(msgspec.Struct):
    data: list[LimitState]
    page: _Page


@click.group("limits", cls=Parts, invoke_without_command=True)
@server_options
@click.pass_context
def limits(ctx: click.Context, url: str, signing_key: str | None) -> None:
    """List named limits: what holds, what is in use, and how many runs wait."""
    if ctx.invoked_subcommand is not None:
        return
    server, cursor = server_at(url, signing_key), ""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("LIMIT", "ALLOWS", "SAID BY", "IN USE", "WAITING"):
        table.add_column(title, no_wrap=title == "LIMIT", overflow="fold")
    while True:
        found = server.get(_Listed, _PATH, limit=PAGE, cursor=cursor)
        for one in found.data:
            by = "an operator" if one.is_changed else "the code"
            row = (escape(one.name), allows(one), by, str(one.in_use), str(one.waiting))
            table.add_row(*row)
        cursor = found.page.cursor or ""
        if not cursor:
            break
    if table.row_count:
        put(console(), table)
    else:
        click.echo("no limits")


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
