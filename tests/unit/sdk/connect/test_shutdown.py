"""Signals, in a process of its own: the worker pauses at once, finishes, and exits with 0."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fake_server import FakeServer

APP = Path(__file__).with_name("process_app.py")
ROOT = Path(__file__).resolve().parents[4]


@contextmanager
def worker_process(server: FakeServer, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, str(APP)],
        env={**os.environ, "TEST_API": server.url, "PYTHONPATH": str(ROOT), **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        server.until(lambda: any(c.routable() for c in server.connections), within_s=20)
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_w31_a_signal_ends_it_gracefully(server: FakeServer, number: signal.Signals) -> None:
    with worker_process(server) as process:
        call = server.call("app-sleep")
        server.until(lambda: call.claimed)
        process.send_signal(number)
        assert process.wait(10) == 0
    assert call.answer is not None
    server.until(lambda: server.ends == ["WORKER_SHUTDOWN"])


def test_scenario_49_the_gateway_hears_of_it_at_once_although_the_main_thread_is_busy(
    server: FakeServer,
) -> None:
    with worker_process(server) as process:
        call = server.call("app-block")
        server.until(lambda: call.claimed)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        server.until(lambda: not any(c.routable() for c in server.connections))
        assert time.monotonic() - began < 0.8
        assert call.answer is None
        assert process.wait(10) == 0
    assert call.answer is not None


def test_a_second_signal_does_what_it_always_did(server: FakeServer) -> None:
    with worker_process(server) as process:
        call = server.call("app-sleep")
        server.until(lambda: call.claimed)
        process.send_signal(signal.SIGTERM)
        server.until(lambda: not any(c.routable() for c in server.connections))
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM
    assert call.answer is None


def test_a_second_signal_ends_a_process_whose_main_thread_is_stuck(server: FakeServer) -> None:
    with worker_process(server) as process:
        call = server.call("app-block")
        server.until(lambda: call.claimed)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        server.until(lambda: not any(c.routable() for c in server.connections))
        process.send_signal(signal.SIGTERM)
        assert process.wait(1.0) in {128 + signal.SIGTERM, -signal.SIGTERM}


def test_scenario_03_killed_mid_call_its_work_goes_to_another(server: FakeServer) -> None:
    server.desk._lease_s = 1.0
    with worker_process(server) as process:
        call = server.call("app-sleep")
        server.until(lambda: call.claimed)
        process.kill()
        process.wait()
        server.until(lambda: server.ends == ["UNEXPECTED"])
        with worker_process(server):
            server.until(lambda: call.answer is not None, within_s=15)
    assert call.attempts == 2


def test_w20_an_answer_outlives_its_process_killed_before_it_was_acknowledged(
    server: FakeServer, tmp_path: Path
) -> None:
    outbox = tmp_path / "outbox"
    server.silent = True
    with worker_process(server, TEST_OUTBOX=str(outbox)) as process:
        call = server.call("app-sleep")
        server.until(lambda: list(outbox.glob("*.reply")))
        process.kill()
        process.wait()
    assert call.answer is None
    with worker_process(server, TEST_OUTBOX=str(outbox)):
        server.until(lambda: call.answer is not None)
        server.until(lambda: not list(outbox.glob("*.reply")))
    assert server.flushed == [call.request_id]
    assert call.attempts == 1
