"""The step debugger of the official server, as far as there is one here: a session is a run with
all runs that were made of it by running it again, and is known by the id of the first. Nothing is
kept for it."""

from typing import Final

from stepwell.server.api.graphql import spans
from stepwell.server.api.graphql.node import Node, Told
from stepwell.server.api.graphql.runs import one_run, run_node
from stepwell.server.api.inside import Inside
from stepwell.server.api.routing.problem import Problem

LOOKED_MAX: Final = 1_000
"""So many runs of the function, the latest, are looked at for those of a session."""


def first_of(run: Told) -> str:
    """The run that a run was made of, perhaps by way of others; itself if it is none run again."""
    return str(run.get("originalRunId") or run["id"])


async def session_of(inside: Inside, given: Told) -> Node:
    """The session that a run belongs to. Raises `Problem`."""
    run = await _run_of(inside, given["functionSlug"], given["runID"])
    return {"debugSessionID": first_of(run), "debugRunID": run["id"]}


async def check_session(inside: Inside, run_id: str, given: Told) -> None:
    """Raises `Problem` where a run is to be run again in a session it does not belong to."""
    session, debugged = given.get("debugSessionID"), given.get("debugRunID")
    if session is None and debugged is None:
        return
    first = first_of(await one_run(inside, run_id))
    if session not in (None, first):
        raise Problem(400, f"debugSessionID {session!r} is not that of run {run_id}: it is {first}")
    if debugged is not None and first_of(await one_run(inside, debugged)) != first:
        raise Problem(400, f"debugRunID {debugged!r} is no run of session {first}")


async def debug_run(inside: Inside, query: Told) -> Node:
    """A run with its trace. Raises `Problem`."""
    run = await _run_of(
        inside, query["functionSlug"], query.get("debugRunID") or query.get("runID")
    )
    return {"debugTraces": [await spans.root(inside, run, run_node(run), preview=True)]}


async def debug_session(inside: Inside, query: Told) -> Node:
    """The runs of a session, those queued last first. Raises `Problem`."""
    asked = query.get("debugSessionID") or query.get("runID")
    first_id = first_of(await _run_of(inside, query["functionSlug"], asked))
    first = await one_run(inside, first_id)
    path = {"app_id": first["app"]["id"], "function_id": first["function"]["id"]}
    since = {"from": first["queuedAt"]}
    found, _ = await inside.first(LOOKED_MAX, "list_function_runs", path, **since)
    mine = [run for run in found if first_of(run) == first_id]
    if first_id not in [run["id"] for run in mine]:
        mine.append(first)
    return {"debugRuns": [_debugged(run) for run in mine]}


def _debugged(run: Told) -> Node:
    return {
        "debugRunID": run["id"],
        "status": run["status"],
        "queuedAt": run["queuedAt"],
        "startedAt": run.get("startedAt"),
        "endedAt": run.get("endedAt"),
    }


async def _run_of(inside: Inside, function: str, run_id: str | None) -> Told:
    if not run_id:
        raise Problem(400, "name the run (runID): a session is a run, and those made of it")
    run = await one_run(inside, run_id)
    if function not in (run["function"]["name"], run["function"]["id"]):
        name = run["function"]["name"]
        raise Problem(400, f"run {run_id} is one of {name}, and not of {function[:80]!r}")
    return run
