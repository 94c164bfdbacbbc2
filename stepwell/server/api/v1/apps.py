"""Which apps and functions are registered, and what SDKs probe for in development."""

from importlib.metadata import PackageNotFoundError, version

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, as_json, enveloped
from stepwell.server.query.run_object import app_object, function_object


async def functions_of_app(deps: ApiDeps, request: Request) -> Response:
    """The functions of an app; none of one that is not known."""
    name = request.path_params["app_name"]
    rows = [row for row in deps.reader.functions() if row.app == name]
    return as_json([function_object(row) for row in rows])


async def apps(deps: ApiDeps, request: Request) -> Response:
    """Every app, and why it is away if it is."""
    return enveloped([app_object(row) for row in deps.reader.apps()], deps.clock.now_ms())


async def dev(deps: ApiDeps, request: Request) -> Response:
    """`GET /dev`: tells an SDK that this is a development server; 404 in production."""
    config = deps.config
    if config.kind != "dev":
        raise Problem(404, "this is no development server")
    listings = deps.ledger.catalog.listings.values()
    return as_json(
        {
            "version": package_version(),
            "authed": bool(config.signing_keys),
            "startOpts": {
                "sdkURLs": config.sdk_urls,
                "autodiscover": config.discovery,
                "poll": config.poll,
                "pollInterval": config.poll_interval_s,
            },
            "functions": [
                {"id": entry.slug, "slug": entry.slug, "name": entry.name, "app": entry.app}
                for entry in listings
            ],
            "handlers": [app_object(row) for row in deps.reader.apps()],
            "isSingleNodeService": True,
            "isMissingSigningKey": not config.signing_keys,
            "isMissingEventKeys": not config.event_keys,
            "features": {},
        }
    )


def package_version() -> str:
    """The version of this package; empty where it was not installed."""
    try:
        return version("stepwell")
    except PackageNotFoundError:
        return ""
