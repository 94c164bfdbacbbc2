"""`GET /v1/doctor`: what will not move by itself. Ours."""

from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.reach import gone_since, reach_of
from stepwell.server.api.routing.problem import enveloped
from stepwell.server.engine.row.run import Run
from stepwell.server.query.held_back import HeldBack, held_back
from stepwell.server.query.in_lanes import in_lanes
from stepwell.server.query.lost_places import LostPlace, lost_places
from stepwell.server.query.other_code import all_waiting_for_code
from stepwell.server.query.rest import Rest, rest
from stepwell.server.query.room import paused_rest
from stepwell.server.query.run_object import RunObject, run_object
from stepwell.server.query.waiting import NEXT_LOOK_MS, RUNS_MAX, Waiting, waiting

STRANDED_MAX = 200


class Diagnosis(NamedTuple):
    """What was found."""

    stranded: list[Run]
    waiting: list[Waiting]
    held: list[HeldBack]
    lost: list[LostPlace]


class DiagnosisObject(msgspec.Struct):
    """What will not move by itself."""

    stranded: list[RunObject]
    waiting: list[Waiting]
    held: list[HeldBack]
    lost: list[LostPlace]


async def doctor(deps: ApiDeps, request: Request) -> Response:
    """What will not move by itself. `stranded`: runs that nothing will ever move; there are none,
    or there is a fault. `waiting`: work that is due and waits for an app, or for its paused
    function. `held`: debounces and batches that do not start, and why. `lost`: places under keys
    whose runs have ended; there are none, or there is a fault."""
    found = await diagnosis(deps)
    stranded = [run_object(run) for run in found.stranded]
    told = DiagnosisObject(stranded, found.waiting, found.held, found.lost)
    return enveloped(told, deps.clock.now_ms())


async def diagnosis(deps: ApiDeps) -> Diagnosis:
    """Looks for all of it."""
    stranded = await deps.searched(lambda: deps.reader.stranded(STRANDED_MAX))
    waiting = await deps.searched(lambda: _waiting(deps))
    held = await deps.searched(lambda: _held(deps))
    lost = await deps.searched(lambda: lost_places(deps.reader))
    return Diagnosis(stranded, waiting, held, lost)


def _held(deps: ApiDeps) -> list[HeldBack]:
    return held_back(deps.reader, deps.ledger.catalog.listings, deps.clock.now_ms())


def _waiting(deps: ApiDeps) -> list[Waiting]:
    gone = gone_since(deps)
    apps = {row.app for row in deps.reader.gone_functions()}.union(deps.ledger.catalog.apps)
    now_ms = deps.clock.now_ms()
    due: dict[str, Run] = {}
    for app in sorted(apps):
        # What nobody serves is put off again and again, so it is due soon.
        soon = deps.reader.due_runs(app, now_ms + NEXT_LOOK_MS, RUNS_MAX) if gone else []
        due |= {run.id: run for run in soon if run.function in gone}
        due |= {run.id: run for run in deps.reader.due_runs(app, now_ms + 1, RUNS_MAX)}

    def why(run: Run) -> Rest | None:
        hindered = rest(run, reach_of(deps, run.app, run.function, gone))
        return hindered or paused_rest(deps.reader, run.function)

    going = {function for function, _ in deps.reader.live()}
    due |= {run.id: run for run in in_lanes(deps.reader, going, why, now_ms)}
    codes = ((slug, one.config.code) for slug, one in deps.ledger.catalog.listings.items())
    by_code = dict(all_waiting_for_code(deps.reader, codes))
    return waiting(due.values(), why) + waiting(by_code, by_code.get)
