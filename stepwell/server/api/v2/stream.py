"""`GET /v2/stream`: what changes, as it changes, as server-sent events. Ours.

A message holds the state of what changed, not the change: a client puts it over what it has. At
most five messages a second are sent, however much changes.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.feed import Seen
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Takes
from stepwell.server.api.v2 import name
from stepwell.server.engine.row.run import Run
from stepwell.server.query.v2.event import EventV2, event_v2
from stepwell.server.query.v2.log import RunLineV2, lines_by_run, run_lines_v2
from stepwell.server.query.v2.run import RunV2, runs_v2

STREAMS_MAX = 200
TOLD_MAX = 500
"""So many runs, events and lines are in one message; of more it is said that there are."""
PAUSE_S = 0.2
ALIVE_S = 15.0

_RUN = parameter.texts("runId", "Changes of these runs alone.")
_APP = parameter.texts("appId", "Runs of these apps alone, by id or name.")
_FUNCTION = parameter.texts(
    "functionId", "Runs of these functions of `appId` alone, by id or name."
)
_EVENTS = parameter.flag("includeEvents", "Tell events that came in, too.")
_LOGS = parameter.flag("includeLogs", "Tell what functions write with `ctx.logger`, too.")
_LAST = parameter.plain(
    "lastEventId", "Begin after this id of a message; the header `Last-Event-ID` says the same."
)
STREAMED = Takes((_RUN, _APP, _FUNCTION, _EVENTS, _LOGS, _LAST))


class ChangesV2(msgspec.Struct, frozen=True, omit_defaults=True):
    """How runs stand that changed, which events came in, and what functions wrote; `more` says that
    there is more: ask for the list."""

    runs: tuple[RunV2, ...] = ()
    events: tuple[EventV2, ...] = ()
    lines: tuple[RunLineV2, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Wanted:
    runs: frozenset[str]
    apps: frozenset[str]
    functions: frozenset[str]
    events: bool
    lines: bool


async def stream(deps: ApiDeps, request: Request) -> Response:
    """What changes, as it changes, as server-sent events.

    The first message is `ready`, or `reset` where what came after `lastEventId` is not known any
    more: ask for the lists again. Each that follows is `changes`, and holds runs as they stand now,
    without outputs, events, without their data, and lines of the log, each once. At most five come
    in a second. Every answer of this API says in `X-Stepwell-Changes` where the changes stood
    before it was read: with that as `lastEventId` nothing is missed between a list and the stream.
    """
    query = request.query_params
    apps = name.apps(deps, _APP.read(query))
    wanted = _Wanted(
        runs=frozenset(_RUN.read(query)),
        apps=frozenset(apps),
        functions=frozenset(name.functions(deps, apps, _FUNCTION.read(query))),
        events=_EVENTS.read(query),
        lines=_LOGS.read(query),
    )
    feed = deps.feed
    if feed.streams >= STREAMS_MAX:
        raise Problem(503, f"{STREAMS_MAX} streams are open: close others, or try again later")
    last = request.headers.get("last-event-id", "") or _LAST.read(query)
    return StreamingResponse(
        _told(deps, wanted, feed.place_of(last) if last else feed.place),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _told(deps: ApiDeps, wanted: _Wanted, begin: int | None) -> AsyncGenerator[bytes]:
    feed = deps.feed
    place = feed.place if begin is None else begin
    feed.streams += 1
    try:
        yield _message("reset" if begin is None else "ready", feed.id_of(place), b"{}")
        while not feed.closed:
            await feed.wait(place, ALIVE_S)
            if feed.closed:
                return
            if feed.place == place:
                yield b":\n\n"
                continue
            seen = feed.since(place)
            if seen is None:
                place = feed.place
                yield _message("reset", feed.id_of(place), b"{}")
                continue
            place = seen.place
            found = await deps.searched(partial(_changes, deps, wanted, seen))
            if found != ChangesV2():
                yield _message("changes", feed.id_of(place), msgspec.json.encode(found))
            await asyncio.sleep(PAUSE_S)
    finally:
        feed.streams -= 1


def _changes(deps: ApiDeps, wanted: _Wanted, seen: Seen) -> ChangesV2:
    runs = [run_id for run_id in seen.runs if not wanted.runs or run_id in wanted.runs]
    events = seen.events if wanted.events else ()
    lines = _lines(deps, wanted, seen.lines) if wanted.lines else []
    return ChangesV2(
        runs=tuple(runs_v2(deps.reader, _meant(deps, wanted, runs[-TOLD_MAX:]))),
        events=tuple(_events(deps, events[-TOLD_MAX:])),
        lines=tuple(lines[:TOLD_MAX]),
        more=max(len(runs), len(events), len(lines)) > TOLD_MAX,
    )


def _meant(deps: ApiDeps, wanted: _Wanted, ids: Iterable[str]) -> list[Run]:
    """Those of these runs of which a client wants to hear."""
    found = (deps.reader.run(run_id) for run_id in ids)
    return [
        run
        for run in found
        if run is not None
        and (not wanted.apps or run.app in wanted.apps)
        and (not wanted.functions or run.function in wanted.functions)
    ]


def _lines(deps: ApiDeps, wanted: _Wanted, names: Iterable[str]) -> list[RunLineV2]:
    """What was written, run by run; one more than are told says that there is more."""
    places = lines_by_run(names)
    ids = [run_id for run_id in places if not wanted.runs or run_id in wanted.runs]
    found: list[RunLineV2] = []
    for run in _meant(deps, wanted, ids[:TOLD_MAX]):
        found.extend(run_lines_v2(deps.reader.annotations(run.id), places[run.id]))
        if len(found) > TOLD_MAX:
            break
    return found


def _events(deps: ApiDeps, ids: Sequence[str]) -> list[EventV2]:
    found = (deps.reader.event(event_id) for event_id in ids)
    return [event_v2(event, with_data=False) for event in found if event is not None]


def _message(kind: str, id_: str, data: bytes) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (kind.encode(), id_.encode(), data)
