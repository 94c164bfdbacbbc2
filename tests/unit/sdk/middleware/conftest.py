"""What tests of middleware share: a client whose events stay here."""

import json
from typing import Any

import pytest

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.send.delivery import Delivery, EventBatch


class Events:
    """Takes every batch, or refuses it."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.error: str | None = None

    async def deliver(self, batch: EventBatch) -> Delivery:
        return self.deliver_sync(batch)

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        if self.error is not None:
            return Delivery(400, (), self.error)
        events = json.loads(batch.body)
        self.sent += events
        return Delivery(200, tuple(f"id-{index}" for index in range(len(events))))


class Sender:
    """A client, and what it sent."""

    def __init__(self, *, blocking: bool) -> None:
        self.events = Events()
        self.blocking = blocking

    def client(self, *middleware: Any, **options: Any) -> Inngest:
        client = Inngest(app_id="app", is_dev=True, middleware=list(middleware), **options)
        client.event_port = self.events
        return client

    async def send(self, client: Inngest, events: Any, **options: Any) -> list[str]:
        if self.blocking:
            return client.send_sync(events, **options)
        return await client.send(events, **options)


@pytest.fixture(params=[False, True], ids=["async", "sync"])
def sender(request: pytest.FixtureRequest) -> Sender:
    return Sender(blocking=request.param)
