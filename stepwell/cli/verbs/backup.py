"""`stepwell backup`: copies the database of a server, which may go on meanwhile."""

from pathlib import Path

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from stepwell.cli.terminal import console
from stepwell.server.config import DATABASE_NAME
from stepwell.server.store.port import StoreError
from stepwell.server.store.sqlite.backup import back_up


@click.command("backup")
@click.argument("to", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--database",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=Path(".stepwell") / DATABASE_NAME,
    show_default=True,
    help="The file of the server, or of an engine in a process of your own.",
)
def backup(to: Path, database: Path) -> None:
    """Copy a database while it is used.

    The copy is what was committed when it began, whole and looked at. To restore it, stop the
    server, put the copy in the place of its file, remove what lies beside that under the same name
    (-wal, -shm, .mark), and start the server again.
    """
    bar = Progress(
        TextColumn("copying"), BarColumn(), TaskProgressColumn(), console=console(stderr=True)
    )
    task = bar.add_task("copy", total=None)
    try:
        with bar:
            size = back_up(
                database, to, lambda done, of: bar.update(task, completed=done, total=of)
            )
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{to}: {size / 2**20:.1f} MiB")
