"""How v2 names things: apps and functions by id (UUID) or name, events by their internal id."""

from starlette.requests import Request

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem
from stepwell.server.engine.row.run import AppRow, FunctionRow
from stepwell.wire.identifier import app_uuid, function_uuid, is_ulid


def apps(deps: ApiDeps, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The names of apps. What is no registered app's id or name stays: old runs may bear it."""
    names = {app_uuid(name): name for name in deps.ledger.catalog.apps}
    return tuple(names.get(text.lower(), text) for text in asked)


def functions(deps: ApiDeps, apps: tuple[str, ...], asked: tuple[str, ...]) -> tuple[str, ...]:
    """The ids of functions of these apps, named with or without the app before it, or by UUID."""
    if asked and not apps:
        raise Problem(400, "appId is required when filtering by functionId", "missing_field")
    found: list[str] = []
    for text in asked:
        listing = deps.ledger.catalog.named(text.lower())
        if listing is not None:
            found.append(listing.slug)
        else:
            found += [text, *(f"{app}-{text}" for app in apps)]
    return tuple(found)


def app(deps: ApiDeps, request: Request) -> AppRow:
    """The app of the path. Raises `Problem` where it is not registered."""
    text = str(request.path_params["app_id"])
    (name,) = apps(deps, (text,))
    row = deps.ledger.catalog.apps.get(name)
    if row is None:
        raise Problem(404, "App not found")
    return row


def function(deps: ApiDeps, request: Request) -> FunctionRow:
    """The function of the path, be it registered or gone. Raises `Problem` if it never was."""
    text = str(request.path_params["function_id"])
    (owner,) = apps(deps, (str(request.path_params["app_id"]),))
    for row in (*deps.reader.functions(), *deps.reader.gone_functions()):
        if row.app == owner and text in (row.slug, function_uuid(row.slug)):
            return row
        if row.app == owner and row.slug == f"{owner}-{text}":
            return row
    known = owner in deps.ledger.catalog.apps
    raise Problem(404, "Function not found" if known else "App not found")


def event_id(request: Request) -> str:
    """The event id of the path. Raises `Problem` if it is none."""
    text = str(request.path_params["event_id"])
    if not is_ulid(text):
        raise Problem(400, "Event ID must be a valid ULID")
    return text
