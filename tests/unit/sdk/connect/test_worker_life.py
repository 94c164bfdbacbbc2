"""The worker over real sockets: limits, keys, pauses, ends, and answers that must not be lost."""

import asyncio
import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from stepwell.connect import (
    RepliesUnsentError,
    WorkerError,
    WorkerUnauthorizedError,
    run_worker,
)
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import Error
from stepwell.testing.simulation.desk import Call
from stepwell.wire.signature import bearer
from tests.fake_server import FakeServer
from tests.unit.sdk.connect.stage import (
    KEY,
    OTHER_KEY,
    S,
    answer,
    client_of,
    function,
    until,
    watched,
)


async def test_w33_no_more_run_at_once_than_allowed(server: FakeServer) -> None:
    client, running, most = client_of(server), 0, 0

    async def handler(ctx: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1

    worker, _ = watched([(client, [function(client, handler)])], max_worker_concurrency=2)
    async with worker:
        for call in [server.call("app-fn") for _ in range(8)]:
            await answer(call)
    assert most == 2


async def test_w21_w22_the_other_key_is_tried_for_start_and_flush(server: FakeServer) -> None:
    server.tokens = {bearer(OTHER_KEY)}
    client = client_of(server, signing_key=KEY, signing_key_fallback=OTHER_KEY)

    async def handler(ctx: Any) -> str:
        return "authorized"

    server.silent = True
    worker, _ = watched([(client, [function(client, handler)])])
    async with worker:
        call = server.call("app-fn")
        await until(lambda: worker.stats().unacknowledged == 1)
        server.cut()
        await answer(call)
        server.silent = False
        assert server.flushed == [call.request_id]
    tokens = [headers["authorization"] for headers in server.headers]
    assert tokens[:2] == [bearer(KEY), bearer(OTHER_KEY)]


async def test_w22_refused_keys_are_an_exception(server: FakeServer) -> None:
    server.tokens = {"Bearer of nothing"}
    client = client_of(server, signing_key=KEY)

    async def handler(ctx: Any) -> None: ...

    worker, states = watched([(client, [function(client, handler)])])
    with pytest.raises(WorkerUnauthorizedError, match="unauthorized"):
        await worker.start()
    await worker.closed()
    assert states[-1] is S.CLOSED
    with pytest.raises(Error, match="will not become ACTIVE"):
        await worker.wait_for_state(S.ACTIVE)
    with pytest.raises(Error, match="called already"):
        await worker.start()


async def test_the_end_is_told_of_a_worker_that_ended_before_it_was_awaited(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowlyStarted(threading.Thread):
        def start(self) -> None:
            super().start()
            if self.name == "stepwell-connect":
                self.join()

    server.tokens = {"Bearer of nothing"}

    async def handler(ctx: Any) -> None: ...

    client = client_of(server, signing_key=KEY)
    worker, states = watched([(client, [function(client, handler)])])
    monkeypatch.setattr("stepwell.sdk.connect.worker.threading.Thread", SlowlyStarted)
    with pytest.raises(WorkerUnauthorizedError, match="unauthorized"):
        await worker.start()
    assert states == [S.CLOSING, S.CLOSED]


async def test_w25_too_many_connections_are_said_plainly(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.api_status = 429
    client = client_of(server)

    async def handler(ctx: Any) -> None: ...

    worker, _ = watched([(client, [function(client, handler)])])
    with caplog.at_level(logging.WARNING, "stepwell"):
        task = asyncio.create_task(worker.start())
        await worker.wait_for_state(S.RECONNECTING)
        await worker.close(wait=True)
        await task
    assert "maximum number of concurrent connections" in caplog.text


@pytest.mark.parametrize("status", [500, 503])
async def test_w23_closing_a_worker_that_never_connected_returns_at_once(
    server: FakeServer, status: int
) -> None:
    server.api_status = status
    client = client_of(server)

    async def handler(ctx: Any) -> None: ...

    worker, states = watched([(client, [function(client, handler)])])
    task = asyncio.create_task(worker.start())
    await worker.wait_for_state(S.RECONNECTING)
    began = time.monotonic()
    await worker.close(wait=True)
    await task
    assert time.monotonic() - began < 1
    assert S.ACTIVE not in states


async def test_closing_before_starting() -> None:
    client = Inngest(app_id="app", is_production=False)

    async def handler(ctx: Any) -> None: ...

    worker, _ = watched([(client, [function(client, handler)])])
    await worker.close(wait=True)
    assert worker.get_state() is S.CLOSED
    await worker.start()
    await worker.closed()


async def test_a_worker_may_be_told_to_give_up() -> None:
    with FakeServer() as gone:
        client = client_of(gone)

    async def handler(ctx: Any) -> None: ...

    worker, _ = watched([(client, [function(client, handler)])], give_up_after=0.3)
    with pytest.raises(WorkerError, match="giving up"):
        await worker.start()


async def test_w34_closing_waits_for_what_runs(server: FakeServer) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> str:
        await asyncio.sleep(0.3)
        return "finished"

    worker, _ = watched([(client, [function(client, handler)])])
    task = asyncio.create_task(worker.start())
    await worker.wait_for_state(S.ACTIVE)
    call = server.call("app-fn")
    await until(lambda: call.claimed)
    await worker.close()
    await until(lambda: not any(c.routable() for c in server.connections))
    late = server.call("app-fn")
    await worker.closed()
    await task
    assert call.answer is not None
    assert late.attempts == 0


async def test_a_shutdown_with_a_limit_cancels_what_runs(server: FakeServer) -> None:
    client, cancelled = client_of(server), asyncio.Event()

    async def handler(ctx: Any) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            cancelled.set()

    worker, _ = watched([(client, [function(client, handler)])], shutdown_timeout=0.2)
    async with worker:
        call = server.call("app-fn")
        await until(lambda: call.claimed)
    assert cancelled.is_set()


async def test_pausing_and_resuming(server: FakeServer) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> None: ...

    worker, states = watched([(client, [function(client, handler)])])
    async with worker:
        await until(lambda: any(c.routable() for c in server.connections))
        await worker.pause()
        await until(lambda: not any(c.routable() for c in server.connections))
        call = server.call("app-fn")
        await asyncio.sleep(0.1)
        assert call.attempts == 0
        await worker.resume()
        await answer(call)
    assert states[:3] == [S.ACTIVE, S.PAUSED, S.ACTIVE]


async def test_w20_answers_outlive_the_process_in_a_directory(
    server: FakeServer, tmp_path: Path
) -> None:
    client, outbox = client_of(server), tmp_path / "outbox"

    async def handler(ctx: Any) -> str:
        return "spooled"

    server.silent = True
    worker, _ = watched([(client, [function(client, handler)])], outbox_directory=outbox)
    task = asyncio.create_task(worker.start())
    await worker.wait_for_state(S.ACTIVE)
    call = server.call("app-fn")
    await until(lambda: list(outbox.glob("*.reply")))
    task.cancel()  # as if the process were killed: nothing is delivered any more
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.answer is None
    again, _ = watched([(client, [function(client, handler)])], outbox_directory=outbox)
    async with again:
        assert json.loads((await answer(call)).body) == "spooled"
        await until(lambda: not list(outbox.glob("*.reply")))
    assert server.flushed == [call.request_id]


async def test_answers_that_cannot_be_delivered_are_named(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepwell.sdk.connect.closing.SETTLE_TIMEOUT_S", 0.3)
    client = client_of(server)

    async def handler(ctx: Any) -> str:
        return "lost"

    server.silent = True
    worker, _ = watched([(client, [function(client, handler)])])
    task = asyncio.create_task(worker.start())
    await worker.wait_for_state(S.ACTIVE)
    call = server.call("app-fn")
    await until(lambda: worker.stats().unacknowledged == 1)
    server.api_status = 500
    await worker.close()
    with pytest.raises(RepliesUnsentError) as caught:
        await task
    assert caught.value.request_ids == (call.request_id,)


async def test_without_isolation_everything_lives_on_one_loop(server: FakeServer) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> int:
        names = {thread.name for thread in threading.enumerate()}
        assert "stepwell-connect" not in names
        return int(await ctx.step.run("one", lambda: 1))

    worker, _ = watched([(client, [function(client, handler)])], isolate_execution=False)
    async with worker:
        call = server.call("app-fn")
        assert json.loads((await answer(call)).body) == 1
        assert len(call.steps) == 1


async def test_w32_the_gateway_can_be_reached_another_way(server: FakeServer) -> None:
    client, seen = client_of(server), []

    async def handler(ctx: Any) -> None: ...

    def rewrite(endpoint: str) -> str:
        seen.append(endpoint)
        return endpoint.replace("127.0.0.1", "localhost")

    worker, _ = watched([(client, [function(client, handler)])], rewrite_gateway_endpoint=rewrite)
    async with worker:
        pass
    assert seen == [f"ws://127.0.0.1:{server.gateway_port}/v0/connect"]
    direct, _ = watched(
        [(client, [function(client, handler, "other")])],
        gateway_url=f"ws://localhost:{server.gateway_port}",
    )
    async with direct:
        pass


async def test_a_rewrite_that_makes_nonsense_is_a_failed_start(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> None: ...

    worker, _ = watched(
        [(client, [function(client, handler)])], rewrite_gateway_endpoint=lambda _: "http://x"
    )
    with caplog.at_level(logging.WARNING, "stepwell"):
        task = asyncio.create_task(worker.start())
        await worker.wait_for_state(S.RECONNECTING)
        await worker.close(wait=True)
        await task
    assert "must begin with ws:// or wss://" in caplog.text


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("{}?ticket=secret", "the worker is connected"),
        ("ws://127.0.0.1:1/?ticket=secret", "ws://127.0.0.1:1/: "),
        ("ws://name@?ticket=secret", "names no host"),
        ("http://x?ticket=secret", "must begin with ws:// or wss://"),
        ("ws://[x?ticket=secret", "is no URL"),
    ],
)
async def test_what_lets_a_worker_in_is_not_logged(
    server: FakeServer, caplog: pytest.LogCaptureFixture, address: str, told: str
) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> None: ...

    worker, _ = watched(
        [(client, [function(client, handler)])],
        rewrite_gateway_endpoint=address.format,
    )
    with caplog.at_level(logging.DEBUG, "stepwell"):
        task = asyncio.create_task(worker.start())
        await until(lambda: told in caplog.text)
        await worker.close(wait=True)
        await task
    said = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert not [line for line in said if "secret" in line]


async def test_an_exception_at_start_reaches_the_context_manager(server: FakeServer) -> None:
    server.tokens = set()
    client = client_of(server)

    async def handler(ctx: Any) -> None: ...

    worker, _ = watched([(client, [function(client, handler)])])
    with pytest.raises(WorkerUnauthorizedError):
        async with worker:
            raise AssertionError("never entered")


def test_w27_code_without_a_loop_runs_a_worker_until_it_is_closed(server: FakeServer) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> str:
        return "run"

    worker, states = watched([(client, [function(client, handler)])])
    calls: list[Call] = []

    def elsewhere() -> None:
        server.until(lambda: any(c.routable() for c in server.connections))
        calls.append(server.call("app-fn"))
        server.until(lambda: calls[0].answer is not None)
        worker.ask_close()

    other = threading.Thread(target=elsewhere)
    other.start()
    run_worker(worker)
    other.join(10)
    assert states[-1] is S.CLOSED
    assert calls[0].attempts == 1
    with pytest.raises(Error, match="called already"):
        run_worker(worker)
