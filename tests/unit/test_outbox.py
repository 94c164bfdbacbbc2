"""Events in the user's own transaction, and the relay that sends them."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from stepwell.outbox import Relay, create_table, create_table_sync
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import ConfigurationError, EventValidationError, SendEventsError
from stepwell.sdk.events.event import Event
from stepwell.sdk.middleware.hook import MiddlewareSync
from stepwell.sdk.send.delivery import Delivery, EventBatch
from stepwell.sdk.send.outbox import database
from stepwell.wire.identifier import parse_seed, seeded_ulid


class Port:
    """An event API that gives ids as servers do."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.seeds: list[str] = []
        self.error: str | None = None

    async def deliver(self, batch: EventBatch) -> Delivery:
        if self.error:
            return Delivery(400, (), self.error)
        self.sent += json.loads(batch.body)
        self.seeds.append(batch.seed)
        seed = parse_seed(batch.seed)
        assert seed is not None
        return Delivery(200, tuple(seeded_ulid(seed, i) for i in range(batch.count)))

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        raise AssertionError("nothing is sent from within a transaction")


@pytest.fixture
def client() -> Inngest:
    client = Inngest(app_id="app", is_dev=True, send_retries=0)
    client.event_port = Port()
    return client


def port(client: Inngest) -> Port:
    found: Any = client.event_port
    return found  # type: ignore[no-any-return]


@pytest.fixture
def path(tmp_path: Path) -> str:
    name = str(tmp_path / "shop.db")
    with sqlite3.connect(name) as connection:
        create_table_sync(connection)
        create_table_sync(connection)
        connection.execute("CREATE TABLE orders (id INTEGER)")
    connection.close()
    return name


class Sqlite:
    """A transaction of sqlite3."""

    def __init__(self, path: str) -> None:
        self.handle: Any = sqlite3.connect(path)

    def order(self) -> None:
        self.handle.execute("INSERT INTO orders VALUES (1)")


class AlchemySession(Sqlite):
    def __init__(self, path: str) -> None:
        self.engine = sqlalchemy.create_engine(f"sqlite:///{path}")
        self.handle = Session(self.engine)

    def order(self) -> None:
        self.handle.execute(sqlalchemy.text("INSERT INTO orders VALUES (1)"))


class AlchemyConnection(AlchemySession):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.handle = self.engine.connect()


KINDS = [Sqlite, AlchemySession, AlchemyConnection]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def transaction(request: pytest.FixtureRequest, path: str) -> Iterator[Any]:
    made = request.param(path)
    yield made
    made.handle.close()


def count(path: str, table: str) -> int:
    connection = sqlite3.connect(path)
    try:
        [[found]] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
        return int(found)
    finally:
        connection.close()


def relay(client: Inngest, path: str, **options: Any) -> Relay:
    return Relay(client, lambda: sqlite3.connect(path), **options)


@pytest.mark.parametrize("blocking", [False, True])
async def test_events_commit_with_the_data(
    transaction: Any, client: Inngest, path: str, blocking: bool
) -> None:
    transaction.order()
    events = [Event(name="order/made", data={"n": 1}), Event(name="order/paid")]
    if blocking:
        ids = client.send_sync(events, connection=transaction.handle)
    else:
        ids = await client.send(events, connection=transaction.handle)
    assert await relay(client, path).run_once() == 0
    transaction.handle.commit()
    assert count(path, "orders") == count(path, "stepwell_outbox") == 1
    assert await relay(client, path).run_once() == 2
    assert [event["name"] for event in port(client).sent] == ["order/made", "order/paid"]
    assert len(set(ids)) == 2
    seed = parse_seed(port(client).seeds[0])
    assert seed is not None
    assert ids == [seeded_ulid(seed, 1), seeded_ulid(seed, 2)]
    assert count(path, "stepwell_outbox") == 0
    assert await relay(client, path).run_once() == 0


async def test_events_roll_back_with_the_data(transaction: Any, client: Inngest, path: str) -> None:
    transaction.order()
    await client.send(Event(name="order/made"), connection=transaction.handle)
    transaction.handle.rollback()
    assert count(path, "orders") == count(path, "stepwell_outbox") == 0
    assert await relay(client, path).run_once() == 0
    assert port(client).sent == []


async def test_the_relay_works_on_connections_of_sqlalchemy(client: Inngest, path: str) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with Session(engine) as session:
        await client.send(Event(name="x"), connection=session)
        session.commit()
    assert await Relay(client, engine.connect).run_once() == 1


async def test_what_is_refused_stays_and_is_sent_later(client: Inngest, path: str) -> None:
    connection = sqlite3.connect(path)
    for name in "abc":
        await client.send(Event(name=name), connection=connection)
    connection.commit()
    connection.close()
    port(client).error = "no"
    with pytest.raises(SendEventsError):
        await relay(client, path).run_once()
    assert count(path, "stepwell_outbox") == 3
    port(client).error = None
    assert await relay(client, path, rows_max=1).run_once() == 3
    assert [event["name"] for event in port(client).sent] == ["a", "b", "c"]


async def test_a_relay_that_died_repeats_the_same_seed(client: Inngest, path: str) -> None:
    connection = sqlite3.connect(path)
    await client.send(Event(name="a"), connection=connection)
    connection.commit()
    row = connection.execute("SELECT * FROM stepwell_outbox").fetchone()
    await relay(client, path).run_once()
    connection.execute("INSERT INTO stepwell_outbox VALUES (?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()
    await relay(client, path).run_once()
    first, second = port(client).seeds
    assert first == second


async def test_the_relay_goes_on_until_it_is_cancelled(
    client: Inngest, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    connection = sqlite3.connect(path)
    await client.send(Event(name="a"), connection=connection)
    connection.commit()
    connection.close()
    port(client).error = "no"
    running = asyncio.create_task(relay(client, path).run(poll_seconds=0.001))
    await until(lambda: "could not be emptied" in caplog.text)
    port(client).error = None
    await until(lambda: bool(port(client).sent))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.002)


async def test_hooks_and_judgement_come_before_the_outbox(client: Inngest, path: str) -> None:
    class Stamp(MiddlewareSync):
        def before_send_events(self, events: list[Event]) -> None:
            events[0].data = {"stamped": True}

    client.add_middleware(Stamp)
    connection = sqlite3.connect(path)
    await client.send(Event(name="a"), connection=connection)
    with pytest.raises(EventValidationError):
        await client.send(Event(name=""), connection=connection)
    connection.commit()
    connection.close()
    await relay(client, path).run_once()
    assert [event["data"] for event in port(client).sent] == [{"stamped": True}]


class Asyncpg:
    """A connection as asyncpg makes them."""

    __module__ = "asyncpg.connection"

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.inside = True

    def is_in_transaction(self) -> bool:
        return self.inside

    async def execute(self, sql: str, *values: Any) -> str:
        await asyncio.sleep(0)
        if sql.startswith("INSERT"):
            assert "VALUES ($1, $2, $3, $4, $5)" in sql
            self.rows.append(values)
        if sql.startswith("DELETE"):
            assert sql.endswith("id = $1")
            self.rows = [row for row in self.rows if row[0] != values[0]]
        return "done"

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        assert sql.endswith("LIMIT $1 FOR UPDATE SKIP LOCKED")
        return self.rows[: values[0]]

    async def close(self) -> None:
        return None


async def test_drivers_of_asyncio(client: Inngest) -> None:
    connection = Asyncpg()

    async def connect() -> Asyncpg:
        return connection

    await create_table(connection)
    await client.send([Event(name="a"), Event(name="b")], connection=connection)
    with pytest.raises(ConfigurationError, match="one of asyncio"):
        client.send_sync(Event(name="c"), connection=connection)
    assert await Relay(client, connect).run_once() == 2
    assert connection.rows == []


async def test_what_nobody_understands_is_refused(client: Inngest, path: str) -> None:
    with pytest.raises(ConfigurationError, match="nobody here understands"):
        await client.send(Event(name="a"), connection=object())
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with pytest.raises(ConfigurationError, match="in no transaction"):
        database(engine)
    with pytest.raises(ConfigurationError, match="rows_max"):
        relay(client, path, rows_max=0)


@pytest.mark.parametrize("where", ["engine", "connection", "session"])
def test_what_commits_by_itself_is_refused(client: Inngest, path: str, where: str) -> None:
    level: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", **(level if where == "engine" else {}))
    with engine.connect() as connection, Session(engine) as session:
        if where == "session":
            session.connection(execution_options=level)
        elif where == "connection":
            connection.execution_options(**level)
        given = session if where == "session" else connection
        with pytest.raises(ConfigurationError, match=r"isolation_level.*AUTOCOMMIT.*leave out"):
            client.send_sync(Event(name="order/made"), connection=given)
    assert count(path, "stepwell_outbox") == 0
    engine.dispose()
