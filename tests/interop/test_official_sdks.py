"""The official SDKs, as real processes, run unchanged against our server.

Our own SDK runs the same Python program with nothing but its import changed. All scenarios of an
app are started at once and then judged one by one.
"""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.interop.catalogue import SCENARIOS, Outcome, Scenario
from tests.interop.harness import (
    App,
    Server,
    connected,
    free_port,
    missing,
    new_token,
    running_app,
    running_server,
    sync,
    until,
)

# Node has WebSockets of its own from 22 on; 20 wants to be asked for them.
WORKER = {"TRANSPORT": "connect", "NODE_OPTIONS": "--experimental-websocket"}
APPS: dict[str, dict[str, str]] = {
    "py": {"SDK": "inngest"},
    "ours": {"SDK": "stepwell"},
    "js3": {"SDK": "inngest3"},
    "js4": {"SDK": "inngest4", "CHECKPOINT": "on"},
    "js4-plain": {"SDK": "inngest4", "CHECKPOINT": "off"},
    "py-connect": {"SDK": "inngest", **WORKER},
    "ours-connect": {"SDK": "stepwell", **WORKER},
    "js3-connect": {"SDK": "inngest3", **WORKER},
    "js4-connect": {"SDK": "inngest4", **WORKER},
}
NOTES_SETTLE_SECONDS = 20

pytestmark = [pytest.mark.interop, pytest.mark.slow]


class Stage:
    """One server, one app, and every scenario's event already sent."""

    def __init__(self, server: Server, app: App) -> None:
        self.server, self.app = server, app
        self.sent: dict[str, tuple[str, str]] = {}

    def begin(self) -> None:
        for scenario in SCENARIOS.values():
            if scenario.only(self.app):
                token = new_token()
                data = {"token": token, **scenario.data}
                event = self.server.send(f"{self.app.name}/{scenario.name}", data)
                self.sent[scenario.name] = (event, token)

    def finish(self, scenario: Scenario) -> Outcome:
        event, token = self.sent[scenario.name]
        last_follow = 0.0

        def ended() -> dict[str, Any] | None:
            nonlocal last_follow
            runs = self.server.ended(event)
            if runs is None and time.monotonic() - last_follow > 0.5:
                last_follow = time.monotonic()
                for name, data in scenario.follow:
                    self.server.send(f"{self.app.name}/{name}", {"token": token, **data})
            return runs[0] if runs else None

        run = until(f"the run of {scenario.name}", ended)
        return Outcome(
            self.app, run["status"], run["output"], self.app.log(token), str(run["run_id"])
        )


@pytest.fixture(scope="module", params=APPS)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    name = str(request.param)
    env = APPS[name]
    if reason := missing(env):
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(name)
    with ExitStack() as stack:
        server = stack.enter_context(running_server(folder))
        app = stack.enter_context(running_app(name, env, server.url, folder))
        if env.get("TRANSPORT") == "connect":
            connected(server, app)
        else:
            sync(app)
        made = Stage(server, app)
        made.begin()
        yield made


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(stage: Stage, name: str) -> None:
    scenario = SCENARIOS[name]
    if name not in stage.sent:
        assert not scenario.only(stage.app)
        return
    outcome = stage.finish(scenario)

    def holds() -> bool | None:
        """Listeners and failure handlers are runs of their own and may note a little later."""
        again = Outcome(
            outcome.app,
            outcome.status,
            outcome.output,
            stage.app.log(stage.sent[name][1]),
            outcome.run_id,
        )
        try:
            scenario.check(again)
        except AssertionError:
            return None
        return True

    if scenario.echoes:
        until(f"what {name} causes", holds, NOTES_SETTLE_SECONDS)
    else:
        scenario.check(outcome)


def test_an_app_named_by_u_is_synced_without_being_asked(tmp_path: Path) -> None:
    port = free_port()
    server_url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        app = stack.enter_context(running_app("py", {"SDK": "inngest"}, server_url, tmp_path))
        arguments = ("-u", app.endpoint, "--poll-interval", "1")
        server = stack.enter_context(running_server(tmp_path, *arguments, port=port))

        def done() -> list[dict[str, Any]] | None:
            event = server.send("py/no-steps", {"token": "t", "n": 1})
            time.sleep(0.3)
            return server.ended(event)

        runs = until("a run of the synced app", done, 30)
        assert runs[0]["output"] == {"n": 1}


# -- what test helpers of the official SDKs and dashboards ask, about real runs ------------------

RUNS_OF = "query ($id: ID!) { event(query: {eventId: $id}) { functionRuns { id } } }"
ENDED = (
    "query ($id: String!) { run(runID: $id) { output status } runTrigger(runID: $id) { payloads } }"
)
LEGACY = (
    "query ($id: String!) { run(runID: $id) { trace { name status childrenSpans { name outputID"
    " stepType attempts childrenSpans { name status } } } } }"
)
OUTPUT = (
    "query ($id: String!) { runTraceSpanOutputByID(outputID: $id) { data error { message name"
    " stack } } }"
)
PREVIEW = (
    "query ($id: String!) { run(runID: $id) { trace(preview: true) { ...TraceDetails childrenSpans"
    " { ...TraceDetails childrenSpans { ...TraceDetails } } } } } fragment TraceDetails on"
    " RunTraceSpan { name status attempts queuedAt startedAt endedAt isRoot outputID stepOp stepID"
    " stepType spanID parentSpanID duration userlandSpan { spanName spanAttrs } isUserland"
    " metadata { scope kind values updatedAt } response { statusCode headers } skipReason"
    " stepInfo { __typename ... on InvokeStepInfo { triggeringEventID functionID timeout"
    " returnEventID runID timedOut } ... on SleepStepInfo { sleepUntil } ... on"
    " WaitForEventStepInfo { eventName expression timeout foundEventID timedOut } ... on"
    " RunStepInfo { type } ... on WaitForSignalStepInfo { signal timeout timedOut } } }"
)


def asked(stage: Stage, query: str, id_: str) -> Any:
    body = {"query": query, "variables": {"id": id_}}
    told = stage.server.http.post(f"{stage.server.url}/v0/gql", json=body).json()
    assert "errors" not in told, told
    return told["data"]


@pytest.mark.parametrize("name", ["two-steps", "step-exhausted-caught"])
def test_helpers_find_a_run_and_its_steps(stage: Stage, name: str) -> None:
    outcome = stage.finish(SCENARIOS[name])
    event_id, token = stage.sent[name]
    (run,) = asked(stage, RUNS_OF, event_id)["event"]["functionRuns"]
    assert run["id"] == outcome.run_id
    told = asked(stage, ENDED, outcome.run_id)
    assert told["run"]["status"] == "COMPLETED"
    assert json.loads(told["run"]["output"]) == outcome.output
    payload = json.loads(told["runTrigger"]["payloads"][0])
    assert (payload["name"], payload["data"]["token"]) == (f"{stage.app.name}/{name}", token)
    legacy = asked(stage, LEGACY, outcome.run_id)["run"]["trace"]
    preview = asked(stage, PREVIEW, outcome.run_id)["run"]["trace"]
    assert (legacy["name"], preview["name"]) == (f"{stage.app.name}-{name}", "Run")
    steps = ["a", "b"] if name == "two-steps" else ["broken", "after"]
    ends = ["function success", "Finalization"]
    for trace, end in zip((legacy, preview), ends, strict=True):
        assert [span["name"] for span in trace["childrenSpans"]] == [*steps, end]
        assert all(span["outputID"] for span in trace["childrenSpans"])
    assert {span["stepType"] for span in legacy["childrenSpans"]} == {""}
    types = [span["stepType"] for span in preview["childrenSpans"]]
    assert types == ["RUN", "RUN", "FINALIZATION"]
    outputs = [asked(stage, OUTPUT, one["outputID"]) for one in legacy["childrenSpans"]]
    first, second, end = (one["runTraceSpanOutputByID"] for one in outputs)
    if name == "two-steps":
        assert (json.loads(first["data"]), json.loads(second["data"])) == (1, 2)
        assert json.loads(end["data"]) == [1, 2]
        return
    assert "always broken" in first["error"]["message"]
    assert first["error"]["stack"]
    tries = legacy["childrenSpans"][0]
    assert [one["name"] for one in tries["childrenSpans"]] == ["Attempt 0", "Attempt 1"]
    assert tries["attempts"] == 2
