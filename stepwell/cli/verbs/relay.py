"""`stepwell relay`: a process of its own that sends what transactions left in an outbox.

The only place that makes connections for users: by the address of a database, or by asking a
function of theirs.
"""

import asyncio
import signal
import sqlite3
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import click

from stepwell.cli.target import imported, split
from stepwell.cli.target_error import TargetError
from stepwell.outbox import POLL_SECONDS, Relay, create_table
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import Error
from stepwell.sdk.send.outbox import done

Connect = Callable[[], Any]

_POSTGRES = ("postgresql://", "postgres://")
_SQLITE = "sqlite:///"


@click.command("relay")
@click.argument("database")
@click.option("--once", is_flag=True, help="Send what is there, then end.")
@click.option("--create-table", is_flag=True, help="Make the table first, if it is missing.")
@click.option(
    "--poll-interval",
    type=click.FloatRange(min=0.01),
    default=POLL_SECONDS,
    metavar="SECONDS",
    help="How often to look. [default: 1]",
)
@click.option("--url", metavar="URL", help="The server. [env: INNGEST_DEV and others, as for send]")
def relay(
    database: str, once: bool, create_table: bool, poll_interval: float, url: str | None
) -> None:
    """Send the events that committed transactions left in a DATABASE.

    DATABASE is postgresql://..., sqlite:///file, or module:function, where the function gives a
    connection. Key and server are read from the environment, as clients read them. Several relays
    may run at once.
    """
    client = Inngest(app_id="relay", event_api_base_url=url)
    try:
        connect = _connecting(database)
        _ = client.event_port  # which may lack a key
        asyncio.run(_relayed(client, connect, create_table, None if once else poll_interval))
    except (Error, TargetError) as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        return


async def _relayed(
    client: Inngest, connect: Connect, make_table: bool, poll_seconds: float | None
) -> None:
    if make_table:
        await _make_table(connect)
    working = Relay(client, connect)
    if poll_seconds is None:
        count = await working.run_once()
        click.echo(f"{count} event{'' if count == 1 else 's'} sent")
        return
    task = asyncio.ensure_future(working.run(poll_seconds=poll_seconds))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    click.echo("relaying; end it with Ctrl-C or SIGTERM")
    try:
        await task
    except asyncio.CancelledError:
        if (running := asyncio.current_task()) is not None and running.cancelling():
            raise


async def _make_table(connect: Connect) -> None:
    connection = await done(connect())
    try:
        await create_table(connection)
        if hasattr(connection, "commit"):  # one of asyncpg commits each statement
            await done(connection.commit())
    finally:
        await done(connection.close())


def _connecting(database: str) -> Connect:
    """What makes connections. Raises TargetError for what names no database."""
    if database.startswith(_POSTGRES):
        try:
            psycopg: Any = import_module("psycopg")
        except ImportError:
            raise TargetError(
                f"{database.partition('://')[0]}: psycopg is not installed; run pip install psycopg"
            ) from None
        return lambda: psycopg.AsyncConnection.connect(database)
    if database.startswith(_SQLITE):
        path = database.removeprefix(_SQLITE)
        return lambda: sqlite3.connect(path)
    place, mark, name = split(database)
    if not mark or "://" in database:
        raise TargetError(
            f"{database}: give postgresql://..., sqlite:///file, or module:function, where the"
            " function gives a connection"
        )
    found = getattr(imported(place, Path.cwd()), name, None)
    if not callable(found):
        raise TargetError(f"{database}: there is no function {name!r} in {place}")
    return cast(Connect, found)
