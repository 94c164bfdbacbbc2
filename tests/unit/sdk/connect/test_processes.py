"""Functions in processes of their own."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from stepwell.connect import connect
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.connect.processes import ProcessPool
from stepwell.sdk.connect.runner import Served
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.sdk.serve.table import FunctionTable
from stepwell.wire.connect_word import ReplyStatus
from tests.fake_server import FakeServer
from tests.unit.sdk.connect import process_app
from tests.unit.sdk.connect.stage import answer, until

# To fork a process as large as one of tests takes the kernel long.
pytestmark = pytest.mark.stalls("WorkerConnection.start")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        process_app.client.set_env_vars({"INNGEST_API_BASE_URL": running.url})
        yield running


def client_at(server: FakeServer) -> Inngest:
    # The module's client was made with another address; this test decides where it goes.
    process_app.client._options = process_app.client._options.__class__(
        api_base_url=server.url, is_production=False
    )
    process_app.client.set_env_vars({})
    return process_app.client


async def test_functions_run_in_processes(server: FakeServer) -> None:
    app = (client_at(server), process_app.FUNCTIONS)
    worker = connect(
        [app],
        executor={"where": "process", "app-steps": "process"},
        processes=1,
        shutdown_signals=[],
    )
    async with worker:
        one = json.loads((await answer(server.call("app-where"), 30)).body)
        two = json.loads((await answer(server.call("app-where"), 30)).body)
        assert one == two != os.getpid()
        reply = await answer(server.call("app-steps"))
        assert reply.status is ReplyStatus.NOT_COMPLETED
        assert json.loads(reply.body)[0]["data"] == one
        here = await answer(server.call("app-sleep"))
        assert json.loads(here.body) == "slept"


async def test_a_process_that_dies_is_an_error_and_is_replaced(server: FakeServer) -> None:
    app = (client_at(server), process_app.FUNCTIONS)
    worker = connect([app], executor="process", processes=1, shutdown_signals=[])
    async with worker:
        reply = await answer(server.call("app-crash"), 30)
        assert reply.status is ReplyStatus.ERROR
        assert not reply.no_retry
        assert "ended without an answer" in json.loads(reply.body)["message"]
        assert (await answer(server.call("app-where"), 30)).status is ReplyStatus.DONE


async def test_a_lost_lease_ends_what_cannot_be_stopped_otherwise(server: FakeServer) -> None:
    app = (client_at(server), process_app.FUNCTIONS)
    worker = connect([app], executor="process", processes=1, shutdown_signals=[])
    async with worker:
        call = server.call("app-spin")
        await until(lambda: call.claimed)
        await asyncio.sleep(0.5)
        server.within(lambda: setattr(call, "lease_id", "gone"))
        await until(lambda: worker.stats().in_flight == ())
        server.within(lambda: server.desk.calls.remove(call))
        assert (await answer(server.call("app-where"), 30)).status is ReplyStatus.DONE


async def test_closing_ends_the_processes(server: FakeServer) -> None:
    app = (client_at(server), process_app.FUNCTIONS)
    worker = connect(
        [app], executor="process", processes=1, shutdown_signals=[], shutdown_timeout=0.3
    )
    began = time.monotonic()
    async with worker:
        call = server.call("app-spin")
        await until(lambda: call.claimed)
        await asyncio.sleep(0.3)
    assert time.monotonic() - began < 8


def test_what_another_process_cannot_find_is_refused() -> None:
    client = Inngest(app_id="app", is_production=False)

    async def handler(ctx: Any) -> None: ...

    hidden = client.create_function(fn_id="hidden", trigger=TriggerEvent(event="x"))(handler)
    served = {"app": Served(client, FunctionTable("app", [hidden], client.logger))}
    with pytest.raises(ConfigurationError, match='"app-hidden" is no variable of a module'):
        ProcessPool(served, frozenset({"app-hidden"}), count=1, logger=client.logger)
