"""Stepwell as a server of its own, with an app in FastAPI in another process: our SDK or the
official one, unchanged, against our server. Started with keys and `full` durability."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.marks import Marks
from bench.peers.stepwell_functions import EVENTS_PER_SEND
from bench.posting import Poster
from bench.processes import Server, answers, free_port

EVENT_KEY = "bench"
SIGNING_KEY = "00112233445566778899aabbccddeeff"


class Peer:
    """`sdk` is `ours` or `official`."""

    def __init__(self, sdk: str) -> None:
        self.name = "stepwell_http" if sdk == "ours" else "stepwell_http_official"
        self.durability = "commits flushed in groups"
        self._sdk = sdk
        self._folder = Path(tempfile.mkdtemp(prefix="bench-stepwell-"))
        self.marks = Marks(self._folder / "marks")
        self._servers: dict[str, Server] = {}
        self._url = ""
        self._http: Poster | None = None

    async def start(self) -> None:
        port, app_port = free_port(), free_port()
        self._url = f"http://127.0.0.1:{port}"
        serve = [sys.executable, "-m", "uvicorn", "bench.peers.stepwell_app:app"]
        where = ["--host", "127.0.0.1", "--port", str(app_port), "--log-level", "warning"]
        self._servers["app"] = Server(
            [*serve, *where, "--no-access-log"], self._folder / "app.log", self.app_env()
        )
        app_url = f"http://127.0.0.1:{app_port}/api/inngest"
        await answers(app_url)
        start = [sys.executable, "-m", "stepwell", "start", "--host", "127.0.0.1"]
        ports = ["--port", str(port), "--connect-gateway-port", str(free_port())]
        keys = ["--event-key", EVENT_KEY, "--signing-key", SIGNING_KEY]
        data = ["--sqlite-dir", str(self._folder / "data"), "-u", app_url]
        self._servers["server"] = Server(
            [*start, *ports, *keys, *data], self._folder / "server.log", self.clean()
        )
        await answers(f"{self._url}/health")
        self._http = Poster(self._url)
        await self.ready()

    def app_env(self) -> dict[str, str]:
        """What the app's process finds in its environment."""
        return {
            "BENCH_MARKS": str(self.marks.path),
            "BENCH_SDK": self._sdk,
            "INNGEST_BASE_URL": self._url,
            "INNGEST_API_BASE_URL": self._url,
            "INNGEST_EVENT_KEY": EVENT_KEY,
            "INNGEST_SIGNING_KEY": f"signkey-prod-{SIGNING_KEY}",
        }

    def clean(self) -> dict[str, str]:
        """The server's settings come from its flags alone."""
        return {name: "" for name in os.environ if name.startswith("INNGEST_")}

    async def ready(self) -> None:
        """Wait until a function has run to its end."""
        await self.run("one", ["ready"])
        for _ in range(100):
            try:
                await self.marks.all_last(["ready"], 0.3)
                return
            except TimeoutError:
                await self.run("one", ["ready"])
        raise TimeoutError("the app was never called")

    async def stop(self) -> None:
        if self._http is not None:
            self._http.close()
        for server in reversed(self._servers.values()):
            server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def run(self, kind: str, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), EVENTS_PER_SEND):
            some = keys[start : start + EVENTS_PER_SEND]
            await self._post([{"name": f"bench/{kind}", "data": {"key": key}} for key in some])

    async def resume(self, key: str) -> None:
        await self._post([{"name": "bench/go", "data": {"key": key}}])

    async def ingest(self, count: int, in_flight: int, batch: int) -> None:
        async def some(times: int) -> None:
            for _ in range(times):
                await self._post([{"name": "bench/unheard", "data": {"n": 1}}] * batch)

        await asyncio.gather(*(some(count // batch // in_flight) for _ in range(in_flight)))

    async def _post(self, events: list[dict[str, object]]) -> None:
        assert self._http is not None
        await self._http.post(f"/e/{EVENT_KEY}", json.dumps(events).encode())

    def pids(self) -> dict[str, int]:
        return {name: server.pid for name, server in self._servers.items()}

    def work(self) -> dict[str, float]:
        return {}


def make(sdk: str) -> Peer:
    """The peer."""
    return Peer(sdk)
