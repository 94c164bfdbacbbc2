"""A route as it is declared, once: the HTTP app, the document of the API, the tests of access and
the attacks on it read the same value."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.access.role import SIGNING
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.route import NOTHING, Takes
from stepwell.server.engine.row.key import Role

Asked: TypeAlias = Callable[[ApiDeps, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a route answers: data of this kind in an envelope, or a page of such; without a kind,
    nothing. `beside` is what stands beside the data, as a name and a kind; `bare` data has no
    envelope, `text` is no JSON, and a `stream` is told in messages."""

    kind: Any = None
    many: bool = False
    bare: bool = False
    stream: bool = False
    text: bool = False
    beside: tuple[tuple[str, Any], ...] = ()
    status: int = 200


@dataclass(frozen=True, slots=True)
class Declared:
    """A route. `name` is that of the operation, for programs; `refused` are the statuses of what it
    refuses besides what any route may. `role` is the least that its caller needs: by default, to
    read where it is a `GET`, to operate elsewhere, and the signing key where SDKs speak. What
    changes nothing, or stores no more than an event, is not `is_audited`. `commands` of the command
    line ask for it, and `tools` for agents, besides the one of its own name: tests record them."""

    method: str
    path: str
    asked: Asked
    takes: Takes = NOTHING
    name: str = ""
    answers: Answers | None = None
    refused: tuple[int, ...] = ()
    role: int = 0
    is_audited: bool = True
    commands: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    @property
    def needs(self) -> int:
        """What its caller needs: a role, or `SIGNING`."""
        if self.role:
            return self.role
        if self.takes.others:
            return SIGNING
        return Role.READ if self.method == "GET" else Role.OPERATE

    @property
    def is_change(self) -> bool:
        """Whether who asks for it is written down."""
        return self.method != "GET" and self.needs != SIGNING and self.is_audited
