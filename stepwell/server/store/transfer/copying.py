"""Copies everything one store holds to another one that is empty, row by row, and compares them.

What goes away with a server is not copied: who was doing what (leases), and which servers there
were. It is the same as after any stop: what was under way is begun again.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import Protocol

from stepwell.server.store.port import Corrupt
from stepwell.server.store.row import Values
from stepwell.server.store.transfer.tables import TABLES, Table, Tally

TOLD_EVERY = 500

Progress = Callable[[int], None]
"""Told how many rows more were written, or compared."""


class Source(Protocol):
    """A store that nobody uses meanwhile."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def count(self, table: Table) -> int:
        """How many rows of a table there are to copy."""
        ...

    def rows(self, table: Table) -> Generator[Values]:
        """The rows of a table, one by one."""
        ...


class Target(Source, Protocol):
    """A store that is empty, and stays so unless everything is written."""

    def put(self, table: Table, rows: Iterable[Values]) -> None:
        """Write the rows of a table."""
        ...


def counts_of(source: Source) -> dict[str, int]:
    """How many rows of each table there are to copy."""
    return {table.name: source.count(table) for table in TABLES}


def copy_all(source: Source, target: Target, tell: Progress = lambda more: None) -> None:
    """Write every row of a source to a target, read them there again, and compare.

    Raises `Corrupt` where they are not the same, `Unstorable` where a value fits no row there.
    """
    written: dict[str, Tally] = {}
    for table in TABLES:
        tally = written[table.name] = Tally()
        with closing(source.rows(table)) as rows:
            target.put(table, _telling(tally.passing(rows), tell))
        _compare_counts(source.name, table, source.count(table), tally.count)
    for table in TABLES:
        found = Tally()
        with closing(target.rows(table)) as rows:
            for _ in _telling(found.passing(rows), tell):
                pass
        if found != written[table.name]:
            raise Corrupt(
                f"the copy in {target.name} is not what {source.name} holds: the table {table.name}"
                f" has {found.count} rows of {written[table.name].count}, or others. Nothing was"
                " kept of it; look at the disks of both, and copy again"
            )


def _compare_counts(name: str, table: Table, expected: int, found: int) -> None:
    if found != expected:
        raise Corrupt(
            f"{name} is damaged: the table {table.name} has {expected} rows, and {found} can be"
            " read. Restore a backup, and copy that"
        )


def _telling(rows: Iterator[Values], tell: Progress) -> Iterator[Values]:
    more = 0
    for row in rows:
        yield row
        more += 1
        if more == TOLD_EVERY:
            tell(more)
            more = 0
    tell(more)
