"""Refuses requests that ask for somebody else, before anything else of them is looked at."""

import json

from starlette.types import ASGIApp, Receive, Scope, Send

from stepwell.server.hosts import Hosts, is_foreign_page
from stepwell.wire.realtime import CONNECT_PATH

STATUS = 421
REMEMBERED = 32


class HostGuard:
    """An ASGI app before another: 421 for HTTP, 403 for sockets."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        """`hosts` are the names that are let through."""
        self._app = app
        self._hosts = hosts
        self._known: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the app do so."""
        told: list[bytes] = [value for name, value in scope["headers"] if name == b"host"]
        if len(told) != 1 or told[0] not in self._known:
            problem = self._hosts.refusal(host.decode("latin-1") for host in told)
            if problem:
                await _refuse(scope, send, problem)
                return
            if len(told) == 1 and len(self._known) < REMEMBERED:
                self._known.add(told[0])
        # Who subscribes shows a token, whatever page that was given to.
        is_worker = scope["type"] == "websocket" and scope["path"] != CONNECT_PATH
        if is_worker and is_foreign_page(_headers(scope)):
            await _refuse(scope, send, "")
            return
        await self._app(scope, receive, send)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _refuse(scope: Scope, send: Send, problem: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = json.dumps({"error": problem, "data": None, "status": STATUS}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": STATUS, "headers": headers})
    await send({"type": "http.response.body", "body": body})
