"""What orchestrators and Prometheus ask a worker: is it alive, is it ready, what has it done.

A tiny HTTP server on the connection's own loop, so that it answers while user code keeps the main
thread busy; it knows GET and three paths. `/readyz` is 200 while the worker is ACTIVE. `/healthz`
is 200 while it is, or is on its way to be: not before it was registered once, not after a minute
without a connection, be it paused or not.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import msgspec

from stepwell.sdk.connect.phase import ConnectionState

DOWN_MAX_S = 60.0
REQUEST_TIMEOUT_S = 10.0
LINE_BYTES_MAX = 8_192
COUNTERS = (
    *("attempts", "connects", "reconnects", "drains", "heartbeats_missed", "faults"),
    *("requests", "duplicates", "replies", "replies_unacknowledged", "abandoned"),
    *("leases_extended", "leases_refused", "flushed", "flush_failures"),
)
"""What a worker counts: each is told from the start, so that its first change is seen."""
_ALIVE = frozenset({ConnectionState.ACTIVE, ConnectionState.CLOSING})


class WorkerStats(msgspec.Struct, frozen=True):
    """A look at a worker, for health checks and metrics. `counts` only grow."""

    state: ConnectionState
    connection_id: str | None = None
    in_flight: tuple[str, ...] = ()
    unacknowledged: int = 0
    outbox_bytes: int = 0
    finished: int = 0
    loop_lag_worst_s: float = 0.0
    down_s: float = 0.0
    """Seconds without a connection; 0 while there is one."""
    counts: dict[str, int] = {}

    @property
    def ready(self) -> bool:
        """Takes work."""
        return self.state is ConnectionState.ACTIVE

    @property
    def healthy(self) -> bool:
        """Should be left to live."""
        if self.state in _ALIVE:
            return True
        registered = self.counts.get("connects", 0) > 0
        return registered and self.down_s < DOWN_MAX_S and self.state is not ConnectionState.CLOSED


async def serve_health(host: str, port: int, stats: Callable[[], WorkerStats]) -> asyncio.Server:
    """Answer on this address until the server is closed; port 0 takes a free one.

    Raises OSError if the address cannot be had.
    """

    async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                line = await reader.readline()
                while (await reader.readline()).strip():
                    pass
            status, kind, body = answer(line, stats())
            writer.write(_response(status, kind, body))
            await writer.drain()
        except (TimeoutError, OSError, ValueError):
            return
        finally:
            writer.close()

    return await asyncio.start_server(asked, host, port, limit=LINE_BYTES_MAX)


def answer(line: bytes, stats: WorkerStats) -> tuple[HTTPStatus, str, str]:
    """Status, content type and body for one request line."""
    method, _, rest = line.decode("latin-1").partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    if method not in {"GET", "HEAD"}:
        return HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", "ask with GET\n"
    match path:
        case "/healthz":
            return _verdict(stats.healthy), "text/plain", f"{stats.state.value}\n"
        case "/readyz":
            return _verdict(stats.ready), "text/plain", f"{stats.state.value}\n"
        case "/metrics":
            return HTTPStatus.OK, "text/plain; version=0.0.4", metrics(stats)
        case _:
            return HTTPStatus.NOT_FOUND, "text/plain", "there are /healthz, /readyz and /metrics\n"


def _verdict(good: bool) -> HTTPStatus:
    return HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE


def metrics(stats: WorkerStats) -> str:
    """The numbers in the text format of Prometheus."""
    lines = ["# TYPE stepwell_worker_state gauge"]
    lines += [
        f'stepwell_worker_state{{state="{state.value}"}} {int(state is stats.state)}'
        for state in ConnectionState
    ]
    gauges: tuple[tuple[str, float], ...] = (
        ("requests_in_flight", len(stats.in_flight)),
        ("replies_unacknowledged", stats.unacknowledged),
        ("outbox_bytes", stats.outbox_bytes),
        ("loop_lag_worst_seconds", stats.loop_lag_worst_s),
        ("down_seconds", stats.down_s),
    )
    for name, value in gauges:
        lines += [f"# TYPE stepwell_worker_{name} gauge", f"stepwell_worker_{name} {value:g}"]
    counts = {**dict.fromkeys(COUNTERS, 0), **stats.counts}
    counters = {"calls_finished": stats.finished, **dict(sorted(counts.items()))}
    for name, count in counters.items():
        lines += [
            f"# TYPE stepwell_worker_{name}_total counter",
            f"stepwell_worker_{name}_total {count}",
        ]
    return "\n".join(lines) + "\n"


def _response(status: HTTPStatus, kind: str, body: str) -> bytes:
    encoded = body.encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"content-type: {kind}\r\n"
        f"content-length: {len(encoded)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + encoded
