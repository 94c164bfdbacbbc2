"""Events and what they started, as GraphQL tells them."""

from typing import Any

import msgspec

from stepwell.server.api.graphql.node import Node, Told, connection, later
from stepwell.server.api.graphql.runs import run_node
from stepwell.server.api.inside import Inside
from stepwell.server.query.cursor import encode_cursor
from stepwell.server.query.run_object import ENVIRONMENT_ID
from stepwell.server.store.port import Mark
from stepwell.wire.duration import format_instant, parse_date_ms

COUNTED_MAX = 10_000


async def runs_of(inside: Inside, event_id: str) -> list[Told]:
    """The runs an event started."""
    return await inside.every("get_event_runs", {"event_id": event_id}, limit=40)


def raw_of(event: Told) -> str:
    """An event as it was sent, as text; `v` is there, with nothing in it, if it was not."""
    raw = {
        "data": event.get("data"),
        "id": event.get("externalId") or event["id"],
        "name": event["name"],
        "ts": event["ts"],
        "v": event.get("v"),
    }
    return msgspec.json.encode(raw | ({"user": event["user"]} if "user" in event else {})).decode()


def event_v2_node(event: Told) -> Node:
    """An event."""

    async def runs(inside: Inside) -> list[Node]:
        return [run_node(run) for run in await runs_of(inside, event["id"])]

    return {
        "envID": ENVIRONMENT_ID,
        "id": event["id"],
        "idempotencyKey": event.get("externalId"),
        "name": event["name"],
        "occurredAt": format_instant(event["ts"]),
        "raw": raw_of(event),
        "receivedAt": event["receivedAt"],
        "runs": later(runs),
        "source": None,
        "version": event.get("v"),
    }


async def events_page(inside: Inside, first: int, after: str, wanted: Told) -> Node:
    """A page of events, those received last first."""
    names: list[str] = wanted.get("eventNames") or []
    text = " || ".join(f"event.name == {msgspec.json.encode(name).decode()}" for name in names)
    lines = [line for line in (text if len(names) > 1 else "", wanted.get("query") or "") if line]
    query: Told = {
        "name": names[0] if len(names) == 1 else "",
        "from": wanted["from"],
        "until": wanted.get("until"),
        "includeInternal": wanted.get("includeInternalEvents", False),
        "query": "\n".join(lines),
    }
    page = {**query, "includeData": True, "cursor": after, "limit": min(max(first, 1), 100)}
    told = await inside.ask("list_events", None, page)
    nodes = [(_cursor(one), event_v2_node(one)) for one in told["data"]]
    more: str = told["page"].get("cursor", "")

    async def total(asking: Inside) -> int:
        if not (more or after):
            return len(nodes)
        found, _ = await asking.first(COUNTED_MAX, "list_events", None, **query)
        return len(found)

    return connection(nodes, after=after, more=more, total=later(total))


def _cursor(event: Told) -> str:
    return encode_cursor(Mark(parse_date_ms(event["receivedAt"]), event["id"]), "receivedAt")


async def trigger_node(inside: Inside, run_id: str) -> Node:
    """What started a run, with its events as they were sent."""
    run = await inside.data("get_run", {"run_id": run_id})
    trigger: dict[str, Any] = run["trigger"]
    events = [await inside.data("get_event", {"event_id": one}) for one in trigger["eventIds"]]
    return {
        "eventName": trigger.get("eventName"),
        "IDs": trigger["eventIds"],
        "payloads": [raw_of(event) for event in events],
        "timestamp": run["queuedAt"],
        "isBatch": "batchId" in trigger,
        "batchID": trigger.get("batchId"),
        "cron": trigger.get("cron"),
    }
