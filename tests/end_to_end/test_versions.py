"""Workers of two versions as processes: an old one that is killed and begins anew, a server that
begins anew, and a roll-back."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from stepwell.server.config import Command, ServerConfig
from stepwell.server.gateway.gateway import GatewaySettings
from stepwell.server.serving import Server

ROOT = Path(__file__).resolve().parents[2]
KEY = "signkey-prod-12345678"
PROGRAM = """
import os
import stepwell

version = os.environ["VERSION"]
client = stepwell.Inngest(app_id="shop", app_version=version, api_base_url=os.environ["API"])

@client.create_function(fn_id="greet", trigger=stepwell.TriggerEvent(event=f"visitor/{version}"))
async def greet(ctx: stepwell.Context) -> str:
    return version
"""


class Worker:
    """A worker of some version, as a process."""

    def __init__(self, folder: Path, version: str) -> None:
        self._folder = folder
        self._version = version
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, server: Server) -> None:
        keys = {"INNGEST_SIGNING_KEY": KEY, "INNGEST_EVENT_KEY": "key"}
        about = {"VERSION": self._version, "API": server.url, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "stepwell", "worker", "shop:client"]
        with (self._folder / f"worker-{self._version}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--instance-id", f"worker-{self._version}"],
                cwd=self._folder,
                env={**os.environ, **keys, **about},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)


def here(server: Server) -> set[str]:
    return {session.instance_id for session in server.gateway.sessions}


def present(server: Server) -> tuple[str, list[str]]:
    """The version of the app that is registered, and which events start something."""
    catalog = server.node.ledger.catalog
    events = [n for n in ("1", "2") if catalog.listeners(f"visitor/{n}")]
    app = catalog.apps.get("shop")
    return "" if app is None else app.app_version, events


def server_on(folder: Path, former_ms: int = 60_000) -> Server:
    config = ServerConfig(
        command=Command.START,
        port=0,
        connect_gateway_port=0,
        signing_keys=(KEY,),
        event_keys=("key",),
        sqlite_dir=str(folder / "kept"),
    )
    server = Server(config, grace_s=0.1)
    server.gateway.settings = GatewaySettings(former_ms=former_ms)
    return server


async def test_an_old_worker_does_not_roll_its_app_back_and_a_roll_back_does(
    tmp_path: Path,
) -> None:
    (tmp_path / "shop.py").write_text(PROGRAM)
    old, new = Worker(tmp_path, "1"), Worker(tmp_path, "2")
    try:
        async with server_on(tmp_path) as server:
            old.start(server)
            await until(lambda: present(server) == ("1", ["1"]))
            new.start(server)
            await until(lambda: present(server) == ("2", ["2"]))
            # The new one is away for a moment, and the old one begins anew.
            old.kill()
            new.kill()
            await until(lambda: not here(server))
            old.start(server)
            await until(lambda: here(server) == {"worker-1"})
            assert present(server) == ("2", ["2"])
            old.kill()
        async with server_on(tmp_path, former_ms=0) as server:
            new.start(server)
            await until(lambda: here(server) == {"worker-2"})
            old.start(server)
            await until(lambda: here(server) == {"worker-1", "worker-2"})
            assert present(server) == ("2", ["2"])
            # A roll-back: of the new version no worker is left.
            new.kill()
            await until(lambda: present(server) == ("1", ["1"]))
            new.start(server)
            await until(lambda: here(server) == {"worker-1", "worker-2"})
            assert present(server) == ("1", ["1"])
    finally:
        old.kill()
        new.kill()
