"""`stepwell copy`: moves everything of a stopped server between SQLite and PostgreSQL."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from stepwell.cli.terminal import console
from stepwell.sdk.extra import Extra
from stepwell.server.store.port import StoreError
from stepwell.server.store.transfer import sqlite_side
from stepwell.server.store.transfer.copying import Source, Target, copy_all, counts_of

with Extra("postgres", "stepwell copy"):
    from stepwell.server.store.transfer import postgres_side

_POSTGRES = ("postgresql://", "postgres://")
_SQLITE = "sqlite:"


class Place(NamedTuple):
    """Where a store is: a file, or the address of a database."""

    text: str
    is_file: bool

    def reading(self) -> AbstractContextManager[Source]:
        """The store, to copy from."""
        if self.is_file:
            return sqlite_side.reading(Path(self.text))
        return postgres_side.reading(self.text)

    def filling(self) -> AbstractContextManager[Target]:
        """An empty store, to copy to."""
        if self.is_file:
            return sqlite_side.making(Path(self.text))
        return postgres_side.filling(self.text)

    def check_free(self) -> None:
        """Raise what `filling` would, and change nothing."""
        if self.is_file:
            sqlite_side.check_free(Path(self.text))
        else:
            postgres_side.check_free(self.text)


def _place(_context: click.Context, _option: click.Parameter, text: str) -> Place:
    """The place that a text names."""
    if text.startswith(_POSTGRES):
        return Place(text, is_file=False)
    if text.startswith(_SQLITE) and len(text) > len(_SQLITE):
        return Place(text.removeprefix(_SQLITE), is_file=True)
    # What was given may hold a password.
    raise click.BadParameter("give sqlite:FILE or postgresql://user:password@host:5432/database")


@click.command("copy")
@click.option("--from", "source", callback=_place, required=True, help="What is copied.")
@click.option("--to", "target", callback=_place, required=True, help="Where to; it is empty.")
@click.option("--dry-run", is_flag=True, help="Look at both, count, and copy nothing.")
def copy_store(source: Place, target: Place, dry_run: bool) -> None:
    """Copy everything of a stopped server from SQLite to PostgreSQL, or back.

    Each place is sqlite:FILE or postgresql://user:password@host:5432/database. Stop every server of
    the first one; the second one must be empty (a file must not be there). What was copied is read
    again and compared, and nothing is kept of a copy that was not finished. Runs go on from where
    they were once a server starts on the copy. The first one is not changed: start no server on it
    any more, or runs are done twice.
    """
    if source.is_file == target.is_file:
        raise click.UsageError(
            "give one sqlite: and one postgresql: place; `stepwell backup` copies a file, and"
            " PostgreSQL's own tools copy a database"
        )
    try:
        with source.reading() as opened:
            counts = counts_of(opened)
            if dry_run:
                target.check_free()
            else:
                _copied(opened, target, sum(counts.values()))
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    _tell(counts)
    click.echo("nothing was copied: it is a dry run" if dry_run else "copied, and compared")


def _copied(source: Source, target: Place, rows: int) -> None:
    bar = Progress(
        TextColumn("copying"), BarColumn(), TaskProgressColumn(), console=console(stderr=True)
    )
    # Each row is written once and read once.
    task = bar.add_task("copy", total=2 * rows)
    with target.filling() as filled, bar:
        copy_all(source, filled, lambda more: bar.advance(task, more))


def _tell(counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        if count:
            click.echo(f"{name:<14} {count:>12,}")
    click.echo(f"{'rows':<14} {sum(counts.values()):>12,}")
