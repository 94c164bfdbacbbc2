"""`stepwell migrate`: brings a PostgreSQL database to the schema of this version."""

from collections.abc import Callable

import click

from stepwell.sdk.extra import Extra
from stepwell.server.store.port import StoreError

with Extra("postgres", "stepwell migrate"):
    from stepwell.server.store.postgres.connection import Connection, connect, name_of
    from stepwell.server.store.postgres.migrating import differences, plan
    from stepwell.server.store.postgres.migrating import migrate as bring


@click.command("migrate")
@click.option(
    "--postgres-uri",
    envvar=["STEPWELL_POSTGRES_URI", "INNGEST_POSTGRES_URI"],
    required=True,
    help="The database, as postgresql://user:password@host:5432/database.",
)
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--verify", "only_verify", is_flag=True, help="Compare the tables with those of this version."
)
def migrate(postgres_uri: str, only_plan: bool, only_verify: bool) -> None:
    """Bring a PostgreSQL database to the schema of this version.

    A server does this by itself when it starts; do it here where servers may not change tables, or
    before an upgrade. It runs under a lock, each step as one transaction, and servers may go on
    meanwhile. In the end the tables are compared with those of this version; whoever does that must
    be allowed to make a schema.
    """
    if only_plan and only_verify:
        raise click.UsageError("give --plan or --verify, not both")
    try:
        name = name_of(postgres_uri)
        connection = connect(postgres_uri)
        try:
            _tell_plan(connection, name, click.echo)
            if only_plan:
                return
            if not only_verify:
                bring(connection, name)
            found = differences(connection, name)
        finally:
            connection.close()
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    for difference in found:
        click.echo(difference)
    if found:
        raise click.ClickException(f"{name} differs from this version in {len(found)} places")
    click.echo("verified: the tables are those of this version")


def _tell_plan(connection: Connection, name: str, tell: Callable[[str], None]) -> None:
    planned = plan(connection, name)
    tell(f"{name} is at schema {planned.version}")
    for number, text in planned.missing.items():
        tell(f"to do: {number}. {text}")
    if not planned.missing:
        tell("nothing is to be done")
