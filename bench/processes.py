"""Servers a peer needs: started on free ports of 127.0.0.1, stopped by process id."""

import asyncio
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

READY_S = 30.0


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One child process with its log."""

    def __init__(
        self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self._log = log.open("ab")
        self.process = subprocess.Popen(
            list(command),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def stop(self) -> None:
        """Ask it to stop, with everything it started; insist after five seconds."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.pid, how)
                self.process.wait(timeout=5)
                break
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._log.close()


async def listens(port: int, timeout_s: float = READY_S) -> None:
    """Wait until somebody takes connections on a port of this machine."""
    deadline = time.time() + timeout_s
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.time() > deadline:
                raise TimeoutError(f"nobody listens on port {port}") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def answers(url: str, timeout_s: float = READY_S) -> None:
    """Wait until somebody answers there, whatever the answer."""
    deadline = time.time() + timeout_s
    while True:
        try:
            await asyncio.to_thread(urllib.request.urlopen, url, None, 1.0)
            return
        except urllib.error.HTTPError:
            return
        except (urllib.error.URLError, OSError):
            if time.time() > deadline:
                raise TimeoutError(f"nobody answers at {url}") from None
            await asyncio.sleep(0.05)
