"""What apps say of their events, who listens to one, and all that is stored of a run. Ours."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Takes
from stepwell.server.api.v1 import event_schemas
from stepwell.server.api.v2.answer import PAGED, answered, listed
from stepwell.server.query.listeners import listening

_APP = parameter.plain("app", "Events of this app alone, by its name.")
_NAME = parameter.plain("name", "The name of the event; it is needed.")
DESCRIBED = Takes((*PAGED, _APP))
HEARD = Takes((_NAME,))


class ListeningV2(msgspec.Struct, frozen=True):
    """The functions that an event of this name starts, some of them perhaps under a condition; if
    there are none, names near it that start one."""

    event: str
    functions: tuple[str, ...]
    near: tuple[str, ...]


async def schemas(deps: ApiDeps, request: Request) -> Response:
    """The JSON Schemas of events, as each app describes them, by name."""
    found = event_schemas.described(deps, _APP.read(request.query_params))
    return listed(deps, request, [(f"{one.name} {one.app}", one) for one in found])


async def listeners(deps: ApiDeps, request: Request) -> Response:
    """Who listens to an event, by its name."""
    name = _NAME.read(request.query_params)
    if not name:
        raise Problem(400, "name is missing: ?name=<the name of an event>", "missing_field")
    found = listening(deps.ledger.catalog, name)
    return answered(deps, ListeningV2(found.event, found.functions, found.near))
