"""Events in the transaction of a real PostgreSQL, by every driver; and the relay beside it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import psycopg
import psycopg2
import pytest
from click.testing import CliRunner
from django.db import connections

import stepwell
from stepwell.cli.main import main
from stepwell.embedded import Engine
from stepwell.outbox import Relay, create_table, create_table_sync
from stepwell.sdk.net.port import NetworkError
from stepwell.sdk.send.delivery import Delivery, EventBatch
from tests.drivers import DJANGO, DRIVERS, ORDER, Driver, django_connection
from tests.events.shop import new_client, running


@pytest.fixture
def url(database: str) -> str:
    with psycopg.connect(database) as connection:
        create_table_sync(connection)
        create_table_sync(connection)
        connection.execute("CREATE TABLE orders (id INTEGER)")
    return database


@pytest.fixture(params=DRIVERS, ids=lambda kind: kind.__name__)
def driver(request: pytest.FixtureRequest, url: str) -> Driver:
    made: Driver = request.param(url)
    return made


def count(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        [[found]] = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()
        return int(found)


@asynccontextmanager
async def shop() -> AsyncIterator[tuple[stepwell.Inngest, Engine, list[str]]]:
    """A real engine, a client of it, and the orders its function has seen."""
    client, seen = new_client(send_retries=0), []

    @client.create_function(fn_id="ship", trigger=stepwell.TriggerEvent(event="order/made"))
    async def ship(ctx: stepwell.Context) -> object:
        seen.append(ctx.event.id)
        return ctx.event.data["n"]

    async with running(client, ship) as engine:
        yield client, engine, seen


def orders(*numbers: int) -> list[stepwell.Event]:
    return [stepwell.Event(name="order/made", data={"n": n}) for n in numbers]


async def send(client: stepwell.Inngest, driver: Driver, connection: Any, *n: int) -> list[str]:
    if driver.waits:
        return await client.send(orders(*n), connection=connection)
    return client.send_sync(orders(*n), connection=connection)


async def test_d_40_a_commit_sends_and_a_rollback_does_not(driver: Driver, url: str) -> None:
    async with shop() as (client, engine, seen):
        relay = Relay(client, driver.connect)
        lost = await driver.begin()
        await send(client, driver, lost, 0)
        await driver.end(lost, "rollback")
        kept = await driver.begin()
        ids = await send(client, driver, kept, 1, 2)
        assert await relay.run_once() == 0  # not committed yet
        await driver.end(kept, "commit")
        assert count(url, "orders") == count(url, "stepwell_outbox") == 1
        assert await relay.run_once() == 2
        assert await relay.run_once() == count(url, "stepwell_outbox") == 0
        # The ids that `send` told are those of the server's events.
        assert [await engine.result_of(told, timeout_seconds=10) for told in ids] == [1, 2]
    assert sorted(seen) == sorted(ids)


async def test_the_table_is_made_by_any_driver(driver: Driver, database: str) -> None:
    driver.url = database
    connection = driver.connect()
    connection = await connection if hasattr(connection, "__await__") else connection
    if driver.waits:
        await create_table(connection)
    else:
        create_table_sync(connection)
    if hasattr(connection, "commit"):
        await driver.end(connection, "commit")
    else:
        await connection.close()  # asyncpg, outside of a transaction
    assert count(database, "stepwell_outbox") == 0


class Wire:
    """An event API that takes its time, and may fail after it has taken a batch."""

    def __init__(self) -> None:
        self.seeds: list[str] = []
        self.sent: list[int] = []
        self.failing = 0

    async def deliver(self, batch: EventBatch) -> Delivery:
        await asyncio.sleep(0)
        self.seeds.append(batch.seed)
        self.sent += [event["data"]["n"] for event in json.loads(batch.body)]
        if self.failing:
            self.failing -= 1
            raise NetworkError("cut", "lost")
        return Delivery(200, ("id",) * batch.count)

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        raise AssertionError("the relay is of asyncio")


async def filled(driver: Driver, client: stepwell.Inngest, rows: int) -> None:
    connection = await driver.begin()
    for n in range(rows):
        await send(client, driver, connection, n)
    await driver.end(connection, "commit")


async def test_d_40_relays_at_once_send_everything_exactly_once(driver: Driver, url: str) -> None:
    client = new_client(send_retries=0)
    client.event_port = wire = cast(Any, Wire())
    await filled(driver, client, 60)
    relays = [Relay(client, driver.connect, rows_max=7) for _ in range(3)]
    sent = await asyncio.gather(*(relay.run_once() for relay in relays))
    assert sum(sent) == 60
    assert sorted(wire.sent) == list(range(60))
    assert count(url, "stepwell_outbox") == 0


async def test_a_relay_that_dies_between_sending_and_deleting_is_repaired(url: str) -> None:
    async with shop() as (client, engine, seen):
        await filled(Driver(url), client, 1)
        died = asyncio.Event()
        inside = cast(Any, client.event_port)

        class Dying:
            async def deliver(self, batch: EventBatch) -> Delivery:
                await inside.deliver(batch)  # the server has the events, and the relay
                died.set()  # never hears of it
                return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

        client.event_port = cast(Any, Dying())
        relay = asyncio.create_task(Relay(client, Driver(url).connect).run_once())
        await asyncio.wait_for(died.wait(), 10)
        assert count(url, "stepwell_outbox") == 1
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
        assert count(url, "stepwell_outbox") == 1

        client.event_port = inside
        assert await Relay(client, Driver(url).connect).run_once() == 1
        assert count(url, "stepwell_outbox") == 0
        assert await engine.result_of(seen[0], timeout_seconds=10) == 0
        assert len(engine.node.reader.runs_of_event(seen[0])) == 1
    assert len(seen) == 1


async def test_what_was_sent_before_a_failure_is_not_sent_again(url: str) -> None:
    client = new_client(send_retries=0)
    wire = Wire()
    await filled(Driver(url), client, 3)
    client.event_port = cast(Any, Refusing(wire, 1))
    with pytest.raises(stepwell.SendEventsError):
        await Relay(client, Driver(url).connect).run_once()
    assert count(url, "stepwell_outbox") == 2
    client.event_port = cast(Any, wire)
    assert await Relay(client, Driver(url).connect).run_once() == 2
    assert wire.sent == [0, 1, 2]


class Refusing:
    """Lets so many batches through."""

    def __init__(self, wire: Wire, most: int) -> None:
        self.wire, self.most = wire, most

    async def deliver(self, batch: EventBatch) -> Delivery:
        if self.most == 0:
            return Delivery(401, (), "Event key not found")
        self.most -= 1
        return await self.wire.deliver(batch)


async def test_a_relay_outlives_its_database(url: str, caplog: pytest.LogCaptureFixture) -> None:
    client = new_client(send_retries=0)
    client.event_port = wire = cast(Any, Wire())
    made: list[Any] = []

    def connect() -> Any:
        if len(made) == 1:
            made.append(None)
            raise psycopg.OperationalError("the database is away")
        made.append(psycopg.connect(url))
        return made[-1]

    running = asyncio.create_task(Relay(client, connect).run(poll_seconds=0.01))
    await until(lambda: made)
    with psycopg.connect(url, autocommit=True) as other:
        pid = made[0].info.backend_pid
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))
    await until(lambda: len(made) == 3)
    await filled(Driver(url), client, 1)
    await until(lambda: wire.sent)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert wire.sent == [0]
    assert "the database is away" in caplog.text


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


async def test_outside_of_a_transaction_nothing_could_be_taken_back(url: str) -> None:
    client = new_client()
    waiting = await asyncpg.connect(url)
    with pytest.raises(stepwell.ConfigurationError, match="in no transaction"):
        await client.send(orders(1), connection=waiting)
    await waiting.close()
    for connection in (psycopg.connect(url, autocommit=True), psycopg2.connect(url)):
        connection.autocommit = True
        with pytest.raises(stepwell.ConfigurationError, match="in no transaction"):
            client.send_sync(orders(1), connection=connection)
        connection.close()
    with psycopg.connect(url, autocommit=True) as itself, itself.transaction():
        client.send_sync(orders(1), connection=itself)
    assert count(url, "stepwell_outbox") == 1


def test_d_40_django(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = new_client(send_retries=0)
    client.event_port = wire = cast(Any, Wire())
    with django_connection(url, monkeypatch) as (connection, atomic):
        with pytest.raises(stepwell.ConfigurationError, match="in no transaction"):
            client.send_sync(orders(0), connection=connection)
        with pytest.raises(ZeroDivisionError), atomic():
            client.send_sync(orders(1), connection=connection)
            raise ZeroDivisionError
        with atomic():
            connection.cursor().execute(ORDER)
            client.send_sync(orders(2), connection=connection)
        relays = [Relay(client, lambda: connections[DJANGO]) for _ in range(2)]

        async def drained() -> list[int]:
            return await asyncio.gather(*(relay.run_once() for relay in relays))

        assert sum(asyncio.run(drained())) == 1
    assert wire.sent == [2]
    assert count(url, "stepwell_outbox") == 0


def test_d_40_a_relay_of_its_own_empties_the_outbox(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INNGEST_DEV", "http://127.0.0.1:1")
    sent: list[str] = []

    async def deliver(self: stepwell.Inngest, batch: EventBatch) -> list[str]:
        sent.extend(event["name"] for event in json.loads(batch.body))
        return ["id"] * batch.count

    monkeypatch.setattr(stepwell.Inngest, "deliver", deliver)
    relay = ["relay", database, "--once"]
    assert CliRunner().invoke(main, [*relay, "--create-table"]).output == "0 events sent\n"
    with psycopg.connect(database) as connection:
        new_client().send_sync(orders(1, 2), connection=connection)
    assert CliRunner().invoke(main, relay).output == "2 events sent\n"
    assert (sent, count(database, "stepwell_outbox")) == (["order/made"] * 2, 0)


async def test_a_seed_that_nobody_can_read_is_refused(url: str) -> None:
    client = new_client()
    with psycopg.connect(url) as connection:
        for seed in ("", "x", "1,short", "0,AAAAAAAAAAAAAA=="):
            with pytest.raises(stepwell.ConfigurationError, match=f"seed = '{seed}' .*base64"):
                client.send_sync(orders(1), connection=connection, seed=seed)
    assert count(url, "stepwell_outbox") == 0
