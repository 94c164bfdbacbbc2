"""Events that are stored in the engine's tables by a transaction of the user's own, by every driver
of a real PostgreSQL."""

import asyncio
import json
import sqlite3
from typing import Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

import stepwell
from stepwell.embedded import Engine
from stepwell.sdk.send.delivery import Delivery, EventBatch
from stepwell.server.engine.row.event import event_row
from stepwell.server.store.postgres import migrating
from stepwell.server.store.postgres.connection import connect
from stepwell.wire import limit
from stepwell.wire.event import decode_events
from stepwell.wire.identifier import Seed, seeded_ulid
from tests.drivers import DRIVERS, Driver, django_connection
from tests.events.shop import FAST, new_client
from tests.postgres import Postgres

SEED = "1700000000000,AAAAAAAAAAAAAA=="
ULIDS = [seeded_ulid(Seed(1_700_000_000_000, bytes(10)), place) for place in range(1, 5)]
TS = 1_700_000_000_001


@pytest.fixture
def url(engine_database: str) -> str:
    with psycopg.connect(engine_database) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER)")
    return engine_database


@pytest.fixture
def client() -> stepwell.Inngest:
    return new_client(shares_database=True, send_retries=0)


def order(n: int) -> stepwell.Event:
    return stepwell.Event(name="order/made", data={"n": n})


def stored(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        query = "SELECT id, name, ts, key, body FROM stepwell.event ORDER BY id"
        return connection.execute(query).fetchall()


def waiting(url: str) -> int:
    with psycopg.connect(url) as connection:
        [[found]] = connection.execute("SELECT count(*) FROM stepwell.item").fetchall()
        return int(found)


async def sent(client: stepwell.Inngest, driver: Driver, n: int, verb: str) -> list[str]:
    """Send in a transaction that ends so; the ids."""
    connection = await driver.begin()
    try:
        if driver.waits:
            return await client.send(order(n), connection=connection)
        return client.send_sync(order(n), connection=connection)
    except stepwell.ConfigurationError:
        verb = "rollback"
        raise
    finally:
        await driver.end(connection, verb)


@pytest.mark.parametrize("kind", DRIVERS, ids=lambda kind: kind.__name__)
async def test_events_end_as_the_transaction_does(
    kind: type[Driver], client: stepwell.Inngest, url: str
) -> None:
    driver = kind(url)
    await sent(client, driver, 1, "rollback")
    assert (stored(url), waiting(url)) == ([], 0)
    ids = await sent(client, driver, 2, "commit")
    [[id_, name, ts, key, body]] = stored(url)
    assert ([id_], name, key, waiting(url)) == (ids, "order/made", "", 1)
    told = {"name": name, "data": {"n": 2}, "id": id_, "ts": ts, "user": {}}
    assert json.loads(body) == told


async def test_what_commits_by_itself_is_refused(client: stepwell.Inngest, url: str) -> None:
    level = "AUTOCOMMIT"
    engine = sqlalchemy.create_engine(url.replace("://", "+psycopg://"), isolation_level=level)
    with engine.connect() as one, pytest.raises(stepwell.ConfigurationError, match=level):
        client.send_sync(order(1), connection=one)
    engine.dispose()
    several = create_async_engine(url.replace("://", "+asyncpg://"), isolation_level=level)
    async with AsyncSession(several) as session:
        with pytest.raises(stepwell.ConfigurationError, match=level):
            await client.send(order(1), connection=session)
    await several.dispose()
    assert stored(url) == []


def test_events_end_as_a_transaction_of_django_does(
    client: stepwell.Inngest, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with django_connection(url, monkeypatch) as (connection, atomic):
        with pytest.raises(stepwell.ConfigurationError, match="in no transaction"):
            client.send_sync(order(0), connection=connection)
        with pytest.raises(ZeroDivisionError), atomic():
            client.send_sync(order(1), connection=connection)
            raise ZeroDivisionError
        with atomic():
            ids = client.send_sync(order(2), connection=connection)
    assert [row[0] for row in stored(url)] == ids


async def result(engine: Engine, event_id: str) -> object:
    """What the run returns that a server makes of an event, once it has found it."""
    async with asyncio.timeout(20):
        while not engine.node.reader.runs_of_event(event_id):
            await asyncio.sleep(0.02)
    return await engine.result_of(event_id, timeout_seconds=20)


async def test_what_is_committed_becomes_runs_though_no_server_ran(url: str) -> None:
    client = new_client(shares_database=True)
    seen: list[object] = []

    @client.create_function(fn_id="ship", trigger=stepwell.TriggerEvent(event="order/*"))
    async def ship(ctx: stepwell.Context) -> object:
        seen.append(ctx.event.data["n"])
        if not ctx.event.data.get("waits"):
            return ctx.event.data["n"]
        paid = await ctx.step.wait_for_event("paid", event="paid", timeout=20_000)
        return None if paid is None else paid.data["by"]

    with psycopg.connect(url) as connection:
        early = client.send_sync([order(1), order(2)], connection=connection)
        # The sender's own id starts one run, whichever way the event comes.
        known = stepwell.Event(name="order/made", data={"n": 3}, id="order-3")
        again = client.send_sync([known, known], connection=connection)
    async with Engine(client, [ship], database=url, rules=FAST) as engine:
        assert [await result(engine, one) for one in early] == [1, 2]
        assert await result(engine, again[0]) == 3
        over = await client.send(known)
        assert engine.node.reader.runs_of_event(over[0]) == []
        # An event meets who waits, too, and who waits is met by it.
        event = stepwell.Event(name="order/made", data={"n": 4, "waits": True})
        asleep = await client.send(event)
        async with await psycopg.AsyncConnection.connect(url) as late:
            query = "SELECT count(*) FROM stepwell.wait"
            while (await (await late.execute(query)).fetchone()) == (0,):
                await late.commit()
                await asyncio.sleep(0.02)
            paid = stepwell.Event(name="paid", data={"by": "ann"})
            await client.send(paid, connection=late)
        assert await result(engine, asleep[0]) == "ann"
    assert sorted(seen, key=str) == [1, 2, 3, 4, 4]
    assert waiting(url) == 0


class Caught:
    """An event API that keeps what comes."""

    body = b""

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        self.body = batch.body
        return Delivery(200, tuple(ULIDS[: batch.count]))

    async def deliver(self, batch: EventBatch) -> Delivery:
        return self.deliver_sync(batch)


def test_rows_are_those_of_a_server(client: stepwell.Inngest, url: str) -> None:
    events = [
        stepwell.Event(name="a/ünï", data={"text": "\0 \\u0000 \U0001f600 'x' %s ? $1 :n"}, ts=TS),
        stepwell.Event(name="a'b", data={"n": 12345678901234567890, "f": 0.1}, id="own", ts=TS),
        stepwell.Event(name="b", data={}, user={"id": 1}, v="2024-01", ts=TS),
        stepwell.Event(
            name="b", data={"_inngest": {"fn": "x"}, "k": [[], None]}, id=ULIDS[3], ts=TS
        ),
    ]
    beside = new_client()
    beside.event_port = caught = Caught()
    beside.send_sync(events, seed=SEED)
    with psycopg.connect(url) as connection:
        assert client.send_sync(events, connection=connection, seed=SEED) == ULIDS[:4]
    pairs = zip(ULIDS, decode_events(caught.body, None, 0).events, strict=False)
    rows = [event_row(id_, event, 0) for id_, event in pairs]
    kept = [(row.id, row.name, row.ts, row.key, row.body) for row in rows]
    assert len(kept) == 4
    assert stored(url) == kept


def test_a_seed_that_comes_again_stores_nothing_twice(client: stepwell.Inngest, url: str) -> None:
    for _ in range(2):
        with psycopg.connect(url) as connection:
            ids = client.send_sync([order(1), order(2)], connection=connection, seed=SEED)
        assert ids == [row[0] for row in stored(url)]
    assert waiting(url) == 2


def test_middleware_sees_them(url: str) -> None:
    class Stamp(stepwell.MiddlewareSync):
        def before_send_events(self, events: list[stepwell.Event]) -> None:
            for event in events:
                event.data = {**event.data, "by": "hook"}

    client = new_client(shares_database=True, middleware=[Stamp])
    with psycopg.connect(url) as connection:
        client.send_sync(order(1), connection=connection)
    assert json.loads(stored(url)[0][4])["data"] == {"n": 1, "by": "hook"}


GOOD = {"id": ULIDS[0], "name": "a", "ts": TS, "key": "", "body": "{}"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"id": "x"}, "id: no ULID"),
        ({"name": ""}, "name: empty"),
        ({"name": "INNGEST/x"}, "name: reserved"),
        ({"ts": limit.EVENT_TS_MS_MIN - 1}, "ts: not between"),
        ({"ts": limit.EVENT_TS_MS_MAX + 1}, "ts: not between"),
        ({"body": "[]"}, "body: no JSON object"),
        ({"body": "{"}, "json"),
        ({"body": json.dumps({"d": "x" * (limit.EVENT_BYTES_MAX + 64)})}, "body: over"),
        ({"body": None}, "body: no JSON object"),
    ],
)
def test_the_function_itself_refuses(changed: dict[str, Any], told: str, url: str) -> None:
    """Whoever may call it is not asked for more than to send events."""
    with psycopg.connect(url, autocommit=True) as connection:
        # The next one has the same number, whatever became of this one.
        given = json.dumps([GOOD, {**GOOD, "id": ULIDS[1], **changed}])
        with pytest.raises(psycopg.DatabaseError, match=told):
            connection.execute("SELECT stepwell.send(%s)", (given,))
    assert stored(url) == []


def test_more_events_than_a_request_holds_are_refused(client: stepwell.Inngest, url: str) -> None:
    many = [{**GOOD, "id": f"01E{n:023d}"} for n in range(limit.EVENTS_PER_REQUEST_MAX + 1)]
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises(psycopg.DatabaseError, match="more than 5000 events"):
            connection.execute("SELECT stepwell.send(%s)", (json.dumps(many),))
        connection.execute("SELECT stepwell.send(%s)", (json.dumps(many[1:]),))
    assert waiting(url) == limit.EVENTS_PER_REQUEST_MAX


def test_whoever_may_use_the_schema_may_send(client: stepwell.Inngest, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS shop_program; CREATE ROLE shop_program LOGIN")
        own = url.replace("postgres@", "shop_program@")
        told = pytest.raises(stepwell.ConfigurationError, match="GRANT USAGE ON SCHEMA stepwell")
        with psycopg.connect(own) as connection, told:
            client.send_sync(order(1), connection=connection)
        owner.execute("GRANT USAGE ON SCHEMA stepwell TO shop_program")
        try:
            with psycopg.connect(own) as connection:
                ids = client.send_sync(order(1), connection=connection)
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("SELECT * FROM stepwell.event")
                connection.rollback()
                ids = client.send_sync(order(1), connection=connection)
        finally:
            owner.execute("DROP OWNED BY shop_program; DROP ROLE shop_program")
    assert [row[0] for row in stored(url)] == ids


@pytest.mark.parametrize("kind", DRIVERS, ids=lambda kind: kind.__name__)
async def test_a_database_without_an_engine_says_so(
    kind: type[Driver], client: stepwell.Inngest, database_of_a_shop: str
) -> None:
    with pytest.raises(stepwell.ConfigurationError, match=r"has no function stepwell\.send"):
        await sent(client, kind(database_of_a_shop), 1, "commit")


@pytest.fixture(scope="module")
def database_of_a_shop(postgres: Postgres) -> str:
    url = postgres.url(postgres.fresh())
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    return url


def test_other_databases_have_the_outbox(client: stepwell.Inngest) -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(stepwell.ConfigurationError, match="not of PostgreSQL"):
        client.send_sync(order(1), connection=connection)
    connection.close()
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.begin() as other, pytest.raises(stepwell.ConfigurationError, match="not of Post"):
        client.send_sync(order(1), connection=other)
    engine.dispose()


def test_a_function_of_another_version_is_told(postgres: Postgres) -> None:
    connection = connect(postgres.url(postgres.fresh()))
    try:
        migrating.migrate(connection, "test")
        assert migrating.differences(connection, "test") == []
        connection.execute(
            b"CREATE OR REPLACE FUNCTION stepwell.send(events text) RETURNS integer"
            b" LANGUAGE sql AS 'SELECT 1'"
        )
        [missing, other] = migrating.differences(connection, "test")
        assert missing.startswith("is missing: function send(events text)")
        assert other.startswith("is not of this version: function send(events text)")
    finally:
        connection.close()
