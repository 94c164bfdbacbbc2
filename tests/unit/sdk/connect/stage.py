"""Apps, workers and waiting, for the tests of a worker over real sockets."""

import asyncio
import time
from typing import Any

from stepwell.connect import (
    ConnectionState,
    WorkerConnection,
    connect,
)
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.testing.simulation.desk import Call
from stepwell.wire.connect_word import Reply
from tests.fake_server import FakeServer

S = ConnectionState
TRIGGER = TriggerEvent(event="test/event")
KEY = "signkey-test-" + "ab" * 32
OTHER_KEY = "signkey-test-" + "cd" * 32


def client_of(server: FakeServer, app_id: str = "app", **options: Any) -> Inngest:
    return Inngest(app_id=app_id, is_production=False, api_base_url=server.url, **options)


def function(client: Inngest, handler: Any, fn_id: str = "fn") -> Function[Any]:
    return client.create_function(fn_id=fn_id, trigger=TRIGGER)(handler)


async def answer(call: Call, within_s: float = 10.0) -> Reply:
    limit = time.monotonic() + within_s
    while call.answer is None:
        assert time.monotonic() < limit, "no answer in time"
        await asyncio.sleep(0.005)
    return call.answer


async def until(condition: Any, within_s: float = 10.0) -> None:
    limit = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < limit, "did not come true in time"
        await asyncio.sleep(0.005)


def watched(apps: Any, **options: Any) -> tuple[WorkerConnection, list[ConnectionState]]:
    states: list[ConnectionState] = []
    return connect(apps, on_state_change=states.append, shutdown_signals=[], **options), states
