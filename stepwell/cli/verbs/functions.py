"""`stepwell functions`: which functions are registered, and what starts them."""

import click

from stepwell.cli.catalog import functions_of
from stepwell.cli.output import output_option, show
from stepwell.cli.server_api import server_at, server_options
from stepwell.server.query.v2.catalog import FunctionV2


@click.command("functions")
@click.argument("app", default="")
@output_option
@server_options
def functions(app: str, output: str, url: str, signing_key: str | None) -> None:
    """List the functions of APP, or of all apps, and what is probably a mistake of theirs."""
    found = functions_of(server_at(url, signing_key), app)
    show(found, output, ("FUNCTION", "APP", "NAME", "STARTED BY", ""), _row)
    for one in found:
        for warning in one.warnings:
            click.echo(f"{one.slug}: {warning}", err=True)


def _row(one: FunctionV2) -> tuple[str, ...]:
    starts = ", ".join(trigger.value for trigger in one.triggers)
    return one.slug, one.app.name, one.name, starts, "paused" if one.is_paused else ""
