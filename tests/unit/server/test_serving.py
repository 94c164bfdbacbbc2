"""A whole server on real sockets: an app registers, an event comes, a run ends."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from stepwell.server import serving
from stepwell.server.config import Command, ServerConfig
from stepwell.server.listening import CannotListen, open_sockets, port_of, url_of
from stepwell.server.serving import Server
from stepwell.server.store.sqlite.scratch import ScratchStore
from tests.unit.server.api.harness import function, registration
from tests.unit.server.drivers.test_http_pool import serving as serving_app

FREE = ServerConfig(port=0, connect_gateway_port=0)
SDK = {"x-inngest-sdk": "inngest-py:v1", "x-inngest-req-version": "2"}


class App:
    """A fake SDK: one step, then an end."""

    def __init__(self) -> None:
        self.server = ""
        self.url = ""
        self.calls: list[Any] = []
        self.release = asyncio.Event()
        self.release.set()

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "PUT":
            return await self.register()
        body = await request.json()
        self.calls.append(body)
        await self.release.wait()
        if not body["steps"]:
            step = {"id": "h1", "op": "StepRun", "displayName": "one", "data": {"n": 1}}
            return web.json_response([step], status=206, headers=SDK)
        return web.json_response(body["steps"]["h1"]["data"], headers=SDK)

    async def register(self) -> web.Response:
        made = function("a", event="x")
        made["steps"]["step"]["runtime"]["url"] = f"{self.url}?fnId=shop-a&stepId=step"
        told = {**registration(made), "url": self.url}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.server}/fn/register", json=told) as answer,
        ):
            assert answer.status == 200, await answer.text()
        return web.json_response({"message": "Successfully registered"}, headers=SDK)


async def ended(server: str, http: aiohttp.ClientSession, event: str) -> Any:
    for _ in range(500):
        async with http.get(f"{server}/v1/events/{event}/runs") as answer:
            runs = (await answer.json())["data"]
        if runs and runs[0]["ended_at"]:
            return runs[0]
        await asyncio.sleep(0.01)
    raise TimeoutError(json.dumps(runs))


async def test_an_app_is_synced_and_its_function_runs(tmp_path: Path) -> None:
    app = App()
    async with serving_app(app.handle) as origin, aiohttp.ClientSession() as http:
        app.url = f"{origin}/api/inngest"
        config = msgspec.structs.replace(FREE, sdk_urls=(app.url,), poll=True)
        sockets = open_sockets("localhost", 0)
        app.server = url_of("localhost", port_of(sockets))
        async with Server(config, sockets=sockets) as server:
            assert server.url == app.server
            for _ in range(500):
                if server.node.ledger.catalog.apps:
                    break
                await asyncio.sleep(0.01)
            async with http.post(f"{server.url}/e/k", json={"name": "x", "data": {}}) as answer:
                (event,) = json.loads(await answer.text())["ids"]
            run = await ended(server.url, http, event)
            assert (run["status"], run["output"]) == ("Completed", {"n": 1})
            assert [call["ctx"]["stack"]["current"] for call in app.calls] == [0, 1]
            async with http.get(f"http://127.0.0.1:{server.port}/health") as health:
                assert health.headers["x-inngest-server-kind"] == "dev"


async def test_a_restart_goes_on_where_the_server_stopped(tmp_path: Path) -> None:
    app = App()
    app.release.clear()
    config = msgspec.structs.replace(FREE, persist=True, sqlite_dir=str(tmp_path / "data"))
    async with serving_app(app.handle) as origin, aiohttp.ClientSession() as http:
        app.url = f"{origin}/api/inngest"
        async with Server(config, grace_s=0.05) as server:
            app.server = server.url
            await app.register()
            async with http.post(f"{server.url}/e/k", json={"name": "x"}) as answer:
                (event,) = json.loads(await answer.text())["ids"]
            while not app.calls:
                await asyncio.sleep(0.01)
        app.release.set()
        async with Server(config) as server:
            run = await ended(server.url, http, event)
            assert run["status"] == "Completed"
    assert (tmp_path / "data/stepwell.db").is_file()


async def test_nothing_is_left_of_a_server_that_keeps_nothing() -> None:
    server = Server(FREE)
    async with server:
        store = server.node.store
        assert isinstance(store, ScratchStore)
        assert await asyncio.to_thread(store.folder.is_dir)
    assert not await asyncio.to_thread(store.folder.exists)


async def test_a_second_server_is_told_that_the_port_is_taken() -> None:
    async with Server(FREE) as server:
        taken = msgspec.structs.replace(FREE, port=server.port)
        with pytest.raises(CannotListen, match=rf"port {server.port}: .*--port"):
            Server(taken)


def test_hosts_nobody_has_are_told() -> None:
    with pytest.raises(CannotListen, match=r"cannot listen on no-such-host\.invalid port 0"):
        open_sockets("no-such-host.invalid", 0)


def test_localhost_is_both_loopback_addresses_on_one_port() -> None:
    sockets = open_sockets("localhost", 0)
    families = {one.family for one in sockets}
    ports = {one.getsockname()[1] for one in sockets}
    for one in sockets:
        one.close()
    assert socket.AF_INET in families
    assert len(ports) == 1


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost", "http://localhost:1"),
        ("0.0.0.0", "http://localhost:1"),
        ("::1", "http://[::1]:1"),
        ("10.0.0.1", "http://10.0.0.1:1"),
    ],
)
def test_where_a_server_is_found(host: str, url: str) -> None:
    assert url_of(host, 1) == url


async def test_a_production_server_is_closed_to_who_has_no_key(tmp_path: Path) -> None:
    config = msgspec.structs.replace(
        FREE,
        command=Command.START,
        signing_keys=("12ab",),
        event_keys=("k",),
        sqlite_dir=str(tmp_path),
    )
    async with Server(config) as server, aiohttp.ClientSession() as http:
        async with http.get(f"{server.url}/v1/runs") as answer:
            assert answer.status == 401
        async with http.get(
            f"{server.url}/v1/runs", headers={"authorization": "Bearer 12ab"}
        ) as answer:
            assert (answer.status, answer.headers["x-inngest-server-kind"]) == (200, "cloud")


async def test_apps_that_are_being_started_are_not_called_where_they_were(tmp_path: Path) -> None:
    """Their old ports are closed, or somebody else's; a call there would cost a run its tries."""
    config = msgspec.structs.replace(FREE, persist=True, sqlite_dir=str(tmp_path))
    urls = {"shop": "http://127.0.0.1:9/api/inngest", "far": "http://far.invalid/api/inngest"}
    async with Server(config) as server, aiohttp.ClientSession() as http:
        for name, url in urls.items():
            told = {**registration(function("a", event="x")), "url": url, "appName": name}
            told["functions"][0]["id"] = f"{name}-a"
            async with http.post(f"{server.url}/fn/register", json=told) as answer:
                assert answer.status == 200, await answer.text()
    async with Server(config, brings_apps=True) as server, aiohttp.ClientSession() as http:
        reached = {queue for queue, _ in server.node.dispatcher.capacity()}
        assert ("shop" in reached, "far" in reached) == (False, True)
        server.release_apps()
        assert "shop" in dict(server.node.dispatcher.capacity())
    async with Server(config, brings_apps=True) as server, aiohttp.ClientSession() as http:
        told = {**registration(function("a", event="x")), "url": "http://127.0.0.1:8/api/inngest"}
        async with http.post(f"{server.url}/fn/register", json=told) as answer:
            assert answer.status == 200, await answer.text()
        assert "shop" in dict(server.node.dispatcher.capacity())


def test_the_folder_of_the_database_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    config = msgspec.structs.replace(FREE, persist=True, sqlite_dir=str(tmp_path / "a" / "data"))
    store = serving._store(config)
    store.close()
    assert (tmp_path / "a" / "data").stat().st_mode & 0o777 == 0o700
