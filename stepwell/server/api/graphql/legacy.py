"""Events and runs in the older shapes of GraphQL, which helpers of SDKs ask."""

import msgspec

from stepwell.server.api.graphql import history
from stepwell.server.api.graphql.events import raw_of, runs_of
from stepwell.server.api.graphql.node import Node, Told, later, or_none
from stepwell.server.api.graphql.runs import run_node
from stepwell.server.api.inside import Inside
from stepwell.server.query.run_object import ENVIRONMENT_ID

_ENDED = {"COMPLETED", "FAILED", "CANCELLED"}


async def legacy_event(inside: Inside, event_id: str) -> Node:
    """An event in the older shape, with how its runs stand."""
    event = await inside.data("get_event", {"event_id": event_id})
    runs = await runs_of(inside, event_id)
    return {
        "id": event["id"],
        "externalID": event.get("externalId"),
        "name": event["name"],
        "createdAt": event["receivedAt"],
        "payload": msgspec.json.encode(event.get("data")).decode(),
        "status": _status([run["status"] for run in runs]),
        "pendingRuns": sum(1 for run in runs if run["status"] not in _ENDED),
        "totalRuns": len(runs),
        "raw": raw_of(event),
        "workspace": {"id": ENVIRONMENT_ID},
        "functionRuns": [legacy_run(run) for run in runs],
    }


def _status(statuses: list[str]) -> str:
    if not statuses:
        return "NO_FUNCTIONS"
    if any(status not in _ENDED for status in statuses):
        return "RUNNING"
    failed = sum(1 for status in statuses if status != "COMPLETED")
    if not failed:
        return "COMPLETED"
    return "FAILED" if failed == len(statuses) else "PARTIALLY_FAILED"


async def stream_items(inside: Inside, wanted: Told) -> list[Node]:
    """What came in last, each with what it started."""
    query: Told = {
        "from": wanted.get("after"),
        "until": wanted.get("before"),
        "includeInternal": wanted.get("includeInternalEvents", False),
        "limit": min(max(wanted.get("limit") or 20, 1), 100),
    }
    told: list[Told] = (await inside.ask("list_events", None, query))["data"]
    return [_item(event) for event in told]


def _item(event: Told) -> Node:
    async def runs(inside: Inside) -> list[Node]:
        return [legacy_run(run) for run in await runs_of(inside, event["id"])]

    is_cron = event["name"] == "inngest/scheduled.timer"
    return {
        "id": event["id"],
        "trigger": event["name"],
        "type": "CRON" if is_cron else "EVENT",
        "createdAt": event["receivedAt"],
        "runs": later(runs),
        "inBatch": False,
    }


def legacy_run(run: Told) -> Node:
    """A run in the older shape."""
    from_now = run_node(run)
    event_ids: list[str] = run["trigger"]["eventIds"]

    async def every_event(inside: Inside) -> list[Node]:
        found = [await or_none(legacy_event(inside, event_id)) for event_id in event_ids]
        return [one for one in found if one is not None]

    async def first_event(inside: Inside) -> Node | None:
        found = await every_event(inside)
        return found[0] if found else None

    return {
        "id": run["id"],
        "functionID": run["function"]["id"],
        "function": from_now["function"],
        "event": later(first_event),
        "events": later(every_event),
        "eventID": event_ids[0] if event_ids else "",
        "batchID": run["trigger"].get("batchId"),
        "batchCreatedAt": from_now["batchCreatedAt"],
        "status": run["status"],
        "startedAt": run.get("startedAt") or run["queuedAt"],
        "finishedAt": run.get("endedAt"),
        "output": from_now["output"],
        "cron": from_now["cronSchedule"],
        **history.fields(run),
    }
