"""The dashboard of a node inside another application, which knows who looks: an ASGI app to mount.

It serves the page and what the page asks, REST v2, and no other API. The node may run on another
event loop than the application: then each request crosses over and its answer comes back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stepwell.server.api.access.door import known_caller
from stepwell.server.api.access.role import Caller
from stepwell.server.api.app import page_api
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.feed import Feed, Kind
from stepwell.server.config import ServerConfig
from stepwell.server.dashboard.page import Dashboard
from stepwell.server.engine.message.action import Topic
from stepwell.server.hosts import is_foreign_page
from stepwell.server.node import Node

T = TypeVar("T")

STREAM_S = 10.0
"""A stream ends after so long, and the page opens it anew: an application that stops waits for the
requests that are open, and cannot tell a stream to end."""
_AGAIN = b"retry: 100\n\n"
"""Open it anew so many milliseconds later."""
_STREAM = "/api/v2/stream"
_READS = ("GET", "HEAD", "OPTIONS")
_SAME_SITE = ("same-origin", "none")


class Place(NamedTuple):
    """A running node, and the loop it runs on."""

    node: Node
    loop: asyncio.AbstractEventLoop


class Mounted:
    """An ASGI app: page, session and REST v2 of a node that may come and go."""

    def __init__(
        self, find: Callable[[], Place | None], who: Callable[[Scope], Caller | None]
    ) -> None:
        """`find` gives the node that runs now; `who`, who asks, or None for who may not."""
        self._find = find
        self._who = who
        self._opened: tuple[Node, ASGIApp, Feed] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            raise RuntimeError("the dashboard has no lifespan of its own: the engine has")
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        place, caller = self._find(), self._who(scope)
        refusal = _refusal(scope, place, caller)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        assert place is not None
        assert caller is not None
        scope = known_caller(scope, caller)
        here = asyncio.get_running_loop()
        if here is place.loop:
            await self._answer(place, scope, receive, send)
            return
        crossing = self._answer(
            place,
            scope,
            lambda: _on(here, receive()),
            lambda message: _on(here, send(message)),
        )
        await _on(place.loop, crossing)

    def close(self) -> None:
        """The node stops: let streams end. On the node's loop."""
        if self._opened is not None:
            self._opened[2].close()
        self._opened = None

    async def _answer(self, place: Place, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app(place)
        if not scope["path"].endswith(_STREAM):
            await app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(STREAM_S):
                await app(scope, receive, sending)
        except TimeoutError:
            if begun:
                await send({"type": "http.response.body", "body": _AGAIN})

    def _app(self, place: Place) -> ASGIApp:
        if self._opened is None or self._opened[0] is not place.node:
            deps = _deps(place.node)
            self._opened = place.node, page_api(deps, Dashboard), deps.feed
        return self._opened[1]


def feed_from(node: Node, feed: Feed) -> None:
    """Have a feed hear what changes at a node."""
    subscribe = node.performer.subscribe
    for topic in (Topic.RUN_STARTED, Topic.RUN_MOVED, Topic.RUN_ENDED):
        subscribe(topic, lambda announced: feed.hear(Kind.RUN, announced.subject))
    subscribe(Topic.RUN_WROTE, lambda told: feed.hear(Kind.LINES, told.subject))
    subscribe(Topic.EVENT_STORED, lambda told: feed.hear(Kind.EVENT, told.subject))


def _deps(node: Node) -> ApiDeps:
    deps = ApiDeps(
        node.ledger,
        node.reader,
        node.clock,
        # Whoever is let in by the application may ask as often as they like.
        ServerConfig(api_rate=0),
        lane=node.dispatcher.lane,
        under_way=node.dispatcher.runs_called,
    )
    node.performer.subscribe(Topic.RUN_ENDED, lambda told: deps.ends.hear(told.subject))
    feed_from(node, deps.feed)
    return deps


def _refusal(scope: Scope, place: Place | None, caller: Caller | None) -> Response | None:
    headers = Headers(scope=scope)
    if caller is None:
        return _refused(403, "access_denied", "you may not look at this dashboard")
    if scope["method"] not in _READS and _is_foreign(headers):
        told = (
            f"this came from a page of {headers.get('origin')!r}, and the dashboard is at"
            f" {headers.get('host')!r}: a proxy in front has to pass the Host header on"
        )
        return _refused(403, "access_denied", told)
    if place is None:
        return _refused(503, "internal_error", "the engine is not running")
    return None


def _is_foreign(headers: Headers) -> bool:
    """Whether a page of another site asks. A browser says so itself where the page is secure."""
    told = headers.get("sec-fetch-site")
    return is_foreign_page(headers) if told is None else told not in _SAME_SITE


def _refused(status: int, code: str, message: str) -> Response:
    return JSONResponse({"errors": [{"code": code, "message": message}]}, status)


async def _on(loop: asyncio.AbstractEventLoop, work: Awaitable[T]) -> T:
    """What a coroutine gives on another loop."""

    async def done() -> T:
        return await work

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(done(), loop))
