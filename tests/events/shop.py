"""What the tests of events share: a client whose events are caught, and an engine in memory."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import stepwell
from stepwell.embedded import Engine
from stepwell.sdk.send.delivery import Delivery, EventBatch
from stepwell.server.engine.rules import Rules

FAST = Rules(retry_interval_ms=10)


class Outbox:
    """Takes a client's events instead of a server: `sent` holds them as they were written."""

    def __init__(self) -> None:
        self.requests = 0
        self.sent: list[dict[str, Any]] = []

    async def deliver(self, batch: EventBatch) -> Delivery:
        return self.deliver_sync(batch)

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        self.requests += 1
        events = json.loads(batch.body)
        self.sent += events
        return Delivery(200, tuple(f"id-{index}" for index in range(len(events))))


def catching(
    schemas: stepwell.EventSchemas | None = None, **options: Any
) -> tuple[stepwell.Inngest, Outbox]:
    """A client and where its events go."""
    client = stepwell.Inngest(app_id="shop", is_production=False, schemas=schemas, **options)
    outbox = Outbox()
    client.event_port = outbox
    return client, outbox


def new_client(schemas: stepwell.EventSchemas | None = None, **options: Any) -> stepwell.Inngest:
    return stepwell.Inngest(app_id="shop", is_production=False, schemas=schemas, **options)


@contextlib.asynccontextmanager
async def running(
    client: stepwell.Inngest, *functions: stepwell.Function[Any]
) -> AsyncIterator[Engine]:
    """An engine in memory that runs these functions."""
    engine = Engine(client, functions, database=":memory:", rules=FAST)
    async with engine:
        yield engine


async def result(engine: Engine, client: stepwell.Inngest, event: Any) -> Any:
    """What the run that an event starts returns."""
    ids = await client.send(event)
    return await engine.result_of(ids[0], timeout_seconds=10)


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that is about to become true."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)
