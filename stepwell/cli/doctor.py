"""`stepwell doctor`: is there a run that nothing will ever move?"""

from pathlib import Path

import click
from rich.console import Console

from stepwell.cli.runs import table_of
from stepwell.cli.server_api import Enveloped, server_at, server_options
from stepwell.server.query.run_object import RunObject, run_object
from stepwell.server.store.port import StoreError
from stepwell.server.store.sqlite.store import SqliteStore

STRANDED_MAX = 200


class _Diagnosis:
    """What was looked at, and what was found."""

    def __init__(self, place: str, stranded: list[RunObject]) -> None:
        self.place = place
        self.stranded = stranded


@click.command("doctor")
@click.option(
    "--database",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Look into this database file, whose server must be stopped, in place of asking a server.",
)
@server_options
def doctor(database: Path | None, url: str, signing_key: str | None) -> None:
    """Check the invariant of the engine.

    Every run that has not ended has something due, somebody at work on it, a timer or an open
    wait. Exits with 1, and lists them, if there are runs that have none of these.
    """
    found = _asked(url, signing_key) if database is None else _opened(database)
    console = Console()
    if not found.stranded:
        console.print(f"[green]healthy[/green]: no stranded run in {found.place}")
        return
    console.print(f"[red]{len(found.stranded)} stranded runs[/red] in {found.place}")
    console.print(table_of(found.stranded))
    console.print("This is a fault of the server: please report it with the database, if you can.")
    raise SystemExit(1)


def _asked(url: str, signing_key: str | None) -> _Diagnosis:
    server = server_at(url, signing_key)
    answer = server.get(Enveloped[dict[str, list[RunObject]]], "/v1/doctor")
    return _Diagnosis(server.url, answer.data["stranded"])


def _opened(database: Path) -> _Diagnosis:
    try:
        store = SqliteStore(database)
        try:
            store.migrate()
            reader = store.reader()
            stranded = [run_object(run) for run in reader.stranded(STRANDED_MAX)]
            reader.close()
        finally:
            store.close()
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    return _Diagnosis(str(database), stranded)
