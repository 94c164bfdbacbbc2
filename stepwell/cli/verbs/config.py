"""`stepwell config`: what an app's settings are here, and why."""

import json
import os
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from stepwell.cli.target import ServedClient, load
from stepwell.cli.target_error import TargetError
from stepwell.cli.terminal import console, put
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.settings import Decision, Options, ServeOptions, resolve, resolve_serve


@click.command("config")
@click.argument("target", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def config(target: str | None, as_json: bool) -> None:
    """Print every setting of an app with its value and where that came from.

    Without TARGET: what the environment alone decides. With one, such as `main:client`, what the
    client of that module was told counts first. Of keys only a fingerprint is shown.
    """
    try:
        decisions = _decisions(target)
    except (ConfigurationError, TargetError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        rows = [{"name": d.name, "value": _plain(d), "reason": d.reason} for d in decisions]
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("setting", "value", "because"):
        table.add_column(column, overflow="fold")
    for decision in decisions:
        table.add_row(*map(escape, (decision.name, decision.shown, decision.reason)))
    put(console(), table)


def _decisions(target: str | None) -> tuple[Decision, ...]:
    """The client's decisions, then those of an endpoint that is told nothing itself."""
    if target is None:
        settings, environ = resolve(Options(), os.environ), os.environ
        endpoint = resolve_serve(ServeOptions(), environ, settings.mode)
        return (*settings.decisions, *endpoint.decisions)
    found = load(target, Path.cwd())
    if not isinstance(found, ServedClient):
        raise TargetError(f"{target} is an application: name the client it serves")
    settings = found.client.settings
    endpoint = resolve_serve(ServeOptions(), found.client.environ, settings.mode)
    return (*settings.decisions, *endpoint.decisions)


def _plain(decision: Decision) -> str | bool | int | None:
    hidden = decision.secret and decision.value is not None
    return decision.shown if hidden else decision.value
