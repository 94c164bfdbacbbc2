"""Finds apps on the ports and paths development servers usually have."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from stepwell.server.drivers.http_pool import HttpPool, NoAnswer
from stepwell.wire import header

PORTS = (
    *(80, 443, *range(3000, 3011), 4321, 5000, 5173, 8000, 8080, 8081, 8787, 8888),
    *range(8910, 8916),
)
PATHS = (
    "/api/inngest",
    "/x/inngest",
    "/.netlify/functions/inngest",
    "/.redwood/functions/inngest",
)
LOOK_TIMEOUT_S = 2.0
PROBE_TIMEOUT_S = 0.05
LEAVE_ALONE_S = 60.0
"""A server that is no app is not asked again at once: its owner reads its log."""


class Discovery:
    """Looks for apps on this machine."""

    def __init__(
        self,
        pool: HttpPool,
        own_port: int,
        environment: Mapping[str, str] = os.environ,
        ports: Iterable[int] = PORTS,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`environment` may name one more port, `PORT`; the server's own is never asked."""
        extra = environment.get("PORT", "")
        more = [int(extra)] if extra.isdecimal() and int(extra) < 65_536 else []
        self._ports = [port for port in dict.fromkeys([*ports, *more]) if port != own_port]
        self._pool = pool
        self._clock_s = clock_s
        self._left_alone: dict[int, float] = {}

    async def run_once(self, known: Iterable[str]) -> list[str]:
        """The URLs of apps that were found and are not known by URL already."""
        taken = {_port_of(url) for url in known}
        now_s = self._clock_s()
        due = [
            port
            for port in self._ports
            if port not in taken and self._left_alone.get(port, 0.0) <= now_s
        ]
        open_ports = [port for port in due if _is_open(port)]
        found = await asyncio.gather(*(self._look(port) for port in open_ports))
        for port, url in zip(open_ports, found, strict=True):
            if url is None:
                self._left_alone[port] = now_s + LEAVE_ALONE_S
        return [url for url in found if url is not None]

    async def _look(self, port: int) -> str | None:
        scheme = "https" if port == 443 else "http"
        for path in PATHS:
            url = f"{scheme}://localhost:{port}{path}"
            try:
                answer = await self._pool.request(
                    "GET", url, {}, b"", bytes_max=1 << 16, timeout_s=LOOK_TIMEOUT_S
                )
            except NoAnswer:
                return None
            if header.SDK in answer.headers:
                return url
        return None


def _port_of(url: str) -> int | None:
    try:
        parts = urlsplit(url)
        return parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None


def _is_open(port: int) -> bool:
    """Whether anybody listens there on a loopback address; this never waits for a network."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.settimeout(PROBE_TIMEOUT_S)
                if probe.connect_ex((address, port)) == 0:
                    return True
        except OSError:
            continue
    return False
