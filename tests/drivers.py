"""Every way to write into PostgreSQL that programs use: the only place of the tests that opens a
transaction by each driver."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import tests.django_project  # isort: skip - sets Django up
import asyncpg
import psycopg
import psycopg2
import pytest
import sqlalchemy
from django.db import connections, transaction
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

assert tests.django_project
ORDER = "INSERT INTO orders VALUES (1)"
DJANGO = "shop"
"""The alias of Django's connection."""


class Driver:
    """One way to write into PostgreSQL: a blocking one unless `waits`."""

    waits = False

    def __init__(self, url: str) -> None:
        self.url = url

    def connect(self) -> Any:
        return psycopg.connect(self.url)

    async def begin(self) -> Any:
        """A connection in a transaction, with one order in it."""
        connection = self.connect()
        connection.cursor().execute(ORDER)
        return connection

    async def end(self, connection: Any, verb: str) -> None:
        getattr(connection, verb)()
        connection.close()


class Psycopg2(Driver):
    def connect(self) -> Any:
        return psycopg2.connect(self.url)


class PsycopgAsync(Driver):
    waits = True

    def connect(self) -> Any:
        return psycopg.AsyncConnection.connect(self.url)

    async def begin(self) -> Any:
        connection = await self.connect()
        await connection.execute(ORDER)
        return connection

    async def end(self, connection: Any, verb: str) -> None:
        await getattr(connection, verb)()
        await connection.close()


class Asyncpg(PsycopgAsync):
    def connect(self) -> Any:
        return asyncpg.connect(self.url)

    async def begin(self) -> Any:
        connection = await self.connect()
        self.transaction = connection.transaction()
        await self.transaction.start()
        await connection.execute(ORDER)
        return connection

    async def end(self, connection: Any, verb: str) -> None:
        await getattr(self.transaction, verb)()
        await connection.close()


class AlchemySession(Driver):
    def connect(self) -> Any:
        engine = sqlalchemy.create_engine(self.url.replace("://", "+psycopg://"))
        return Session(engine)

    async def begin(self) -> Any:
        session = self.connect()
        session.execute(sqlalchemy.text(ORDER))
        return session


class AlchemyConnection(AlchemySession):
    def connect(self) -> Any:
        engine = sqlalchemy.create_engine(self.url.replace("://", "+psycopg2://"))
        return engine.connect()


class AlchemyAsync(PsycopgAsync):
    def connect(self) -> Any:
        engine = create_async_engine(self.url.replace("://", "+asyncpg://"))
        return AsyncSession(engine)

    async def begin(self) -> Any:
        session = self.connect()
        await session.execute(sqlalchemy.text(ORDER))
        return session


class AlchemyAsyncConnection(PsycopgAsync):
    def connect(self) -> Any:
        return create_async_engine(self.url.replace("://", "+psycopg://")).connect()

    async def begin(self) -> Any:
        connection = await self.connect()
        await connection.execute(sqlalchemy.text(ORDER))
        return connection


DRIVERS = [
    Driver,
    Psycopg2,
    PsycopgAsync,
    Asyncpg,
    AlchemySession,
    AlchemyConnection,
    AlchemyAsync,
    AlchemyAsyncConnection,
]


@contextmanager
def django_connection(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Any, Callable[[], AbstractContextManager[None]]]]:
    """Django's connection to a database, and what begins a transaction on it."""
    port = int(url.rsplit(":", 1)[1].partition("/")[0])
    told = {"ENGINE": "django.db.backends.postgresql", "NAME": url.rsplit("/", 1)[1]}
    options = {**connections["default"].settings_dict, "OPTIONS": {}, **told}
    options |= {"HOST": "127.0.0.1", "PORT": port, "USER": "postgres"}
    monkeypatch.setitem(connections.settings, DJANGO, options)
    connection = connections[DJANGO]
    try:
        yield connection, partial(transaction.atomic, using=DJANGO)
    finally:
        connection.close()
        del connections[DJANGO]
