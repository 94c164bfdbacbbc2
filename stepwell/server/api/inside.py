"""Asks the REST API's operations from within the process, for GraphQL and MCP: what they do, whom
they let in and what is written down of it is stated once, with the operations."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.types import Message

from stepwell.server.api.access.door import Rate, caller_of, guarded, known_caller
from stepwell.server.api.access.role import Caller
from stepwell.server.api.declared import Declared
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.v2.routes import ROUTES_V2

ROOT: Final = "/api/v2"
OPERATIONS: Final[Mapping[str, Declared]] = {route.name: route for route in ROUTES_V2}
PAGE: Final = 100
_NO_RATE = Rate(0)  # whoever asks was counted at the door


@dataclass(frozen=True, slots=True)
class Inside:
    """Asks in the name of whoever was let in."""

    deps: ApiDeps
    caller: Caller

    @classmethod
    def of(cls, deps: ApiDeps, request: Request) -> "Inside":
        """In the name of who sent a request."""
        return cls(deps, caller_of(request))

    async def ask(
        self,
        operation: str,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
        body: object = None,
    ) -> Any:
        """What an operation answers, as JSON that was read. Raises `Problem`."""
        route = OPERATIONS[operation]
        request = _request(route, path or {}, query or {}, body)
        request.scope.update(known_caller(request.scope, self.caller))
        response = await guarded(self.deps, _NO_RATE, route)(request)
        told = msgspec.json.decode(bytes(response.body) or b"null")
        if response.status_code >= 400:
            raise Problem(response.status_code, str(told))
        return told

    async def data(
        self, operation: str, path: Mapping[str, str] | None = None, **query: object
    ) -> Any:
        """The data of an answer."""
        return (await self.ask(operation, path, query))["data"]

    async def every(
        self,
        operation: str,
        path: Mapping[str, str] | None = None,
        *,
        limit: int = PAGE,
        **query: object,
    ) -> list[Any]:
        """All entries of a list, over as many pages of `limit` as there are."""
        found, _ = await self.first(sys.maxsize, operation, path, limit=limit, **query)
        return found

    async def first(
        self,
        most: int,
        operation: str,
        path: Mapping[str, str] | None = None,
        *,
        limit: int = PAGE,
        **query: object,
    ) -> tuple[list[Any], str]:
        """So many entries of a list at most, over as many pages of `limit` as that takes, but fewer
        where a search runs out of time; and what leads to more, or nothing."""
        found: list[Any] = []
        while True:
            page = min(limit, most - len(found))
            told = await self.ask(operation, path, {**query, "limit": page})
            found += told["data"]
            cursor: str = told["page"].get("cursor", "")
            if not cursor or len(found) >= most or told["page"].get("partial"):
                return found, cursor
            query["cursor"] = cursor


def _request(
    route: Declared, path: Mapping[str, str], query: Mapping[str, object], body: object
) -> Request:
    place = ROOT + route.path
    for name, value in path.items():
        place = place.replace(f"{{{name}}}", quote(value, safe=""))
    content = b"" if body is None else msgspec.json.encode(body)
    asked = [(name, _text(value)) for name, one in query.items() for value in _each(one)]
    scope: dict[str, Any] = {
        "type": "http",
        "method": route.method,
        "scheme": "http",
        "server": ("inside", 80),
        "client": None,
        "path": place,
        "raw_path": place.encode(),
        "query_string": urlencode(asked).encode(),
        "headers": [(b"content-length", str(len(content)).encode())],
        "path_params": dict(path),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    return Request(scope, receive)


def _each(value: object) -> list[object]:
    """The values of a parameter; none for one that is not given."""
    if isinstance(value, list | tuple):
        return [*value]
    return [] if value is None or value == "" else [value]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
