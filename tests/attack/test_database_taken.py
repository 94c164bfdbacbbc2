"""What happens to the database behind the engine's back: held, deleted, moved, opened twice."""

# ruff: noqa: ASYNC240 - the files are the attack

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

import stepwell
from stepwell import embedded
from stepwell.embedded import Engine
from stepwell.server.engine.message.input import Accepted, EventsReceived
from stepwell.server.engine.row.event import event_row
from stepwell.server.store.port import RunFilter, Unavailable
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.wire.event import Event
from stepwell.wire.identifier import derived_ulid

CLIENT = stepwell.Inngest(app_id="shop", is_production=False, send_retries=0)
VISIT = stepwell.Event(name="shop/visitor")


@CLIENT.create_function(fn_id="greet", trigger=stepwell.TriggerEvent(event="shop/visitor"))
async def greet(ctx: stepwell.Context) -> str:
    return "welcome"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "engine.db"


@pytest.fixture
async def engine(database: Path) -> AsyncIterator[Engine]:
    # A run that was under way cannot be told to the database any more: nobody waits for that.
    async with Engine(CLIENT, [greet], database=database, grace_seconds=0) as engine:
        yield engine


class Locked:
    """Another program's transaction on the database."""

    def __init__(self, database: Path) -> None:
        self._db = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self._db.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        self._db.execute("ROLLBACK")
        self._db.close()


# -- the write lock -------------------------------------------------------------------------------


async def test_the_loop_goes_on_while_another_program_holds_the_write_lock(
    engine: Engine, database: Path
) -> None:
    other = Locked(database)
    # Ended by another thread: a loop that stood still could not do it in time.
    sending = asyncio.ensure_future(CLIENT.send(VISIT))
    turns = 0
    while turns < 20:
        await asyncio.sleep(0.01)
        turns += 1
    assert not sending.done()
    assert engine.node.reader.runs(RunFilter()) == []
    other.end()
    assert await engine.result_of((await sending)[0], timeout_seconds=10) == "welcome"


async def test_no_statement_waits_for_the_lock_on_the_loop(engine: Engine) -> None:
    store = engine.node.store
    assert isinstance(store, SqliteStore)
    assert store._db.execute("PRAGMA busy_timeout").fetchone() == (0,)


async def test_a_lock_that_stays_is_an_error_of_the_sdk(
    engine: Engine, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepwell.server.ledger.LOCK_WAIT_S", 0.05)
    other = Locked(database)
    with pytest.raises(stepwell.SendEventsError, match="another program holds the write lock"):
        await CLIENT.send(VISIT)
    with pytest.raises(stepwell.Error, match="another program holds the write lock"):
        await CLIENT.invoke(greet)
    other.end()
    assert await CLIENT.invoke(greet) == "welcome"


# -- deleted and moved ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["engine.db", "engine.db-wal"])
async def test_nothing_is_acknowledged_once_a_file_is_gone(
    engine: Engine, database: Path, name: str
) -> None:
    await CLIENT.send(VISIT)
    (database.parent / name).unlink()
    for _ in range(2):
        with pytest.raises(stepwell.SendEventsError, match=f"{name} is no longer"):
            await CLIENT.send(VISIT)


@pytest.mark.parametrize("durability", ["full", "relaxed"])
async def test_nothing_is_acknowledged_once_the_folder_was_moved(
    database: Path, durability: str, tmp_path: Path
) -> None:
    given = {"durability": durability, "grace_seconds": 0}
    async with Engine(CLIENT, [greet], database=database, **given):  # type: ignore[arg-type]
        database.parent.rename(tmp_path / "elsewhere")
        with pytest.raises(stepwell.SendEventsError, match="no longer where it was opened"):
            await CLIENT.send(VISIT)
        assert not database.exists()


async def test_readers_make_no_file(engine: Engine, database: Path) -> None:
    reader = engine.node.reader
    database.unlink()
    with pytest.raises(Unavailable):
        # More readers at once than there are connections: each opens one of its own.
        await asyncio.gather(
            *(asyncio.to_thread(reader.runs, RunFilter()) for _ in range(8)),
            asyncio.to_thread(_opened, reader),
        )
    assert not database.exists()


def _opened(reader: object) -> None:
    reader._idle.clear()  # type: ignore[attr-defined]
    reader.runs(RunFilter())  # type: ignore[attr-defined]


async def test_a_file_put_in_its_place_is_not_taken_for_it(engine: Engine, database: Path) -> None:
    database.unlink()
    database.write_bytes(b"")
    with pytest.raises(stepwell.SendEventsError, match="no longer where it was opened"):
        await CLIENT.send(VISIT)


@pytest.mark.parametrize("durability", ["full", "relaxed"])
@pytest.mark.parametrize("taken", ["deleted", "moved", "replaced"])
async def test_what_is_taken_during_a_commit_is_not_acknowledged(
    database: Path, durability: str, taken: str
) -> None:
    """The files are compared after the commit, and the answer goes out after that."""
    order: list[str] = []
    async with Engine(CLIENT, [greet], database=database, durability=durability) as engine:  # type: ignore[arg-type]
        store = engine.node.store
        assert isinstance(store, SqliteStore)

        def take(statement: str) -> None:
            if statement != "COMMIT" or order:
                return
            order.append("committing")
            database.rename(database.with_name("elsewhere.db"))
            if taken == "deleted":
                database.with_name("elsewhere.db").unlink()
            elif taken == "replaced":
                database.write_bytes(b"")

        store._db.set_trace_callback(take)
        given = [
            EventsReceived((event_row(derived_ulid(1, str(n)), _HEARD, 1),), fresh=True)
            for n in range(3)
        ]
        told = await asyncio.gather(*map(engine.node.ledger.submit, given), return_exceptions=True)
        assert order == ["committing"]
        assert [type(answer) for answer in told] == [Unavailable] * 3


_HEARD = Event("shop/unheard", msgspec.Raw(b"{}"))


# -- opened twice ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["lock file removed", "symbolic link", "hard link"])
async def test_two_engines_never_share_a_file(engine: Engine, database: Path, way: str) -> None:
    path = database.parent / "other.db"
    if way == "lock file removed":
        (database.parent / "engine.db.lock").unlink()
        path = database
    elif way == "symbolic link":
        path.symlink_to(database)
    else:
        os.link(database, path)
    with pytest.raises(stepwell.Error, match="is in use by"):
        await Engine(CLIENT, [greet], database=path).start()
    ids = await CLIENT.send(VISIT)
    assert await engine.result_of(ids[0], timeout_seconds=10) == "welcome"


def test_opening_a_database_does_not_hold_up_the_loop(database: Path) -> None:
    seen: list[int] = []
    made = embedded.Node

    def watched(*given: object, **more: object) -> object:
        seen.append(threading.get_ident())
        return made(*given, **more)  # type: ignore[arg-type]

    async def run() -> None:
        async with Engine(CLIENT, [greet], database=database):
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "Node", watched)
        asyncio.run(run())
    assert seen and threading.get_ident() not in seen


async def test_what_was_stored_before_is_not_confirmed_once_it_is_gone(
    engine: Engine, database: Path
) -> None:
    """A request that is repeated stores nothing, and must not be told that all is well."""
    ledger = engine.node.ledger
    event = event_row(derived_ulid(1, "a"), Event("shop/unheard", msgspec.Raw(b"{}")), 1)
    await ledger.submit(EventsReceived((event,), fresh=False))
    commits = ledger.commits
    again = await ledger.submit(EventsReceived((event,), fresh=False))
    assert isinstance(again, Accepted) and again.ids == (event.id,)
    database.unlink()
    with pytest.raises(Unavailable, match="no longer where it was opened"):
        await ledger.submit(EventsReceived((event,), fresh=False))
    assert ledger.commits == commits


def test_a_file_that_was_exchanged_while_it_was_opened_is_not_taken_for_it(
    database: Path,
) -> None:
    store = SqliteStore(database)
    database.rename(database.with_name("was.db"))
    database.write_bytes(b"")
    store.migrate()
    with pytest.raises(Unavailable, match="no longer where it was opened"):
        store.confirm()
    store.close()
