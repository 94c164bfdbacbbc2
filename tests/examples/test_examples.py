"""Every example runs as its first lines say, registers at a server and answers its route."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stepwell.sdk.background import BackgroundLoop
from stepwell.server.config import ServerConfig
from stepwell.server.serving import Server
from stepwell.testing.adapter_peer import send
from tests.repo.source import ROOT

MAIN = ("app.py", "manage.py")
EXAMPLES = sorted(
    path.parent.name for main in MAIN for path in (ROOT / "examples").glob(f"*/{main}")
)
START_S = 60.0
COMMAND = re.compile(r"^    \$ INNGEST_DEV=1 (.+)$", re.MULTILINE)
PORT = "8000"


@dataclass
class Running:
    """An example that was started."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.port}"

    def ready(self) -> None:
        give_up = time.monotonic() + START_S
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < give_up, self.log.read_text()
            try:
                if send("GET", f"{self.origin}/api/inngest").status == 200:
                    return
            except OSError:
                time.sleep(0.05)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server on a loop of its own."""
    loop = BackgroundLoop()
    sock = socket.create_server(("127.0.0.1", 0))
    config = ServerConfig(host="127.0.0.1", discovery=False, poll=False)
    made = loop.run(_started(config, sock))
    yield made
    loop.run(made.stop())
    loop.stop()


async def _started(config: ServerConfig, sock: socket.socket) -> Server:
    server = Server(config, sockets=[sock])
    await server.start()
    return server


@pytest.fixture(scope="module")
def running(server: Server, tmp_path_factory: Any) -> Iterator[dict[str, Running]]:
    """All of them, started at once: most of the time they wait for one another's imports."""
    folder = tmp_path_factory.mktemp("examples")
    ports = free_ports(len(EXAMPLES))
    started = {
        name: start(name, server.url, folder, port)
        for name, port in zip(EXAMPLES, ports, strict=True)
    }
    yield started
    for one in started.values():
        os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait()


def start(name: str, url: str, folder: Path, port: int) -> Running:
    place = ROOT / "examples" / name
    text = (place / ("manage.py" if name == "django" else "app.py")).read_text()
    told = COMMAND.search(text)
    assert told is not None, f"examples/{name} does not say how to start it"
    words = [word.replace(PORT, str(port)) for word in shlex.split(told[1])]
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            words,
            cwd=place,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "PYTHONDONTWRITEBYTECODE": "1",
                "INNGEST_DEV": url,
            },
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    return Running(process, port, log)


def free_ports(count: int) -> list[int]:
    """So many different ports: all are held until the last is found."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
        return text.strip('"')


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example(name: str, running: dict[str, Running], server: Server) -> None:
    example = running[name]
    example.ready()
    synced = send("PUT", f"{example.origin}/api/inngest")
    assert (synced.status, synced.json["message"]) == (200, "Successfully registered")
    assert get(f"{example.origin}/welcome/Ada") == "Welcome, Ada"
    if name in {"fast_api", "flask", "django"}:
        run_id = get(f"{example.origin}/start/Bob")
        ended = send("GET", f"{server.url}/v1/runs/{run_id}?wait=20").json["data"]
        assert (ended["status"], ended["output"]) == ("Completed", "Welcome, Bob")
    if name == "django":
        assert get(f"{example.origin}/arrive/Eve") == "noted"


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_an_example_needs(name: str) -> None:
    """Its requirements name the framework and the server it starts, and installed ones at that."""
    needed = (ROOT / "examples" / name / "requirements.txt").read_text().split()
    assert needed[0].startswith("stepwell")
    assert len(needed) == len(set(needed))
    for package in needed[1:]:
        __import__(package)
