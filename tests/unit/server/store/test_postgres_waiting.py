"""Waiting for the database on the event loop."""

import asyncio
import sys
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from stepwell.server.store.postgres.connection import Connection, connect
from stepwell.server.store.postgres.piece import Piece
from stepwell.server.store.postgres.waiting import on_loop

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its loops watch no sockets")


@pytest.fixture
def db(migrated_database: str) -> Iterator[Connection]:
    """A connection of ours."""
    connection = connect(migrated_database)
    yield connection
    connection.close()


def begun(piece: Piece, *statements: bytes) -> "asyncio.Future[list[object]]":
    """Ask for these one after the other, on the loop."""
    found: list[object] = []
    over: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()

    def do() -> None:
        found.extend(piece.ask(statement).first() for statement in statements)

    def done(error: BaseException | None) -> None:
        if error is None:
            over.set_result(found)
        else:
            over.set_exception(error)

    on_loop(do, done)
    return over


async def test_the_loop_goes_on_while_the_database_works(db: Connection, other: Connection) -> None:
    for connection in (db, other):
        connection.execute("SET lock_timeout = '30s'")
    other.execute("SELECT pg_advisory_lock(1)")
    over = begun(Piece(db), b"SELECT 1 FROM pg_advisory_lock(1)", b"SELECT 2")
    assert not over.done()
    other.execute("SELECT pg_advisory_unlock(1)")
    assert await over == [(1,), (2,)]


async def test_what_goes_wrong_is_told(db: Connection) -> None:
    piece = Piece(db)
    with pytest.raises(errors.DivisionByZero):
        await begun(piece, b"SELECT 1 / 0")
    assert await begun(piece, b"SELECT 3") == [(3,)]


async def test_a_connection_that_is_lost_is_told_and_closed(
    db: Connection, other: Connection
) -> None:
    other.execute("SELECT pg_advisory_lock(2)")
    over = begun(Piece(db), b"SELECT 1 FROM pg_advisory_lock(2)")
    other.execute("SELECT pg_terminate_backend(%s)", (db.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError):
        await over
    assert db.closed


async def test_more_than_a_socket_takes_at_once(db: Connection) -> None:
    piece = Piece(db)
    text = b"a" * 20_000_000
    found: list[object] = []
    over = asyncio.Event()

    def do() -> None:
        found.extend(piece.ask(b"SELECT length(%b::bytea)", (text,)).first() or ())

    def done(error: BaseException | None) -> None:
        assert error is None
        over.set()

    on_loop(do, done)
    assert not over.is_set()
    await over.wait()
    assert found == [len(text)]


@pytest.fixture
def other(migrated_database: str) -> Iterator[Connection]:
    """Another connection."""
    connection = connect(migrated_database)
    yield connection
    connection.close()
