"""The trace of a run in the two shapes of GraphQL: the older, and that of `preview`."""

import base64
import binascii
from typing import Any, Final, cast

import msgspec

from stepwell.server.api.graphql.node import Node, Told
from stepwell.server.api.inside import Inside
from stepwell.server.api.routing.problem import Problem
from stepwell.wire.outside import decode

OPS: Final = {
    "StepRun": "RUN",
    "Step": "RUN",
    "StepError": "RUN",
    "StepFailed": "RUN",
    "Sleep": "SLEEP",
    "WaitForEvent": "WAIT_FOR_EVENT",
    "WaitForSignal": "WAIT_FOR_SIGNAL",
    "InvokeFunction": "INVOKE",
    "AIGateway": "AI_GATEWAY",
}
_ENDED: Final = {"COMPLETED", "FAILED", "CANCELLED"}
OPEN: Final = {"QUEUED", "RUNNING", "WAITING"}
_END: Final = "end"
"""The span of a run's end, which the REST API tells with the run itself."""


class _OutputId(msgspec.Struct):
    run: str
    span: str


_OUTPUT_ID = msgspec.json.Decoder(_OutputId)


async def asked(inside: Inside, run_id: str) -> Told:
    """The trace of a run as the REST API tells it, with inputs and outputs: its first span."""
    path = {"run_id": run_id}
    found: Told = (await inside.data("get_run_trace", path, includeOutput=True))["rootSpan"]
    return found


def has_ai(root: Told) -> bool:
    """Whether a run has asked a model through the server, or told that it asked one."""
    metadata = any(one["kind"] == "inngest.ai" for one in root.get("metadata", ()))
    return metadata or root.get("stepOp") == "AIGateway" or any(map(has_ai, root["children"]))


async def root(inside: Inside, run: Told, node: Node, *, preview: bool) -> Node:
    """The trace of a run. `node` is what stands for the run itself."""
    told = await asked(inside, run["id"])
    made = _Spans(run, node, preview=preview)
    return made.root(told)


class _Spans:
    """Makes the spans of one run."""

    def __init__(self, run: Told, node: Node, *, preview: bool) -> None:
        self._run = run
        self._node = node
        self._preview = preview

    def root(self, told: Told) -> Node:
        name = "Run" if self._preview else self._run["function"]["name"]
        root = self._span(told, None, name)
        root["childrenSpans"] = [self._child(one, root) for one in told["children"]]
        if self._run["status"] in _ENDED:
            root["childrenSpans"].append(self._end(told, root))
        return root

    def _child(self, told: Told, parent: Node) -> Node:
        span = self._span(told, parent, told["name"])
        tries = [one for one in told["children"] if not one.get("userland")]
        if tries:
            # The last try is the step itself.
            tries = [*tries, {**told, "id": f"{told['id']}.last", "attempt": len(tries)}]
            span["attempts"] = len(tries)
            span["childrenSpans"] = [self._try(one, span) for one in tries]
        users = [one for one in told["children"] if one.get("userland")]
        span["childrenSpans"] += [self._child(one, span) for one in users]
        return span

    def _try(self, told: Told, parent: Node) -> Node:
        span = self._span(told, parent, f"Attempt {told.get('attempt', 0)}")
        # What the last one brought is known by the id of its step.
        if span["outputID"] is not None and told["id"].endswith(".last"):
            span["outputID"] = parent["outputID"]
        return span

    def _end(self, told: Told, parent: Node) -> Node:
        good = self._run["status"] == "COMPLETED"
        old = "function success" if good else "function error"
        name = "Finalization" if self._preview else old
        ended = self._run.get("endedAt")
        end: Told = {**told, "id": _END, "children": [], "queuedAt": ended, "startedAt": ended}
        span = self._span(end, parent, name)
        return {**span, "stepType": "FINALIZATION" if self._preview else "", "metadata": []}

    def _span(self, told: Told, parent: Node | None, name: str) -> Node:
        op = OPS.get(told.get("stepOp", ""))
        has_output = parent is not None and "output" in told
        return {
            "appID": self._run["app"]["id"],
            "functionID": self._run["function"]["id"],
            "runID": self._run["id"],
            "run": self._node,
            "spanID": told["id"],
            "traceID": self._node["traceID"],
            # The tries of a step are a group, known by the step.
            "groupID": told["id"] if parent is None or parent["isRoot"] else parent["groupID"],
            "name": name,
            "status": told["status"],
            "attempts": told.get("attempt", 0) + 1,
            "duration": told.get("durationMs"),
            "outputID": _output_id(self._run["id"], told["id"]) if has_output else None,
            "queuedAt": told.get("queuedAt") or self._run["queuedAt"],
            "scheduledAt": told.get("queuedAt") or self._run["queuedAt"],
            "startedAt": told.get("startedAt"),
            "endedAt": told.get("endedAt"),
            "childrenSpans": [],
            "stepOp": op,
            "stepID": told.get("stepId") or None,
            "stepInfo": _step_info(op, told),
            "stepType": (op or "") if self._preview else "",
            "isRoot": parent is None,
            "parentSpanID": None if parent is None else parent["spanID"],
            "parentSpan": parent,
            "isUserland": "userland" in told,
            "userlandSpan": _userland(told),
            "metadata": told.get("metadata", []),
            "debugSessionID": self._run.get("originalRunId"),
            "debugRunID": self._run["id"] if "originalRunId" in self._run else None,
            "debugPaused": False,
        }


def _userland(told: Told) -> Node | None:
    found = told.get("userland")
    if found is None:
        return None
    texts = {
        name: msgspec.json.encode(found.get(name, {})).decode()
        for name in ("spanAttrs", "resourceAttrs")
    }
    return {**found, "spanName": told["name"], **texts}


def _step_info(op: str | None, told: Told) -> Node | None:
    ended = told["status"] in _ENDED
    wait: Told = told.get("waitsFor", {})
    until = wait.get("until")
    match op:
        case "RUN":
            return {"__typename": "RunStepInfo", "type": None}
        case "SLEEP":
            return {"__typename": "SleepStepInfo", "sleepUntil": until or told.get("endedAt")}
        case "INVOKE":
            timed_out = _error_name(told) == "InngestInvokeTimeoutError" if ended else None
            child = wait.get("runId")
            known = {"timedOut": timed_out, "timeout": until, "runID": child}
            return {"__typename": "InvokeStepInfo", **known}
        case "WAIT_FOR_EVENT":
            name = wait.get("event") or _data(told).get("name")
            timed_out = "output" not in told if ended else None
            known = {"eventName": name, "expression": wait.get("condition"), "timeout": until}
            return {"__typename": "WaitForEventStepInfo", "timedOut": timed_out, **known}
        case "WAIT_FOR_SIGNAL":
            timed_out = "output" not in told if ended else None
            signal = wait.get("signal") or _object(_data(told).get("data")).get("signal")
            known = {"signal": signal, "timeout": until}
            return {"__typename": "WaitForSignalStepInfo", "timedOut": timed_out, **known}
        case _:
            return None


def _data(told: Told) -> dict[str, Any]:
    return _object(told.get("output"))


def _error_name(told: Told) -> str:
    return str(_object(_data(told).get("error")).get("name", ""))


def _object(value: object) -> Told:
    return cast("Told", value) if isinstance(value, dict) else {}


def _output_id(run_id: str, span_id: str) -> str:
    raw = msgspec.json.encode(_OutputId(run_id, span_id))
    return base64.urlsafe_b64encode(raw).decode()


async def output(inside: Inside, output_id: str) -> Node:
    """What a span took and brought, by the id its trace told."""
    try:
        asked_for = decode(base64.urlsafe_b64decode(output_id.encode()), _OUTPUT_ID)
    except (binascii.Error, UnicodeError, msgspec.DecodeError):
        raise Problem(400, f"outputID {output_id[:80]!r} is none that a trace told") from None
    told = await asked(inside, asked_for.run)
    span = told if asked_for.span == _END else _found(told, asked_for.span)
    if span is None:
        raise Problem(404, "Span not found")
    given = msgspec.json.encode(span["input"]).decode() if "input" in span else None
    return {"input": given, **_outcome(span)}


def _found(told: Told, span_id: str) -> Told | None:
    if told["id"] == span_id:
        return told
    return next(filter(None, (_found(one, span_id) for one in told["children"])), None)


def _outcome(span: Told) -> Node:
    """A result, or an error, without what it is wrapped in for the SDK."""
    value = span.get("output")
    failed = span["status"] == "FAILED"
    wrapped = _object(value)
    if len(wrapped) == 1 and ("data" in wrapped or "error" in wrapped):
        failed = "error" in wrapped
        (value,) = wrapped.values()
    if failed:
        error = _object(value) or {"message": str(value)}
        names = ("message", "name", "stack", "cause")
        told = {name: error.get(name) for name in names}
        return {"data": None, "error": {**told, "message": str(told["message"] or "")}}
    return {"data": msgspec.json.encode(value).decode(), "error": None}
