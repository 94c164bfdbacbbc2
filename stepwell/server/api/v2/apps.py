"""`/v2/apps`: apps and their functions."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.advice import advice_on
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Body, Takes
from stepwell.server.api.v2 import name
from stepwell.server.api.v2.answer import PAGED, answered, listed, whole
from stepwell.server.engine.message.input import AppRemoved, Done, Verdict
from stepwell.server.engine.row.run import AppRow, FunctionRow
from stepwell.server.query.v2.catalog import (
    AppV2,
    FunctionV2,
    app_v2,
    archived_app_v2,
    function_v2,
    version_v2,
)
from stepwell.wire.identifier import app_uuid, function_uuid

_ARCHIVED = parameter.flag("archived", "Those that are registered no longer, in place of others.")
LISTED = Takes((*PAGED, _ARCHIVED))
_FIX = 'send {"url": "http://localhost:3000/api/inngest"}'


class SyncBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Where an app is served; `appId` (a UUID, or the name) says which app is meant to be there."""

    url: str
    app_id: str = ""


class AppNamed(msgspec.Struct, rename="camel"):
    """The app it is about."""

    app_id: str


SYNC = Body(SyncBody, _FIX)


async def many(deps: ApiDeps, request: Request) -> Response:
    """Apps, by name."""
    if _ARCHIVED.read(request.query_params):
        gone = _of_apps(deps.reader.gone_functions())
        names = sorted(gone.keys() - deps.ledger.catalog.apps.keys())
        told = [(app_uuid(app), archived_app_v2(app, gone[app])) for app in names]
    else:
        functions = _of_apps(deps.reader.functions())
        rows = sorted(deps.ledger.catalog.apps.values(), key=lambda row: row.name)
        told = [(app_uuid(row.name), app_v2(row, functions.get(row.name, ()))) for row in rows]
    return listed(deps, request, told)


async def one(deps: ApiDeps, request: Request) -> Response:
    """One app."""
    row: AppRow = name.app(deps, request)
    return answered(deps, _app(deps, row))


async def sync(deps: ApiDeps, request: Request) -> Response:
    """Ask the app at `url` to register its functions, and tell it. What an app that cannot do that
    says is told with 422. With `appId`, another app at `url` is told with 409; it is registered
    all the same."""
    given = await SYNC.read(request)
    if not _is_web_address(given.url):
        raise Problem(400, f"url {given.url[:80]!r} is no web address: {_FIX}")
    wanted = name.apps(deps, (given.app_id,))[0]
    if wanted and wanted not in deps.ledger.catalog.apps:
        raise Problem(404, "App not found")
    synced = await deps.sync(given.url)
    if synced.problem:
        code, _, _ = synced.problem.partition(":")
        raise Problem(422, synced.problem, code)
    if synced.app is None:
        message = "the app answered, but did not register here: point it to this server"
        raise Problem(422, message, "not_registered")
    if wanted not in ("", synced.app.name):
        raise Problem(409, f"the app at {given.url} is {synced.app.name!r}, and not {wanted!r}")
    return answered(deps, _app(deps, synced.app))


async def remove(deps: ApiDeps, request: Request) -> Response:
    """Forget an app and its functions. Their runs stay. An app that is still served may register
    again."""
    row = name.app(deps, request)
    answer = await deps.ledger.submit(AppRemoved(row.name))
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, "App not found")
    return answered(deps, AppNamed(app_uuid(row.name)))


def _is_web_address(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ("http", "https")
    except ValueError:
        return False


def _app(deps: ApiDeps, row: AppRow) -> AppV2:
    functions = _of_apps(deps.reader.functions())
    return app_v2(row, functions.get(row.name, ()))


async def functions(deps: ApiDeps, request: Request) -> Response:
    """The functions of an app, by id."""
    (app,) = name.apps(deps, (str(request.path_params["app_id"]),))
    archived = _ARCHIVED.read(request.query_params)
    rows = deps.reader.gone_functions() if archived else deps.reader.functions()
    mine = [row for row in rows if row.app == app]
    if not mine and app not in deps.ledger.catalog.apps:
        raise Problem(404, "App not found")
    return listed(deps, request, [(function_uuid(row.slug), _told(deps, row)) for row in mine])


async def function(deps: ApiDeps, request: Request) -> Response:
    """One function, be it registered or gone."""
    return answered(deps, _told(deps, name.function(deps, request)))


async def versions(deps: ApiDeps, request: Request) -> Response:
    """What a function was registered as, the newest first: as it is now and as it was, at most 20.
    A version is told where its configuration, its code or the address of its calls changed."""
    row = name.function(deps, request)
    found = await deps.searched(lambda: deps.reader.function_versions(row.slug))
    return whole(deps, request, [version_v2(one) for one in found])


def _told(deps: ApiDeps, row: FunctionRow) -> FunctionV2:
    return function_v2(row, paused=row.slug in deps.ledger.catalog.paused, advise=advice_on)


def _of_apps(rows: Sequence[FunctionRow]) -> dict[str, list[FunctionRow]]:
    found: dict[str, list[FunctionRow]] = {}
    for row in rows:
        found.setdefault(row.app, []).append(row)
    return found
