"""What a run did, in the older shape: one entry for each thing that happened, in order of time."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from stepwell.server.api.graphql import spans
from stepwell.server.api.graphql.node import Info, Node, Told, later
from stepwell.server.api.inside import Inside
from stepwell.server.api.routing.problem import Problem

_ENDS: Final = {
    "COMPLETED": "FunctionCompleted",
    "FAILED": "FunctionFailed",
    "CANCELLED": "FunctionCancelled",
}
_WAITS: Final = {"Sleep": "StepSleeping", "InvokeFunction": "StepInvoking"}
_OPEN: Final = {"QUEUED": "StepScheduled", "RUNNING": "StepStarted"}


def fields(run: Told) -> Node:
    """The fields of a run that its trace tells."""

    async def listed(inside: Inside) -> list[Node]:
        root = await spans.asked(inside, run["id"])
        return sorted(_entries(run, root), key=lambda entry: str(entry["createdAt"]))

    async def output(info: Info, id: str) -> str | None:
        root = await spans.asked(info.context, run["id"])
        found = next((one for one in _entries(run, root) if one["id"] == id), None)
        if found is None:
            raise Problem(404, f"historyItemOutput: {id[:80]!r} is no entry of this run's history")
        told = found["span"].get("output")
        return None if told is None else msgspec.json.encode(told).decode()

    async def pending(inside: Inside) -> int:
        root = await spans.asked(inside, run["id"])
        return sum(1 for one in root["children"] if one["status"] in spans.OPEN)

    return {
        "history": later(listed),
        "historyItemOutput": output,
        "pendingSteps": later(pending),
        "waitingFor": later(lambda inside: _waiting_for(inside, run["id"])),
    }


async def _waiting_for(inside: Inside, run_id: str) -> Node | None:
    root = await spans.asked(inside, run_id)
    waits = [one["waitsFor"] for one in root["children"] if "event" in one.get("waitsFor", ())]
    if len(waits) != 1:
        return None
    (wait,) = waits
    return {
        "eventName": wait["event"],
        "expression": wait.get("condition"),
        "expiryTime": wait["until"],
    }


def _entries(run: Told, root: Told) -> Iterator[Node]:
    yield _entry("FunctionScheduled", run["queuedAt"], root, output=False)
    if "startedAt" in run:
        yield _entry("FunctionStarted", run["startedAt"], root, output=False)
    for span in root["children"]:
        if "userland" not in span:
            yield from _of_step(span)
    if run["status"] in _ENDS:
        yield _entry(_ENDS[run["status"]], run["endedAt"], root)


def _of_step(span: Told) -> Iterator[Node]:
    for one in span["children"]:
        if "userland" not in one:
            yield _entry("StepErrored", one["endedAt"], one)
    began: Any = span.get("startedAt") or span.get("queuedAt")
    match span["status"]:
        case "WAITING":
            yield _entry(_WAITS.get(span["stepOp"], "StepWaiting"), began, span)
        case "QUEUED" | "RUNNING" as status:
            yield _entry(_OPEN[status], began, span)
        case "FAILED" if not span.get("stepOp"):
            yield _entry("StepErrored", span["endedAt"], span)
        case status:
            ended = "StepCompleted" if status == "COMPLETED" else "StepFailed"
            yield _entry(ended, span["endedAt"], span)


def _entry(type_: str, at: str, span: Told, *, output: bool = True) -> Node:
    is_step = type_.startswith("Step")
    return {
        "id": f"{span['id']}.{type_}",
        "type": type_,
        "createdAt": at,
        "attempt": span.get("attempt", 0),
        "groupID": span["id"],
        "stepName": span["name"] if is_step else None,
        "stepType": spans.OPS.get(span.get("stepOp", "")) if is_step else None,
        "span": span if output else {},
    }
