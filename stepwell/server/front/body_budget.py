"""How much memory all request bodies together may take: the only place that counts them.

A body is counted as far as somebody asks for it, which is after its key was checked: who has none
cannot use up what the others need. It counts until its request is answered.
"""

import json
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALL_BYTES = 65_536
"""A body that says it is no larger is not counted: each connection may hold as much anyway."""
RETRY_AFTER_S = 5
_PROBLEM = "other requests fill the memory that bodies may take: send this again a little later"


class BodyBudget:
    """An ASGI app before another: 503 for a body there is no room for."""

    def __init__(self, app: ASGIApp, bytes_max: int) -> None:
        """`bytes_max` for all bodies that are being read or worked on."""
        self._app = app
        self._bytes_max = bytes_max
        self.held = 0
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the app do so."""
        if scope["type"] != "http" or not _may_be_long(scope):
            await self._app(scope, receive, send)
            return
        reading = _Reading(self, receive, send)
        try:
            await self._app(scope, reading.receive, reading.send)
        finally:
            self.held -= reading.held

    def take(self, size: int) -> bool:
        """Whether there is room for so much more, which is taken then."""
        if self.held + size > self._bytes_max:
            self.refused += 1
            return False
        self.held += size
        return True


class _Reading:
    """One request whose body may be long."""

    def __init__(self, budget: BodyBudget, receive: Receive, send: Send) -> None:
        self._budget = budget
        self._receive = receive
        self._send = send
        self._is_refused = False
        self._is_answered = False
        self.held = 0

    async def receive(self) -> Message:
        """The next piece. Where there is no room, the app hears that its peer left, and whatever it
        says to that is not sent."""
        if self._is_refused:
            return {"type": "http.disconnect"}
        message = await self._receive()
        size = len(message.get("body", b""))
        if not size or self._is_answered:
            return message
        if self._budget.take(size):
            self.held += size
            return message
        self._is_refused = True
        await _refuse(self._send)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """An answer of the app, unless the request is answered."""
        if not self._is_refused:
            self._is_answered = True
            await self._send(message)


def _may_be_long(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return not value.isdigit() or int(value) > SMALL_BYTES
        if name == b"transfer-encoding":
            return True
    return False


async def _refuse(send: Send) -> None:
    status = HTTPStatus.SERVICE_UNAVAILABLE.value
    body = json.dumps({"error": _PROBLEM, "data": None, "status": status}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(RETRY_AFTER_S).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
