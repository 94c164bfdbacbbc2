"""`stepwell doctor`: is there a run that does not move, and who is to move it?"""

import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from stepwell.cli.server_api import Enveloped, server_at, server_options
from stepwell.cli.terminal import console, put
from stepwell.cli.verbs.runs import table_of
from stepwell.server.query.lost_places import lost_places
from stepwell.server.query.offline import held_in, waiting_in
from stepwell.server.query.v2.run import runs_v2
from stepwell.server.query.v2.waiting import DiagnosisV2, WaitingV2, held_v2, lost_v2, waiting_v2
from stepwell.server.query.waiting import RUNS_MAX
from stepwell.server.store.port import StoreError
from stepwell.server.store.sqlite.store import SqliteStore

STRANDED_MAX = 200


@click.command("doctor")
@click.option(
    "--database",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Look into this database file, whose server must be stopped, in place of asking a server.",
)
@click.option(
    "--deep",
    is_flag=True,
    help="With --database: read all of the file, too, and say what is damaged.",
)
@server_options
def doctor(database: Path | None, deep: bool, url: str, signing_key: str | None) -> None:
    """Look for runs that do not move.

    A run whose work is due waits for its app if nobody serves its function, no worker is connected
    or the app cannot be reached: then doctor says who is waited for, since when, and what to do,
    and so it does of runs that a paused function keeps. A run that has nothing due, nobody at work
    on it, no timer and no open wait is stranded: a fault of the server. A debounce or a batch that
    does not start is told of, too, and so is a place under a limit whose run has ended, another
    fault. Exits with 1 if there is any of this.
    """
    if deep and database is None:
        raise click.UsageError("--deep reads a file: name it with --database FILE")
    if deep and database is not None:
        _look_deep(database)
    if database is None:
        server = server_at(url, signing_key)
        place, found = server.url, server.get(Enveloped[DiagnosisV2], "/api/v2/doctor").data
    else:
        place, found = str(database), _opened(database)
    to = console()
    _show_waiting(to, found.waiting)
    for one in found.held:
        to.print(f"[yellow]held[/yellow] for {escape(one.function.name)}: {escape(one.text)}")
    if found.stranded:
        to.print(f"[red]{len(found.stranded)} stranded runs[/red] in {escape(place)}")
        put(to, table_of(found.stranded))
        fix = "This is a fault of the server: please report it with the database, if you can."
        to.print(fix)
    for place_left in found.lost:
        to.print(f"[red]lost[/red]: {escape(place_left.text)}")
    if any((found.stranded, found.waiting, found.held, found.lost)):
        raise SystemExit(1)
    told = f"[green]healthy[/green]: no stranded run in {escape(place)}, and none that waits"
    to.print(f"{told} for an app")


def _show_waiting(to: Console, found: Sequence[WaitingV2]) -> None:
    for one in found:
        count = f"{one.runs} run{'s' if one.runs > 1 else ''}"
        if one.runs >= RUNS_MAX:
            count = f"{RUNS_MAX} runs or more"
        to.print(f"[yellow]{count}[/yellow] of {escape(one.function.name)}: {escape(one.text)}")
        to.print(f"  the oldest: stepwell run {one.oldest_run_id}")


def _look_deep(database: Path) -> None:
    try:
        store = SqliteStore(database)
        try:
            problems = store.problems()
        finally:
            store.close()
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    if problems:
        told = "\n  ".join(problems)
        raise click.ClickException(f"{database} is damaged; restore a backup:\n  {told}")


def _opened(database: Path) -> DiagnosisV2:
    try:
        store = SqliteStore(database)
        try:
            store.migrate()
            reader = store.reader()
            stranded = reader.stranded(STRANDED_MAX)
            found = DiagnosisV2(
                stranded=tuple(runs_v2(reader, stranded)),
                waiting=waiting_v2(waiting_in(reader)),
                held=held_v2(held_in(reader, int(time.time() * 1000))),
                lost=lost_v2(lost_places(reader)),
            )
            reader.close()
        finally:
            store.close()
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    return found
