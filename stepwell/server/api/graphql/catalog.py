"""Apps, functions and workers, as GraphQL tells them."""

from operator import itemgetter
from typing import Any

import msgspec

from stepwell.server.api.graphql.node import Node, Told, later, or_none
from stepwell.server.api.inside import Inside
from stepwell.wire.identifier import app_uuid

_SCOPES = {"FN": "FUNCTION", "ENV": "ENVIRONMENT", "ACCOUNT": "ACCOUNT"}


def app_node(inside: Inside, app: Told) -> Node:
    """An app that is registered."""
    sync = app.get("latestSync", {})
    row = inside.deps.ledger.catalog.apps.get(app["name"])
    return {
        "id": app["id"],
        "externalID": app["name"],
        "name": app["name"],
        "sdkLanguage": sync.get("sdkLanguage", ""),
        "sdkVersion": sync.get("sdkVersion", ""),
        "framework": sync.get("framework"),
        "url": sync.get("url"),
        "checksum": None if row is None else row.checksum,
        "error": sync.get("error"),
        "functions": later(lambda asking: functions_of(asking, app["name"])),
        "method": app.get("method", "API"),
        "appVersion": app.get("appVersion"),
        "connected": bool(sync) and not sync.get("error"),
        "functionCount": app["functionCount"],
        "autodiscovered": False,
    }


async def every_app(inside: Inside, method: str | None = None) -> list[Node]:
    """The apps that are registered, perhaps those alone that are reached so."""
    found = [app_node(inside, app) for app in await inside.every("get_apps")]
    return [app for app in found if method in (None, app["method"])]


async def one_app(inside: Inside, app_id: str) -> Node | None:
    """An app by its id or name."""
    found = await or_none(inside.data("get_app", {"app_id": app_id}))
    return None if found is None else app_node(inside, found)


async def functions_of(inside: Inside, app: str) -> list[Node]:
    """The functions of an app."""
    told = await inside.every("list_functions", {"app_id": app})
    return [function_node(one) for one in told]


async def every_function(inside: Inside) -> list[Node]:
    """The functions of all apps."""
    apps = await every_app(inside)
    return [one for app in apps for one in await functions_of(inside, app["name"])]


async def one_function(inside: Inside, slug: str) -> Node | None:
    """A function by its id or its UUID, be it registered or gone."""
    listing = inside.deps.ledger.catalog.named(slug)
    if listing is None:
        return None
    path = {"app_id": listing.app, "function_id": listing.slug}
    found = await or_none(inside.data("get_function", path))
    return None if found is None else function_node(found)


def function_node(function: Told) -> Node:
    """A function with its configuration."""
    configuration, app = function["configuration"], function["app"]
    concurrency = configuration.get("concurrency", [])
    return {
        "id": function["id"],
        "name": function["name"],
        "slug": function["slug"],
        "config": msgspec.json.encode(configuration).decode(),
        "configuration": _configuration(configuration),
        "concurrency": concurrency[0]["limit"]["value"] if concurrency else 0,
        "triggers": [{**one, "condition": one.get("if")} for one in function["triggers"]],
        "url": later(lambda asking: _url(asking, app["id"])),
        "appID": app["id"],
        "app": later(lambda asking: one_app(asking, app["id"])),
        "failureHandler": later(lambda asking: one_function(asking, f"{function['slug']}-failure")),
    }


async def _url(inside: Inside, app_id: str) -> str:
    app = await one_app(inside, app_id)
    return "" if app is None else app["url"] or ""


def _configuration(told: Told) -> Node:
    batch, singleton = told.get("batchEvents"), told.get("singleton", {})
    mode = str(singleton.get("mode", "skip")).upper()
    throttle = told.get("throttle")
    return {
        "cancellations": [
            {**one, "condition": one.get("if") or None} for one in told.get("cancelOn", ())
        ],
        "retries": told["retries"],
        "priority": told.get("priority", {}).get("run"),
        "eventsBatch": batch,
        "concurrency": [
            {**one, "scope": _SCOPES.get(one["scope"], "FUNCTION")}
            for one in told.get("concurrency", ())
        ],
        "rateLimit": told.get("rateLimit"),
        "debounce": told.get("debounce"),
        "throttle": throttle and {"burst": 1, **throttle},
        "singleton": {**singleton, "mode": mode} if singleton else None,
    }


async def every_worker(inside: Inside, wanted: Told) -> list[Node]:
    """Connected workers, one for each app that they serve, of these states and apps."""
    found = [
        _worker(worker, app)
        for worker in await inside.every("list_workers")
        for app in worker["apps"]
    ]
    statuses, apps = wanted.get("status"), wanted.get("appIDs")
    if apps:
        names = {one["externalID"] for one in await every_app(inside) if one["id"] in apps}
        found = [one for one in found if one["appName"] in names]
    return [one for one in found if not statuses or one["status"] in statuses]


def _worker(worker: Told, app: Told) -> Node:
    return {
        "id": worker["id"],
        "instanceId": worker["instanceId"],
        "maxWorkerConcurrency": worker["capacity"],
        "appName": app["name"],
        "appID": app_uuid(app["name"]),
        "groupHash": app.get("group"),
        "buildId": app.get("version"),
        "app": later(lambda asking: one_app(asking, app["name"])),
        "connectedAt": worker["connectedAt"],
        "lastHeartbeatAt": worker["lastHeartbeatAt"],
        "status": worker["status"],
        "sdkLang": worker.get("sdkLanguage", ""),
        "sdkVersion": worker.get("sdkVersion", ""),
        "sdkPlatform": worker.get("platform", ""),
        "appVersion": app.get("version"),
        "functionCount": app["functionCount"],
        "cpuCores": worker.get("cpuCores", 0),
        "memBytes": str(worker.get("memBytes", 0)),
        "os": worker.get("os", ""),
    }


def ordered(workers: list[Node], order: list[dict[str, Any]] | None) -> list[Node]:
    """Workers in this order; those of one time by id."""
    fields = {"CONNECTED_AT": "connectedAt", "LAST_HEARTBEAT_AT": "lastHeartbeatAt"}
    for one in reversed(order or []):
        name = fields.get(one["field"])
        if name is not None:
            latest_first = one["direction"] == "DESC"
            workers = sorted(workers, key=itemgetter(name), reverse=latest_first)
    return workers
