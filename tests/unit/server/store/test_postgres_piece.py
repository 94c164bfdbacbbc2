"""Statements in one piece: what they are told, what they answer, and what goes wrong."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from stepwell.server.store.postgres.connection import (
    FEW_ROWS,
    SQL,
    Connection,
    connect,
    of_rows,
)
from stepwell.server.store.postgres.piece import Piece, prepared_on


@pytest.fixture
def db(migrated_database: str) -> Iterator[Connection]:
    """A connection of ours."""
    connection = connect(migrated_database)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("text", ["", "ü\U0001f600", None, "a,b {'\"\\"]),
        ("int8", [0, -(2**63), 2**63 - 1, None]),
        ("int4", [0, -(2**31), 2**31 - 1, None]),
        ("bytea", [b"", bytes(range(256)), None]),
    ],
)
def test_values_come_back_as_they_were_sent(db: Connection, type_: str, values: list[Any]) -> None:
    piece = Piece(db)
    echo = f"SELECT %b::{type_}[], %b::{type_}".encode()
    for value in values:
        assert piece.ask(echo, (values, value)).first() == (values, value)
    assert piece.ask(echo, ([], None)).first() == ([], None)


@pytest.mark.parametrize(
    ("type_", "value"),
    [("text", "ü\U0001f600"), ("text", ""), ("int8", -(2**63)), ("int4", 0), ("bytea", b"\0")],
)
def test_columns_that_say_the_same_in_all_rows_come_back(
    db: Connection, type_: str, value: str | int | bytes
) -> None:
    piece = Piece(db)
    echo = f"SELECT %b::{type_}[]".encode()
    for values in ([value] * 300, [None] * 300, [value, None], [value, value, None, value]):
        assert piece.ask(echo, (values,)).first() == (values,)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_statement_of_rows_takes_few_of_them_value_by_value(
    db: Connection, count: int
) -> None:
    taken: set[str] = set()
    for name, text in SQL.items():
        columns = len(re.findall(rb"%[bs]::\w+\[\]", text))
        if columns == len(re.findall(rb"%[bs(]", text)) and text.count(b"unnest(") == 1:
            statement, wanted = of_rows(name, [[None] * columns] * count)
            assert len(prepared_on(db, statement).encode) == len(wanted)
            if len(wanted) == columns * count and None in wanted:
                taken.add(name)
    few = {"insert_run", "change_lease", "end_item", "steps_saved", "put_wait", "insert_note"}
    assert few & taken == (few if count <= FEW_ROWS else set())
    # Its rows are numbered.
    assert "insert_dropped" not in taken


@pytest.mark.parametrize(
    "rows",
    [
        [("a", 1, b"x")],
        [("a", None, b""), ("", 2, None)],
        [("a", 1, b"x"), ("b", 2, b"y"), ("c", None, None)],
    ],
)
def test_rows_come_back_as_they_were_sent(
    db: Connection, monkeypatch: pytest.MonkeyPatch, rows: list[Any]
) -> None:
    echo = b"SELECT * FROM unnest(\n%b::text[], %b::int8[],\n%s::bytea[]) AS new (a, b, c)"
    monkeypatch.setitem(SQL, "echo_of_rows", echo)
    told = Piece(db).ask(*of_rows("echo_of_rows", rows))
    assert list(told) == rows


def test_to_write_one_row_no_columns_are_taken_apart(db: Connection) -> None:
    for name in ("insert_run", "insert_step", "change_lease", "steps_saved"):
        columns = len(re.findall(rb"%[bs]::", SQL[name]))
        plan = _plan(db, of_rows(name, [[None] * columns])[0])
        assert "Function Scan" in _plan(db, SQL[name])
        assert "Function Scan" not in plan
        # What is looked for is found by its key.
        assert ("_pkey" in plan) == (not name.startswith("insert")), plan


def _plan(db: Connection, statement: bytes) -> str:
    prepared = prepared_on(db, statement)
    db.execute("SET plan_cache_mode = force_generic_plan")
    nulls = ", ".join(["NULL"] * len(prepared.encode))
    told = db.execute(f"EXPLAIN EXECUTE {prepared.name.decode()} ({nulls})".encode())
    return "\n".join(line for (line,) in told)


def test_what_is_asked_is_sent_together_and_in_order(db: Connection) -> None:
    piece = Piece(db)
    begun = piece.ask(b"BEGIN")
    made = piece.ask(b"CREATE TEMPORARY TABLE one (n int8) ON COMMIT DROP")
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    made_tag = made.tag
    put = piece.ask(b"INSERT INTO one SELECT * FROM unnest(%b::int8[])", ([3, 1, 2],))
    named = {"least": 2, "text": "100%"}
    found = piece.ask(
        b"SELECT n, %(text)s::text FROM one WHERE n >= %(least)s AND 1 %% 1 = 0 ORDER BY n", named
    )
    assert list(found) == [(2, "100%"), (3, "100%")]
    assert (begun.tag, made_tag, put.count, found.count) == (b"BEGIN", b"CREATE TABLE", 3, 2)
    assert piece.ask(b"ROLLBACK").tag == b"ROLLBACK"


def test_the_first_that_goes_wrong_is_raised_and_the_connection_goes_on(db: Connection) -> None:
    piece = Piece(db)
    piece.ask(b"BEGIN")
    piece.ask(b"SELECT 1 / %b::int8", (0,))
    last = piece.ask(b"SELECT %b::int8", (1,))
    with pytest.raises(errors.DivisionByZero):
        _ = last.count
    assert piece.ask(b"ROLLBACK").tag == b"ROLLBACK"
    assert piece.ask(b"SELECT %b::int8", (1,)).first() == (1,)


@pytest.mark.parametrize("type_", ["int8", "int4"])
def test_a_number_that_does_not_fit_is_refused_before_anything_is_sent(
    db: Connection, type_: str
) -> None:
    piece = Piece(db)
    piece.ask(b"BEGIN")
    with pytest.raises(psycopg.DataError, match="no number that fits"):
        piece.ask(f"SELECT %b::{type_}[]".encode(), ([2**63],)).first()
    assert db.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_what_is_forgotten_is_not_sent(db: Connection) -> None:
    piece = Piece(db)
    piece.ask(b"SELECT 1 / %b::int8", (0,))
    piece.forget()
    piece.send()
    assert piece.ask(b"SELECT %b::int8", (1,)).first() == (1,)


def test_a_connection_that_was_ended_says_so(db: Connection) -> None:
    piece = Piece(db)
    assert piece.ask(b"SELECT %b::int8", (1,)).first() == (1,)
    with pytest.raises(psycopg.OperationalError):
        piece.ask(b"SELECT pg_terminate_backend(pg_backend_pid())").first()
    assert db.closed
    with pytest.raises(psycopg.OperationalError):
        piece.ask(b"SELECT %b::int8", (1,)).first()
