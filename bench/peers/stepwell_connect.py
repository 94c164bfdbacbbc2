"""Stepwell as a server of its own, and a worker that connects to it from another process: our SDK
or the official one, unchanged. Started with keys; nothing is called over HTTP."""

import sys

from bench.peers.stepwell_http import EVENT_KEY, SIGNING_KEY
from bench.peers.stepwell_http import Peer as HttpPeer
from bench.posting import Poster
from bench.processes import Server, answers, free_port


class Peer(HttpPeer):
    """`sdk` is `ours` or `official`; `durability` is `full` or `relaxed`."""

    def __init__(self, sdk: str, durability: str) -> None:
        super().__init__(sdk)
        self.name = "stepwell_connect" if sdk == "ours" else "stepwell_connect_official"
        self._durability = durability
        if durability == "relaxed":
            self.name += "_relaxed"
            self.durability = "survives a killed process"

    async def start(self) -> None:
        port, gateway_port = free_port(), free_port()
        self._url = f"http://127.0.0.1:{port}"
        start = [sys.executable, "-m", "stepwell", "start", "--host", "127.0.0.1"]
        ports = ["--port", str(port), "--connect-gateway-port", str(gateway_port)]
        keys = ["--event-key", EVENT_KEY, "--signing-key", SIGNING_KEY]
        data = ["--sqlite-dir", str(self._folder / "data"), "--durability", self._durability]
        server = Server([*start, *ports, *keys, *data], self._folder / "server.log", self.clean())
        self._servers["server"] = server
        await answers(f"{self._url}/health")
        worker = [sys.executable, "-m", "bench.peers.stepwell_worker"]
        self._servers["app"] = Server(worker, self._folder / "app.log", self.app_env())
        self._http = Poster(self._url)
        await self.ready()


def make(argument: str) -> Peer:
    """The peer."""
    sdk, durability = argument.split()
    return Peer(sdk, durability)
