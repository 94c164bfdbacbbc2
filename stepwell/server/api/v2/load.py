"""`GET /v2/load`, `GET /v2/storage` and the usage of a function: how much a server has to do now,
how full limits are, and how much it keeps. Ours."""

from collections import Counter

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.backlog import Backlog, UnderWay, backlog_of, backlogs
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.v1.apps import package_version
from stepwell.server.api.v2 import name
from stepwell.server.api.v2.answer import answered, whole
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.query.v2.load import DatabaseV2, LatenessV2, LoadV2, ServerV2, StorageV2
from stepwell.server.query.v2.run import app_ref, function_ref
from stepwell.server.query.v2.usage import UsageV2, key_usage
from stepwell.wire.duration import format_instant

MOST = 1_000
"""So many functions are told of, those with the most that waits first."""


async def load(deps: ApiDeps, request: Request) -> Response:
    """What each function has to do now: runs that wait, since when and what keeps them, and runs
    that go on. Functions that have nothing to do are left out."""
    under_way = UnderWay.of(deps.under_way())
    found = await deps.searched(lambda: _loads(deps, under_way))
    return whole(deps, request, found)


def _loads(deps: ApiDeps, under_way: UnderWay) -> list[LoadV2]:
    live = deps.reader.live()
    waiting = {one.function: one for one in backlogs(deps, under_way, MOST, live)}
    running = Counter(under_way.first)
    for (function, status), count in live.items():
        if status is RunStatus.RUNNING:
            running[function] += count
    names = list(dict.fromkeys([*waiting, *sorted(running, key=lambda one: -running[one])]))
    return [_load(deps, one, waiting.get(one), running[one]) for one in names[:MOST]]


def _load(deps: ApiDeps, function: str, waiting: Backlog | None, running: int) -> LoadV2:
    listing = deps.ledger.catalog.listing(function)
    app = listing.app if listing else ""
    told = LoadV2(
        function=function_ref(function),
        app=app_ref(waiting.app if waiting else app),
        queued=0,
        running=running,
    )
    if waiting is None:
        return told
    return msgspec.structs.replace(
        told,
        queued=waiting.runs,
        oldest_queued_at=format_instant(waiting.since_ms),
        reason=waiting.reason,
    )


async def usage(deps: ApiDeps, request: Request) -> Response:
    """What a function has to do now, and how full its own limits are, by key.

    Named limits have a list of their own. The 200 oldest runs that go on are looked at for keys.
    """
    row = name.function(deps, request)
    under_way = UnderWay.of(deps.under_way())
    return answered(deps, await deps.searched(lambda: _used(deps, row.slug, under_way)))


def _used(deps: ApiDeps, function: str, under_way: UnderWay) -> UsageV2:
    live = deps.reader.live()
    waiting = backlog_of(deps, function, under_way, live)
    running = live.get((function, RunStatus.RUNNING), 0)
    told = _load(deps, function, waiting, running + under_way.first.get(function, 0))
    listing = deps.ledger.catalog.listing(function)
    plan = listing.plan if listing is not None else None
    now_ms = deps.clock.now_ms()
    return UsageV2(told, key_usage(deps.reader, function, plan, now_ms) if plan else ())


async def server(deps: ApiDeps, request: Request) -> Response:
    """The server that answers: its version, since when it runs, and how late its event loop was.
    Of several servers each answers for itself."""
    seen, told = deps.process(), ServerV2(version=package_version())
    if seen.began_ms:
        own = round(seen.stall_work_s * 1_000)
        told = ServerV2(
            version=told.version,
            started_at=format_instant(seen.began_ms),
            connections=seen.connections,
            workers=seen.workers,
            late_ms=LatenessV2(round(seen.stall_s * 1_000), own),
        )
    return answered(deps, told)


async def storage(deps: ApiDeps, request: Request) -> Response:
    """Where runs and events are kept, how large that is, and for how long."""
    config, seen = deps.config, deps.process()
    if config.postgres is not None:
        database = DatabaseV2.POSTGRESQL
    else:
        database = DatabaseV2.SQLITE if config.database else DatabaseV2.MEMORY
    told = StorageV2(database, seen.database_bytes, seen.log_bytes, config.retention_ms or 0)
    return answered(deps, told)
