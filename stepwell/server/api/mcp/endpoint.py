"""`POST /mcp`: the operations of the REST API as tools of the Model Context Protocol."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.inside import Inside
from stepwell.server.api.routing.problem import Problem


async def speak(deps: ApiDeps, request: Request) -> Response:
    """Answer a message of the protocol. A tool takes the role of the operation behind it."""
    # Who never speaks it need not have it, nor have it in memory.
    kind = await deps.searched(_spoken)
    spoken: Response = kind(Inside.of(deps, request))
    return spoken


def _spoken() -> Any:
    try:
        from stepwell.server.api.mcp.server import Spoken  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise Problem(503, f"{error}: install it with pip install 'stepwell[mcp]'") from None
    return Spoken
