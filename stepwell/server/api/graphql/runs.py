"""Runs, one and many, as GraphQL tells them."""

import hashlib

import msgspec

from stepwell.server.api.graphql import spans
from stepwell.server.api.graphql.catalog import one_app, one_function
from stepwell.server.api.graphql.node import Info, Node, Told, connection, later
from stepwell.server.api.inside import Inside
from stepwell.server.query.cursor import encode_cursor
from stepwell.server.store.port import Mark
from stepwell.wire.duration import parse_date_ms

TIMES = {"QUEUED_AT": "queuedAt", "STARTED_AT": "startedAt", "ENDED_AT": "endedAt"}
FIRST_DEFAULT, FIRST_MAX = 40, 399


def run_node(run: Told) -> Node:
    """A run."""
    event_ids: list[str] = run["trigger"]["eventIds"]
    app, function = run["app"], run["function"]

    async def output(inside: Inside) -> str | None:
        found = await inside.data("get_run", {"run_id": run["id"]})
        return msgspec.json.encode(found["output"]).decode() if "output" in found else None

    async def has_ai(inside: Inside) -> bool:
        return spans.has_ai(await spans.asked(inside, run["id"]))

    async def traced(info: Info, preview: bool = False) -> Node:
        return await spans.root(info.context, run, node, preview=preview)

    node: Node = {
        "id": run["id"],
        "appID": app["id"],
        "app": later(lambda inside: one_app(inside, app["id"])),
        "functionID": function["id"],
        "function": later(lambda inside: one_function(inside, function["name"])),
        "traceID": trace_id(run["id"]),
        "queuedAt": run["queuedAt"],
        "startedAt": run.get("startedAt"),
        "endedAt": run.get("endedAt"),
        "status": run["status"],
        "sourceID": None,
        "triggerIDs": event_ids,
        "eventName": run["trigger"].get("eventName"),
        "isBatch": len(event_ids) > 1,
        "batchCreatedAt": None,
        "cronSchedule": run["trigger"].get("cron"),
        "output": later(output),
        "trace": traced,
        "hasAI": later(has_ai),
        "isDeferred": run.get("isDeferred", False),
    }
    return node


def trace_id(run_id: str) -> str:
    """The trace that stands for a run nobody traced before, as the SDK has it."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:32]


async def one_run(inside: Inside, run_id: str) -> Told:
    """A run as the REST API tells it."""
    found: Told = await inside.data("get_run", {"run_id": run_id})
    return found


async def runs_page(
    inside: Inside, first: int, after: str, order: list[Told], wanted: Told
) -> Node:
    """A page of runs, in the order of one of their times."""
    newest = {"field": wanted.get("timeField") or "QUEUED_AT", "direction": "DESC"}
    by = order[0] if order else newest
    time = TIMES[by["field"]]
    query = _filter(inside, wanted)
    if query is None:
        return connection([], after=after, more=False, total=0)
    asked: Told = {
        **query,
        "timeField": time,
        "order": by["direction"],
        "cursor": after,
    }
    most = first if 0 < first <= FIRST_MAX else FIRST_DEFAULT
    found, more = await inside.first(most, "list_runs", None, **asked)
    nodes = [(_cursor(run, time), run_node(run)) for run in found]

    async def total(asking: Inside) -> int:
        return await _count(asking, query, time) if more or after else len(nodes)

    return connection(nodes, after=after, more=more, total=later(total))


def _filter(inside: Inside, wanted: Told) -> Told | None:
    """The filter in the words of the REST API; None where it can hold for no run."""
    statuses = [one for one in wanted.get("status") or () if one != "SKIPPED"]
    listings = [inside.deps.ledger.catalog.named(one) for one in wanted.get("functionIDs") or ()]
    known = [one for one in listings if one is not None]
    if listings and not known:
        return None
    apps = {*(wanted.get("appIDs") or ())}
    return {
        "from": wanted["from"],
        "until": wanted.get("until"),
        "status": statuses,
        "appId": sorted(apps or {one.app for one in known}),
        "functionId": [one.slug for one in known],
        "isDeferred": wanted.get("isDeferred"),
        "query": wanted.get("query"),
    }


def _cursor(run: Told, time: str) -> str:
    return encode_cursor(Mark(parse_date_ms(run[time]), run["id"]), time)


async def _count(inside: Inside, query: Told, time: str) -> int:
    """How many runs there are in all, as far as they are counted."""
    if time == "queuedAt" and query["isDeferred"] is None:
        names = ("from", "until", "status", "appId", "functionId", "query")
        wanted = {name: query[name] for name in names if query[name]}
        told = await inside.ask("count_bulk", body={"filter": wanted})
        return int(told["data"]["count"])
    return len(await inside.every("list_runs", None, **query, timeField=time))
