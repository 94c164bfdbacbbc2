"""Runs, one and many, as GraphQL tells them."""

import hashlib

import msgspec

from stepwell.server.api.graphql import spans
from stepwell.server.api.graphql.catalog import one_app, one_function
from stepwell.server.api.graphql.node import Info, Node, Told, connection, later, or_none
from stepwell.server.api.inside import Inside
from stepwell.server.query.cursor import encode_cursor
from stepwell.server.store.port import Mark
from stepwell.wire.duration import format_instant, parse_date_ms
from stepwell.wire.identifier import ulid_time_ms

TIMES = {"QUEUED_AT": "queuedAt", "STARTED_AT": "startedAt", "ENDED_AT": "endedAt"}
FIRST_DEFAULT, FIRST_MAX = 40, 399
COUNTED_MAX = 10_000


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
        "isBatch": "batchId" in run["trigger"],
        "batchCreatedAt": batch_began(run["trigger"].get("batchId")),
        "cronSchedule": run["trigger"].get("cron"),
        "output": later(output),
        "trace": traced,
        "hasAI": later(has_ai),
        "isDeferred": run.get("isDeferred", False),
        "defers": later(lambda inside: _defers(inside, run["id"])),
        "siblingDefers": later(lambda inside: _siblings(inside, run)),
        "deferredFrom": later(lambda inside: _deferred_from(inside, run)),
    }
    return node


async def _defers(inside: Inside, run_id: str) -> list[Node]:
    return [_defer(one) for one in await inside.data("list_defers", {"run_id": run_id})]


def _defer(told: Told) -> Node:
    run_id: str | None = told.get("runId")
    return {
        "hashedDeferID": told.get("id"),
        "userlandDeferID": told.get("name"),
        "fnSlug": told["function"]["name"],
        "status": told["status"],
        "function": later(lambda inside: one_function(inside, told["function"]["name"])),
        "runID": run_id,
        "run": later(lambda inside: _node_of(inside, run_id)),
    }


async def _node_of(inside: Inside, run_id: str | None) -> Node | None:
    found = None if run_id is None else await or_none(one_run(inside, run_id))
    return None if found is None else run_node(found)


async def _origin(inside: Inside, run: Told) -> Told | None:
    """The run that left this one to be started, if one did."""
    if not run.get("isDeferred"):
        return None
    found: Told | None = (await one_run(inside, run["id"])).get("deferredFrom")
    return found


async def _siblings(inside: Inside, run: Told) -> list[Node]:
    origin = await _origin(inside, run)
    if origin is None:
        return []
    left: list[Node] = await or_none(_defers(inside, origin["runId"])) or []
    return [one for one in left if one["runID"] != run["id"]]


async def _deferred_from(inside: Inside, run: Told) -> list[Node]:
    origin = await _origin(inside, run)
    if origin is None:
        return []
    slug, run_id = origin["function"]["name"], origin["runId"]
    return [
        {
            "runID": run_id,
            "fnSlug": slug,
            "function": later(lambda asking: one_function(asking, slug)),
            "run": later(lambda asking: _node_of(asking, run_id)),
        }
    ]


def batch_began(batch_id: str | None) -> str | None:
    """When the first event of a batch came: its id says so."""
    return None if batch_id is None else format_instant(ulid_time_ms(batch_id))


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
        return connection([], after=after, more="", total=0)
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
    found, _ = await inside.first(COUNTED_MAX, "list_runs", None, **query, timeField=time)
    return len(found)
