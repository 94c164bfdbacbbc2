"""A route as it is declared, once: the HTTP app, the document of the API, the tests of access and
the attacks on it read the same value."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.route import NOTHING, Takes

Asked: TypeAlias = Callable[[ApiDeps, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a route of v2 answers: data of this kind in an envelope, or a page of such. `beside` is
    what stands beside the data, as a name and a kind; `bare` data has no envelope."""

    kind: Any
    many: bool = False
    bare: bool = False
    beside: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Declared:
    """A route. `name` is that of the operation, for programs; `refused` are the statuses of what it
    refuses besides what any route may."""

    method: str
    path: str
    asked: Asked
    takes: Takes = NOTHING
    name: str = ""
    answers: Answers | None = None
    refused: tuple[int, ...] = ()
