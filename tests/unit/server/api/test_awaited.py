"""Law: no route waits for the database on the event loop, where reading waits for a network."""

import asyncio
import contextvars
import threading
from collections import Counter
from typing import Any, cast

import httpx
import pytest

from stepwell.server.api.app import ROUTES, api_app
from stepwell.server.api.awaited import awaited, awaiting
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.v2.routes import ROUTES_V2
from stepwell.server.config import ServerConfig
from stepwell.server.store.port import Reader, Unavailable
from tests.unit.server.api.harness import function, serving

WORD: contextvars.ContextVar[str] = contextvars.ContextVar("word")


class Far:
    """A reader that waits for a network: it counts what is asked where."""

    blocks = True

    def __init__(self, reader: Any = None) -> None:
        self._reader = reader
        self._loop = threading.get_ident()
        self.asked: Counter[str] = Counter()
        self.on_loop: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._reader, name)

        def ask(*args: Any, **named: Any) -> Any:
            self.asked[name] += 1
            if threading.get_ident() == self._loop:
                self.on_loop.append(name)
            return found(*args, **named)

        return ask

    def run(self, name: str) -> str:
        """A question of the tests below."""
        if threading.get_ident() == self._loop:
            self.on_loop.append(name)
        if name == "away":
            raise Unavailable("it is away")
        return name.upper()


async def test_no_route_waits_on_the_loop() -> None:
    async with serving() as api:
        await api.register(function("order", event="order"))
        event_id = await api.send("order", n=1)
        run_id = api.deps.reader.runs_of_event(event_id)[0].id
        far = Far(api.deps.reader)
        far.run = api.deps.reader.run  # type: ignore[method-assign]
        deps = ApiDeps(api.ledger, cast("Reader", far), api.clock, ServerConfig())
        deps.feed.close()
        known = {"run_id": run_id, "event_id": event_id, "app": "shop", "name": "shop"}
        known |= {"function": "shop-order", "slug": "shop-order", "id": run_id}
        transport = httpx.ASGITransport(api_app(deps), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            for root, routes in (("", ROUTES), ("/v2", ROUTES_V2)):
                for route in routes:
                    if route.method == "GET":
                        await http.get(root + filled(route.path, known))
                    else:
                        await http.request(route.method, root + filled(route.path, known), json={})
        assert far.on_loop == []
        assert len(far.asked) > 15, far.asked


def filled(path: str, known: dict[str, str]) -> str:
    """A path with something in the place of each parameter."""
    for name in [part[1:-1].partition(":")[0] for part in path.split("/") if part[:1] == "{"]:
        for form in (f"{{{name}}}", f"{{{name}:path}}"):
            path = path.replace(form, known.get(name, "unknown"))
    return path


async def test_a_question_is_asked_beside_the_loop_from_deep_within() -> None:
    far = Far()
    reader = awaited(cast("Reader", far))

    def deep(depth: int) -> object:
        return reader.run("a") if depth == 0 else deep(depth - 1)

    async def asked() -> list[object]:
        WORD.set("mine")
        first = deep(5)
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="it is away"):
            reader.run("away")
        second = await asyncio.gather(asyncio.sleep(0, "b"))
        return [first, *second, reader.run("c"), WORD.get()]

    assert await awaiting(asked()) == ["A", "b", "C", "mine"]
    assert far.on_loop == []


async def test_the_loop_goes_on_and_the_request_can_be_cancelled() -> None:
    asked, answer, told = threading.Event(), threading.Event(), list[str]()

    class Slow(Far):
        def run(self, name: str) -> str:
            asked.set()
            answer.wait()
            return name

    reader = awaited(cast("Reader", Slow()))

    async def request() -> None:
        try:
            reader.run("a")
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    task = asyncio.create_task(awaiting(request()))
    while not asked.is_set():
        await asyncio.sleep(0)
    task.cancel()
    answer.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["cancelled"]
