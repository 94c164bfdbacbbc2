"""The server that is attacked: a process of its own, and what is measured of it."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

START_S = 60.0
PROBE_EVERY_S = 0.02
SIGNING_KEY = "0123456789abcdef"
EVENT_KEY = "attacked"
METRICS = b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
_STALLS = re.compile(r"^stepwell_loop_(?:stall|work)_seconds (\S+)$", re.MULTILINE)
HEALTH = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


@dataclass
class Target:
    """A server on loopback. Sizes in bytes, times in seconds."""

    port: int
    gateway_port: int
    process: psutil.Process
    log: Path
    longest_s: float = 0.0
    """The longest that an answer to `GET /health` took since `calm`."""
    _probes: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def memory(self) -> int:
        """What it holds of the machine's memory."""
        return int(self.process.memory_info().rss)

    @property
    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return int(self.process.num_fds())

    async def stalls_s(self) -> tuple[float, float]:
        """The longest that its event loop was late in the last five minutes, and that it worked
        while it was, as it says itself. Raises OSError."""
        reader, writer = await self.connect()
        try:
            writer.write(METRICS)
            late, worked = _STALLS.findall((await reader.read()).decode())
        finally:
            writer.transport.abort()
        return float(late), float(worked)

    def logged(self) -> str:
        """Everything it has said."""
        return self.log.read_text(errors="replace")

    def calm(self) -> None:
        """Begin to measure the longest answer anew."""
        self.longest_s = 0.0

    async def is_well(self) -> bool:
        """Does it answer?"""
        try:
            async with asyncio.timeout(10):
                return b"200" in (await self.ask(HEALTH)).partition(b"\r\n")[0]
        except (OSError, TimeoutError):
            return False

    async def ask(self, request: bytes) -> bytes:
        """One request on a connection of its own; the answer as far as the server sends it in one
        go. Raises OSError."""
        reader, writer = await self.connect()
        try:
            writer.write(request)
            return await reader.read(1 << 16)
        finally:
            writer.transport.abort()

    async def connect(
        self, port: int | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to its main port, or another of its ports."""
        return await asyncio.open_connection("127.0.0.1", port or self.port)

    async def settles(self, *, descriptors: int, within_s: float = 20.0) -> int:
        """Wait until it holds at most so many descriptors. How many it holds then."""
        end = time.monotonic() + within_s
        while (held := self.descriptors) > descriptors and time.monotonic() < end:
            await asyncio.sleep(0.1)
        return held

    async def probe(self) -> None:
        """Ask for its health without end, and note the longest answer."""
        while True:
            began = time.monotonic()
            reader, writer = await self.connect()
            try:
                writer.write(HEALTH)
                await reader.readuntil(b"\r\n\r\n")
            except (OSError, asyncio.IncompleteReadError):
                continue
            finally:
                writer.transport.abort()
                self.longest_s = max(self.longest_s, time.monotonic() - began)
            await asyncio.sleep(PROBE_EVERY_S)


@asynccontextmanager
async def target(
    folder: Path,
    *options: str,
    keys: bool = False,
    descriptors: int | None = None,
    data: Path | None = None,
    program: Sequence[str] = ("stepwell",),
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Target]:
    """A server while the context lasts: for development, or with keys for production.

    `descriptors` limits how many files it may have open, `data` is where it stores; `program` is
    a module and its first arguments, `environment` what it finds besides its own.
    """
    port, gateway_port = free_port(), free_port()
    command = [sys.executable, "-m", *program, "--json", "start" if keys else "dev"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += [
        "--connect-gateway-port",
        str(gateway_port),
        "--sqlite-dir",
        str(data or folder / "data"),
    ]
    if keys:
        command += ["--signing-key", SIGNING_KEY, "--event-key", EVENT_KEY]
    else:
        command += ["--no-discovery", "--no-poll"]
    log = folder / "server.log"
    with log.open("wb") as said:
        process = _started([*command, *options], said.fileno(), descriptors, environment or {})
    try:
        made = Target(port, gateway_port, psutil.Process(process.pid), log)
        await _answers(made, process)
        yield made
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 20)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)


def _started(
    command: Sequence[str], said: int, descriptors: int | None, more: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    if descriptors is not None:
        command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
    return subprocess.Popen(command, stdout=said, stderr=said, env={**os.environ, **more})


async def _answers(made: Target, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while not await made.is_well():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the server did not start:\n{made.logged()}")
        await asyncio.sleep(0.05)


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
