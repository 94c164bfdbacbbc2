"""What stands for an object of the schema: its fields by name, those that cost something as
functions that are called when they are asked for."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

from stepwell.server.api.inside import Inside
from stepwell.server.api.routing.problem import Problem

Told: TypeAlias = dict[str, Any]
"""An object of the REST API, as JSON."""
Node: TypeAlias = dict[str, Any]


class Info(Protocol):
    """What a resolver is told besides its arguments."""

    @property
    def context(self) -> Inside:
        """Where to ask."""
        ...


Later: TypeAlias = Callable[..., Awaitable[Any]]


def later(make: Callable[[Inside], Awaitable[Any]]) -> Later:
    """A field that is asked for only if somebody wants it."""

    async def field(info: Info) -> Any:
        return await make(info.context)

    return field


async def or_none(asked: Awaitable[Any]) -> Any:
    """What was asked for, or nothing where it is not there any more."""
    try:
        return await asked
    except Problem as problem:
        if problem.status == 404:
            return None
        raise


def connection(nodes: list[tuple[str, Node]], *, after: str, more: str, total: Any) -> Node:
    """A page: each node with its cursor; `more`, what leads to the next, or nothing; `total` how
    many there are in all, as a value or a function."""
    return {
        "edges": [{"cursor": cursor, "node": node} for cursor, node in nodes],
        "pageInfo": {
            "hasNextPage": bool(more),
            "hasPreviousPage": bool(after),
            "startCursor": nodes[0][0] if nodes else None,
            "endCursor": more or (nodes[-1][0] if nodes else None),
        },
        "totalCount": total,
    }
