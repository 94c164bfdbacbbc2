"""Faults of our own, of the user's logger or HTTP client: the connection comes back, with what it
held. Protocol section 13, numbers 47 and 48."""

import asyncio
import json
import logging
from typing import Any

import pytest

from stepwell.connect import ConnectionState, WorkerError, connect
from stepwell.sdk.connect import backoff, gateway_socket, shell
from stepwell.sdk.connect.handshake import Handshake
from stepwell.sdk.connect.protocol import WorkerProtocol
from stepwell.sdk.connect.traffic import Traffic
from tests.fake_server import FakeServer
from tests.unit.sdk.connect.stage import answer, client_of, function, until

S = ConnectionState


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "FAULT_DELAY_S", 0.01)


def broken_once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, times: int = 1) -> None:
    whole, left = getattr(owner, name), [times]

    def broken(self: object, *args: Any, **kwargs: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise RuntimeError("a fault of ours")
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, broken)


@pytest.mark.parametrize(
    ("owner", "name"),
    [(WorkerProtocol, "receive"), (WorkerProtocol, "tick"), (Traffic, "tend")],
)
async def test_scenario_48_a_fault_of_the_connection_costs_a_reconnect_and_no_work(
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: type,
    name: str,
) -> None:
    client, begun = client_of(server), 0
    release = asyncio.Event()

    async def handler(ctx: Any) -> str:
        nonlocal begun
        begun += 1
        await release.wait()
        return "kept"

    states: list[S] = []
    worker = connect(
        [(client, [function(client, handler)])],
        on_state_change=states.append,
        shutdown_signals=[],
        shutdown_timeout=5,
    )
    async with worker:
        call = server.call("app-fn")
        await until(lambda: call.claimed)
        broken_once(monkeypatch, owner, name)
        await until(lambda: worker.stats().counts.get("faults") == 1)
        await until(lambda: worker.stats().counts["connects"] == 2)
        release.set()
        assert json.loads((await answer(call)).body) == "kept"
    assert begun == 1
    assert call.attempts == 1
    assert "the worker connection has a fault: RuntimeError('a fault of ours')" in caplog.text
    assert states[:4] == [S.ACTIVE, S.RECONNECTING, S.CONNECTING, S.ACTIVE]


async def test_scenario_48_an_answer_that_meets_a_fault_is_delivered_all_the_same(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> str:
        return "kept"

    worker = connect(
        [(client, [function(client, handler)])], shutdown_signals=[], shutdown_timeout=5
    )
    async with worker:
        broken_once(monkeypatch, Traffic, "reply")
        call = server.call("app-fn")
        assert json.loads((await answer(call)).body) == "kept"
        await until(lambda: worker.stats().in_flight == ())
    assert call.attempts == 1


async def test_scenario_48_faults_without_end_end_the_worker_with_their_cause(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> None: ...

    broken_once(monkeypatch, WorkerProtocol, "opened", times=1 << 30)
    monkeypatch.setattr(shell, "FAULT_DELAY_MAX_S", 0.02)
    worker = connect(
        [(client, [function(client, handler)])], shutdown_signals=[], shutdown_timeout=5
    )
    with pytest.raises(WorkerError, match=r"a fault of ours.*10th in a row") as caught:
        await worker.start()
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert worker.get_state() is S.CLOSED


async def test_scenario_48_a_logger_that_raises_stops_nothing(server: FakeServer) -> None:
    class Raises(logging.Logger):
        def log(self, *args: object, **kwargs: object) -> None:
            raise ValueError("the user's logger")

    client = client_of(server, logger=Raises("raises"))

    async def handler(ctx: Any) -> str:
        return "said"

    worker = connect(
        [(client, [function(client, handler)])], shutdown_signals=[], shutdown_timeout=5
    )
    task = asyncio.create_task(worker.start())
    await worker.wait_for_state(S.ACTIVE)
    call = server.call("app-fn")
    assert json.loads((await answer(call)).body) == "said"
    server.cut()
    await until(lambda: worker.stats().counts["connects"] == 2)
    await worker.close()
    await asyncio.wait_for(task, 10)


async def test_scenario_48_an_http_client_that_raises_is_a_server_that_is_away(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> str:
        return "flushed"

    broken_once(monkeypatch, Handshake, "start")
    worker = connect(
        [(client, [function(client, handler)])], shutdown_signals=[], shutdown_timeout=5
    )
    async with worker:
        broken_once(monkeypatch, Handshake, "flush")
        server.silent = True
        call = server.call("app-fn")
        await until(lambda: worker.stats().unacknowledged == 1)
        server.cut()
        assert json.loads((await answer(call)).body) == "flushed"
        assert worker.stats().counts["flush_failures"] == 1
        server.silent = False


@pytest.mark.stalls("Runner._run")  # an answer of six megabytes
async def test_scenario_47_a_gateway_that_does_not_read_is_left(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its socket is open and takes nothing: what is to be written must not wait for ever."""
    monkeypatch.setattr(gateway_socket, "WRITE_TIMEOUT_S", 0.2)
    client = client_of(server)

    async def handler(ctx: Any) -> str:
        return "x" * 6_000_000

    worker = connect(
        [(client, [function(client, handler)])], shutdown_signals=[], shutdown_timeout=5
    )
    async with worker:
        await until(lambda: any(c.routable() for c in server.connections))
        first = server.connections[0]
        server.within(first.port._socket.transport.pause_reading)  # type: ignore[attr-defined]
        call = server.call("app-fn")
        assert len((await answer(call)).body) == 6_000_002
        assert worker.stats().counts["reconnects"] >= 1
    assert "the gateway has not read for 0.2 s" in caplog.text


async def test_dials_that_fail_leave_no_socket_behind(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "delay_s", lambda *_, **__: 0.01)
    client, gateway_port = client_of(server), server.gateway_port

    async def handler(ctx: Any) -> None: ...

    server.gateway_port = 1  # where nobody listens
    worker = connect(
        [(client, [function(client, handler)])], shutdown_signals=[], shutdown_timeout=5
    )
    task = asyncio.create_task(worker.start())
    await until(lambda: worker.stats().counts.get("attempts", 0) > 3)
    server.gateway_port = gateway_port
    await worker.wait_for_state(S.ACTIVE)
    running = worker._shell
    assert running is not None
    assert len(running._sockets) == 1
    await worker.close()
    await asyncio.wait_for(task, 10)
