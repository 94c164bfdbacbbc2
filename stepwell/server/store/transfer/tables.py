"""What is copied between stores: each table with its columns, as both sides give them. Pure.

Each side knows what it keeps otherwise (`sqlite_side.py`, `postgres_side.py`). A test compares all
three with both schemas: a new column must be put here, or said to be one side's own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from stepwell.server.store.row import Values

DIGEST_BYTES = 16

_encode = msgspec.msgpack.Encoder().encode


class Table(NamedTuple):
    """A table, and in which order its rows are read there: what is numbered by arrival must arrive
    in order."""

    name: str
    columns: tuple[str, ...]
    sqlite_order: str = ""
    postgres_order: str = ""


class Otherwise(NamedTuple):
    """What one side keeps otherwise of a table: columns of its own, and those it has not."""

    own: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()


def otherwise(own: str = "", without: str = "") -> Otherwise:
    """From names with spaces between them."""
    return Otherwise(frozenset(own.split()), frozenset(without.split()))


def _table(name: str, columns: str, *, sqlite_order: str = "", postgres_order: str = "") -> Table:
    return Table(name, tuple(columns.split()), sqlite_order, postgres_order)


TABLES: tuple[Table, ...] = (
    _table(
        "event",
        "id name ts received_ms key body",
        sqlite_order="seq",
        postgres_order="received_ms, id",
    ),
    _table(
        "run",
        "id function app event_id queued_ms dedup origin status started_ms ended_ms output version"
        " flags pending parts code",
        sqlite_order="seq",
        postgres_order="queued_ms, id",
    ),
    _table("run_event", "event_id run_id"),
    _table(
        "step",
        "run_id id place op name began_ms ended_ms attempt memo input",
        sqlite_order="step.rowid",
        postgres_order="place, run_id, id",
    ),
    _table("item", "run_id key due_ms queue kind attempt target losses detail"),
    _table("wait", "run_id step_id kind name path value opened_ms until_ms condition label"),
    _table(
        "note",
        "run_id place at_ms kind step_id name attempt body",
        sqlite_order="rowid",
        postgres_order="place, run_id",
    ),
    _table("annotation", "run_id kind step_id place name at_ms body"),
    _table("flow_key", "id kind until_ms value data"),
    _table("slot", "key run_id taken_ms place"),
    _table("hold", "key function kind opened_ms due_ms event_id ts count size parent"),
    _table("held", "hold place event_id ts parent"),
    _table(
        "dropped",
        "event_id function reason at_ms key until_ms run_id",
        sqlite_order="rowid",
        postgres_order="seq",
    ),
    _table(
        "app", "name url method sdk framework app_version checksum synced_ms error events former"
    ),
    _table("function", "slug app name config version created_ms"),
    _table("gone_function", "slug app name config version created_ms gone_ms"),
    _table("function_version", "slug app name config version created_ms app_version"),
    _table("cancellation", "id app function after_ms before_ms condition asked_ms ended_ms"),
    _table("api_key", "id name role hash created_ms created_by revoked_ms"),
    _table(
        "audit",
        "id at_ms by key_id operation target asked status",
        sqlite_order="seq",
        postgres_order="seq",
    ),
    _table(
        "bulk",
        "id action wanted rate asked_ms asked_by total more at_ms run_id done refused ended_ms"
        " stopped",
    ),
    _table("run_count", "span_ms at_ms app function queued started completed failed cancelled"),
    _table("duration_count", "at_ms app function bucket runs longest_ms run_id"),
    _table(
        "failure_count",
        "span_ms at_ms app function kind name message runs first_ms last_ms run_id",
    ),
)
"""Runs come before what hangs on them."""


@dataclass(slots=True)
class Tally:
    """How many rows there were, and a digest of them that does not depend on their order."""

    count: int = 0
    digest: int = 0

    def add(self, row: Values) -> None:
        """One more."""
        told = blake2b(_encode(row), digest_size=DIGEST_BYTES).digest()
        self.count += 1
        self.digest = (self.digest + int.from_bytes(told, "big")) % 2 ** (8 * DIGEST_BYTES)

    def passing(self, rows: Iterable[Values]) -> Iterator[Values]:
        """The rows, each counted as it passes."""
        for row in rows:
            self.add(row)
            yield row


Tallies = Mapping[str, Tally]
"""By the name of the table."""
