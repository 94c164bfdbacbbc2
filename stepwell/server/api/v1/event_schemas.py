"""What the registered apps say of their events, and which of their functions listen to them.

Ours alone: other servers answer 404.
"""

from typing import TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem, enveloped
from stepwell.server.api.routing.route import Takes
from stepwell.server.query.listeners import listening

_EVENTS = msgspec.json.Decoder(dict[str, dict[str, msgspec.Raw]])
_Described: TypeAlias = dict[str, msgspec.Raw]

_APP = parameter.plain("app", "Events of this app alone.")
_NAME = parameter.plain("name", "The name of the event.")
DESCRIBED = Takes((_APP,))
HEARD = Takes((_NAME,))


class EventSchemaObject(msgspec.Struct, omit_defaults=True):
    """One event as an app describes it; `data` and `user` are JSON Schemas."""

    name: str
    app: str
    data: msgspec.Raw | None = None
    user: msgspec.Raw | None = None


async def listed(deps: ApiDeps, request: Request) -> Response:
    """The JSON Schemas of events, as each app describes them, by name."""
    found = described(deps, _APP.read(request.query_params))
    return enveloped(found, deps.clock.now_ms())


def described(deps: ApiDeps, wanted: str = "") -> list[EventSchemaObject]:
    """Every event that an app describes, or that every app does, by name."""
    found = [
        EventSchemaObject(name, row.name, entry.get("data"), entry.get("user"))
        for row in deps.reader.apps()
        if wanted in ("", row.name)
        for name, entry in _described(row.events).items()
    ]
    return sorted(found, key=lambda one: (one.name, one.app))


async def listeners(deps: ApiDeps, request: Request) -> Response:
    """Who listens to an event, by its name; where nobody does, names that are near it."""
    name = _NAME.read(request.query_params)
    if not name:
        raise Problem(400, "name is missing: GET /v1/events/listeners?name=<the name of an event>")
    return enveloped(listening(deps.ledger.catalog, name), deps.clock.now_ms())


def _described(events: str) -> dict[str, _Described]:
    """What an app registered; what is no description is as good as none."""
    try:
        return _EVENTS.decode(events) if events else {}
    except msgspec.DecodeError:
        return {}
