"""What the schema lets be asked. Each asks operations of the REST API."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from stepwell.server.api.graphql import catalog, debug, events, legacy, runs, spans
from stepwell.server.api.graphql.node import Info, Node, Told, connection
from stepwell.server.api.routing.problem import Problem


async def _worker(info: Info, **given: Any) -> Node | None:
    found = await catalog.every_worker(info.context, {})
    return next((one for one in found if one["id"] == given["connectionId"]), None)


async def _workers(info: Info, **given: Any) -> Node:
    wanted: Told = given.get("filter") or {}
    found = await catalog.every_worker(info.context, wanted)
    listed = [
        (f"{one['id']} {one['appName']}", one)
        for one in catalog.ordered(found, given.get("orderBy"))
    ]
    known = [cursor for cursor, _ in listed]
    after: str = given.get("after") or ""
    if after and after not in known:
        raise Problem(400, f"Cursor is invalid: {after[:80]!r} is no worker that is listed")
    begin = known.index(after) + 1 if after else 0
    shown = listed[begin : begin + max(given["first"], 1)]
    more = shown[-1][0] if begin + len(shown) < len(listed) else ""
    return connection(shown, after=after, more=more, total=len(found))


async def _events(info: Info, **given: Any) -> list[Node]:
    """The last ones, in the older shape."""
    told: list[Told] = (await info.context.ask("list_events"))["data"]
    return [await legacy.legacy_event(info.context, one["id"]) for one in told]


async def _event_v2(info: Info, **given: Any) -> Node:
    return events.event_v2_node(await info.context.data("get_event", {"event_id": given["id"]}))


async def _events_v2(info: Info, **given: Any) -> Node:
    after = given.get("after") or ""
    return await events.events_page(info.context, given["first"], after, given["filter"])


async def _function_run(info: Info, **given: Any) -> Node:
    run_id = given["query"]["functionRunId"]
    return legacy.legacy_run(await runs.one_run(info.context, run_id))


async def _run(info: Info, **given: Any) -> Node:
    return runs.run_node(await runs.one_run(info.context, given["runID"]))


async def _runs(info: Info, **given: Any) -> Node:
    after, order = given.get("after") or "", given["orderBy"]
    return await runs.runs_page(info.context, given["first"], after, order, given["filter"])


async def _run_trace(info: Info, **given: Any) -> Node:
    run = await runs.one_run(info.context, given["runID"])
    return await spans.root(info.context, run, runs.run_node(run), preview=True)


async def _debug_run(info: Info, **given: Any) -> Node:
    return await debug.debug_run(info.context, given["query"])


async def _debug_session(info: Info, **given: Any) -> Node:
    return await debug.debug_session(info.context, given["query"])


async def _apps(info: Info, **given: Any) -> list[Node]:
    wanted: Told = given.get("filter") or {}
    return await catalog.every_app(info.context, wanted.get("method"))


async def _app(info: Info, **given: Any) -> Node | None:
    return await catalog.one_app(info.context, given["id"])


async def _functions(info: Info) -> list[Node]:
    return await catalog.every_function(info.context)


async def _function(info: Info, **given: Any) -> Node | None:
    return await catalog.one_function(info.context, given["query"]["functionSlug"])


async def _event(info: Info, **given: Any) -> Node:
    return await legacy.legacy_event(info.context, given["query"]["eventId"])


async def _stream(info: Info, **given: Any) -> list[Node]:
    return await legacy.stream_items(info.context, given["query"])


async def _output(info: Info, **given: Any) -> Node:
    return await spans.output(info.context, given["outputID"])


async def _trigger(info: Info, **given: Any) -> Node:
    return await events.trigger_node(info.context, given["runID"])


QUERY: Final[Mapping[str, Callable[..., Awaitable[Any]]]] = {
    "apps": _apps,
    "app": _app,
    "functions": _functions,
    "functionBySlug": _function,
    "event": _event,
    "events": _events,
    "eventV2": _event_v2,
    "eventsV2": _events_v2,
    "stream": _stream,
    "functionRun": _function_run,
    "run": _run,
    "runs": _runs,
    "runTrace": _run_trace,
    "runTraceSpanOutputByID": _output,
    "runTrigger": _trigger,
    "debugRun": _debug_run,
    "debugSession": _debug_session,
    "workerConnection": _worker,
    "workerConnections": _workers,
}
"""What can be asked. What each takes was checked against the schema."""
