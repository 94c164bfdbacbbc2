"""The rest of what dashboards of the official server ask by GraphQL: apps that come and go, its
step debugger, what runs leave to be started, the history of runs, and all fields there are."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from graphql import GraphQLObjectType, get_named_type, is_required_argument

from stepwell.server.api.app import api_app
from stepwell.server.api.deps import Synced
from stepwell.server.api.graphql.answer import SCHEMA
from stepwell.server.api.v2 import answer as v2_answer
from stepwell.server.engine.message.input import Returned
from stepwell.wire.duration import format_instant
from stepwell.wire.identifier import app_uuid, function_uuid
from tests.unit.server.api.harness import KEYS, Api, function, serving, step
from tests.unit.server.api.test_access import key_of
from tests.unit.server.api.test_graphql import PAST, asked, finished, refused
from tests.unit.server.api.test_runs import progressed

URL = "http://127.0.0.1:3000/api/inngest"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        deferred = {"triggers": [{"event": "inngest/deferred.schedule"}]}
        await made.register(
            function("a", event="x"), {**function("b"), **deferred}, function("c", event="y")
        )
        yield made


def served(api: Api, app: str = "shop", problem: str = "") -> Any:
    """The same API, where the app of this name answers at each URL, or nothing but a problem."""

    async def sync(url: str) -> Synced:
        if problem:
            return Synced(None, problem)
        await api.register(function("a", event="x", app=app), app=app)
        return Synced(api.ledger.catalog.apps[app], "")

    object.__setattr__(api.deps, "sync", sync)
    api.http._transport = type(api.http._transport)(api_app(api.deps))  # type: ignore[call-arg]
    return api


async def test_apps_are_made_moved_and_deleted(api: Api) -> None:
    served(api)
    create = "mutation ($url: String!) { createApp(input: {url: $url}) { id externalID url } }"
    made = await asked(api, create, url=URL)
    assert made["createApp"] == {"id": app_uuid("shop"), "externalID": "shop", "url": URL}
    move = (
        "mutation ($id: String!, $url: String!) { updateApp(input: {id: $id, url: $url})"
        " { externalID } }"
    )
    moved = await asked(api, move, id=app_uuid("shop"), url=URL)
    assert moved["updateApp"] == {"externalID": "shop"}
    served(api, app="other")
    _, told = await refused(api, move, id=app_uuid("shop"), url=URL)
    assert "is 'other', and not 'shop'" in told["errors"][0]["message"]
    _, told = await refused(api, move, id=app_uuid("nobody"), url=URL)
    assert told["errors"][0]["message"] == "App not found"
    gone = await asked(api, f'mutation {{ deleteApp(id: "{app_uuid("other")}") }}')
    assert gone == {"deleteApp": app_uuid("other")}
    for found in (True, False):
        told = await asked(api, 'mutation { deleteAppByName(name: "shop") }')
        assert told == {"deleteAppByName": found}
    assert await asked(api, "{ apps { id } functions { id } }") == {"apps": [], "functions": []}


async def test_an_app_that_cannot_register_says_why(api: Api) -> None:
    create = "mutation ($url: String!) { createApp(input: {url: $url}) { id } }"
    for wrong in ("nowhere", "http://["):
        _, told = await refused(api, create, url=wrong)
        assert f"url '{wrong}' is no web address" in told["errors"][0]["message"]
    _, told = await refused(api, create, url=URL)
    assert told["errors"][0]["message"] == "unreachable: nobody asks apps to register here"
    assert told["errors"][0]["extensions"] == {"code": "unreachable", "status": 422}
    served(api, problem="url_not_found: no function is served here")
    _, told = await refused(api, create, url=URL)
    assert told["errors"][0]["extensions"]["code"] == "url_not_found"


async def test_apps_are_for_who_administers_and_written_down() -> None:
    async with serving(KEYS) as api:
        _, operator = await key_of(api, "operate")
        _, admin = await key_of(api, "admin", "root")
        delete = 'mutation { deleteApp(id: "shop") }'
        create = f'mutation {{ createApp(input: {{url: "{URL}"}}) {{ id }} }}'
        for change in (delete, create):
            _, told = await refused(api, change, operator)
            assert told["errors"][0]["extensions"]["code"] == "access_denied"
        _, told = await refused(api, delete, admin)
        assert told["errors"][0]["message"] == "App not found"
        listed = (await api.http.get("/v2/audit", headers=admin)).json()["data"]
        assert ("root", "delete_app") in [(one["by"], one["operation"]) for one in listed]


async def test_a_debug_session_is_a_run_and_those_made_of_it(api: Api) -> None:
    _, run_id = await finished(api)
    create = (
        'mutation ($run: String!) { createDebugSession(input: {functionSlug: "shop-a", runID:'
        " $run}) { debugSessionID debugRunID } }"
    )
    ids = {"debugSessionID": run_id, "debugRunID": run_id}
    assert await asked(api, create, run=run_id) == {"createDebugSession": ids}
    again = (
        "mutation ($id: ULID!, $debugSessionID: ULID, $debugRunID: ULID) { rerun(runID: $id,"
        " debugSessionID: $debugSessionID, debugRunID: $debugRunID) }"
    )
    api.clock.ms += 1
    made = (await asked(api, again, id=run_id, **ids))["rerun"]
    # A run that was made of a run that was made of it belongs to it, too.
    api.clock.ms += 1
    last = (await asked(api, again, id=made, **ids))["rerun"]
    found = await asked(api, create, run=last)
    assert found["createDebugSession"] == {"debugSessionID": run_id, "debugRunID": last}
    session = (
        'query ($id: String!) { debugSession(query: {functionSlug: "shop-a", debugSessionID: $id})'
        " { debugRuns { debugRunID status } } }"
    )
    runs = (await asked(api, session, id=run_id))["debugSession"]["debugRuns"]
    assert [one["debugRunID"] for one in runs] == [last, made, run_id]
    assert [one["status"] for one in runs] == ["QUEUED", "QUEUED", "COMPLETED"]
    run = (
        'query ($id: String!) { debugRun(query: {functionSlug: "shop-a", debugRunID: $id}) {'
        " debugTraces { name runID debugSessionID debugRunID debugPaused childrenSpans { name }"
        " } } }"
    )
    (trace,) = (await asked(api, run, id=run_id))["debugRun"]["debugTraces"]
    assert (trace["name"], trace["runID"], trace["debugSessionID"]) == ("Run", run_id, None)
    assert [one["name"] for one in trace["childrenSpans"]] == ["pay", "nap", "Finalization"]
    (trace,) = (await asked(api, run, id=last))["debugRun"]["debugTraces"]
    assert (trace["debugSessionID"], trace["debugRunID"]) == (run_id, last)
    other = await api.send("y")
    (of_c,) = api.deps.reader.runs_of_event(other)
    for given, said in (
        ({"debugSessionID": of_c.id}, "is not that of run"),
        ({"debugRunID": of_c.id}, "is no run of session"),
    ):
        _, told = await refused(api, again, id=run_id, **given)
        assert said in told["errors"][0]["message"]
    _, told = await refused(api, run, id=of_c.id)
    assert "is one of shop-c, and not of 'shop-a'" in told["errors"][0]["message"]


DEFERS = "{ hashedDeferID userlandDeferID fnSlug status runID run { id } function { slug } }"
LEFT = (
    f"query ($id: String!) {{ run(runID: $id) {{ isDeferred defers {DEFERS} siblingDefers {DEFERS}"
    " deferredFrom { runID fnSlug function { name } run { status } } } }"
)


def later(name: str, n: int) -> dict[str, Any]:
    return {**step(name, op="DeferAdd"), "opts": {"fn_slug": "shop-b", "input": {"n": n}}}


async def test_what_a_run_leaves_is_told_before_and_after_its_end(api: Api) -> None:
    await api.send("x")
    (job,) = await api.jobs()
    await api.answer(
        job, progressed(later("one", 1), later("two", 2), later("off", 3), step("s", 1))
    )
    (job,) = await api.jobs()
    off = {**step("abort", op="DeferAbort"), "opts": {"target_hashed_id": "hash-off"}}
    await api.answer(job, progressed(off, step("t", 1)))
    open_ = (await asked(api, LEFT, id=job.run.id))["run"]
    assert (open_["isDeferred"], open_["siblingDefers"], open_["deferredFrom"]) == (False, [], [])
    told = {one["hashedDeferID"]: one for one in open_["defers"]}
    assert {name: one["status"] for name, one in told.items()} == {
        "hash-one": "SCHEDULED",
        "hash-two": "SCHEDULED",
        "hash-off": "ABORTED",
    }
    assert {one["fnSlug"] for one in told.values()} == {"shop-b"}
    assert (told["hash-one"]["userlandDeferID"], told["hash-one"]["runID"]) == ("one", None)
    (job,) = await api.jobs()
    await api.answer(job, Returned(b"1"))
    found = (await asked(api, LEFT, id=job.run.id))["run"]["defers"]
    left = sorted(found, key=lambda one: str(one["userlandDeferID"]))
    assert [one["userlandDeferID"] for one in left] == ["one", "two"]
    assert {one["function"]["slug"] for one in left} == {"shop-b"}
    first, second = left
    assert (first["status"], first["run"]["id"]) == ("SCHEDULED", first["runID"])
    child = (await asked(api, LEFT, id=first["runID"]))["run"]
    assert child["isDeferred"]
    assert [one["runID"] for one in child["siblingDefers"]] == [second["runID"]]
    assert child["deferredFrom"] == [
        {
            "runID": job.run.id,
            "fnSlug": "shop-a",
            "function": {"name": "a"},
            "run": {"status": "COMPLETED"},
        }
    ]
    listed = (await api.http.get(f"/v2/runs/{job.run.id}/defers")).json()["data"]
    assert {one["runId"] for one in listed} == {first["runID"], second["runID"]}
    assert (await api.http.get("/v2/runs/01JQDAE4RQ0000000000000009/defers")).status_code == 404


HISTORY = (
    "query ($id: ID!) { functionRun(query: {functionRunId: $id}) { pendingSteps batchCreatedAt"
    " waitingFor { eventName expression expiryTime } history { id type stepName stepType attempt }"
    " } }"
)


async def test_the_history_of_a_run(api: Api) -> None:
    _, run_id = await finished(api)
    run = (await asked(api, HISTORY, id=run_id))["functionRun"]
    assert [(one["type"], one["stepName"]) for one in run["history"]] == [
        ("FunctionScheduled", None),
        ("FunctionStarted", None),
        ("StepErrored", "pay"),
        ("StepCompleted", "pay"),
        ("StepCompleted", "nap"),
        ("FunctionCompleted", None),
    ]
    assert (run["pendingSteps"], run["waitingFor"]) == (0, None)
    ids = {(one["type"], one["stepName"]): one["id"] for one in run["history"]}
    output = (
        "query ($run: ID!, $id: ID!) { functionRun(query: {functionRunId: $run}) {"
        " historyItemOutput(id: $id) } }"
    )
    paid = await asked(api, output, run=run_id, id=ids["StepCompleted", "pay"])
    assert paid["functionRun"]["historyItemOutput"] == '{"data":{"sum":7}}'
    ended = await asked(api, output, run=run_id, id=ids["FunctionCompleted", None])
    assert ended["functionRun"]["historyItemOutput"] == '{"ok":true}'
    begun = await asked(api, output, run=run_id, id=ids["FunctionScheduled", None])
    assert begun["functionRun"]["historyItemOutput"] is None
    _, told = await refused(api, output, run=run_id, id="x")
    assert "is no entry of this run's history" in told["errors"][0]["message"]


async def test_what_an_open_run_waits_for(api: Api) -> None:
    await api.send("x", n=3)
    (job,) = await api.jobs()
    opts = {"event": "paid", "if": "async.data.n == event.data.n", "timeout": "1h"}
    wait = {**step("ok", op="WaitForEvent"), "name": "paid", "opts": opts}
    await api.answer(job, progressed(wait))
    run = (await asked(api, HISTORY, id=job.run.id))["functionRun"]
    assert run["waitingFor"]["eventName"] == "paid"
    assert "async.data.n" in run["waitingFor"]["expression"]
    assert run["waitingFor"]["expiryTime"] == "2025-03-28T03:48:57.367Z"
    assert (run["pendingSteps"], run["history"][-1]["type"]) == (1, "StepWaiting")
    info = (
        "query ($id: String!) { runTrace(runID: $id) { childrenSpans { stepInfo { ... on"
        " WaitForEventStepInfo { eventName timeout timedOut } } } } }"
    )
    (span,) = (await asked(api, info, id=job.run.id))["runTrace"]["childrenSpans"]
    known = {"eventName": "paid", "timeout": "2025-03-28T03:48:57.367Z", "timedOut": None}
    assert span["stepInfo"] == known


async def test_a_run_is_started_with_user_and_sessions(api: Api) -> None:
    invoke = (
        'mutation ($user: Map, $meta: Map) { invokeFunction(functionSlug: "shop-a", data: {n: 1},'
        " user: $user, meta: $meta) }"
    )
    meta = {"sessions": {"chat": "c-1"}}
    assert (await asked(api, invoke, user={"id": 7}, meta=meta))["invokeFunction"]
    (job,) = await api.jobs()
    event = (await api.http.get(f"/v2/events/{job.run.event_ids[0]}")).json()["data"]
    assert (event["user"], event["meta"]) == ({"id": 7}, meta)


async def test_events_are_counted(api: Api) -> None:
    for n in range(3):
        await api.send("x", n=n)
    query = (
        "query ($filter: EventsFilter!, $first: Int) { eventsV2(first: $first, filter: $filter) {"
        " totalCount edges { cursor } } }"
    )
    for wanted, first, count in (({}, 2, 3), ({}, 9, 3), ({"query": "event.data.n > 0"}, 1, 2)):
        given = {"from": PAST, **wanted}
        told = (await asked(api, query, filter=given, first=first))["eventsV2"]
        assert (told["totalCount"], len(told["edges"])) == (count, min(first, count))


async def test_a_search_that_takes_long_is_left_and_goes_on_where_it_was(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(150):
        await api.send("x", n=n)
    monkeypatch.setattr(v2_answer.until_late, "__defaults__", (-1.0,))
    query = (
        "query ($filter: RunsFilterV2!, $after: String) { runs(first: 5, after: $after, orderBy:"
        " [{field: QUEUED_AT, direction: ASC}], filter: $filter) { edges { node { id } } pageInfo {"
        " hasNextPage endCursor } } }"
    )
    wanted = {"from": PAST, "query": "event.data.n == 120"}
    first = (await asked(api, query, filter=wanted))["runs"]
    assert first["pageInfo"]["hasNextPage"]
    rest = (await asked(api, query, filter=wanted, after=first["pageInfo"]["endCursor"]))["runs"]
    assert len(first["edges"]) + len(rest["edges"]) == 1


def selection(kind: Any, depth: int) -> str:
    """All fields of a kind of object that need no argument, so deep."""
    named = get_named_type(kind)
    if not isinstance(named, GraphQLObjectType):
        return "{ __typename }" if hasattr(named, "types") else ""
    told: list[str] = []
    for name, field in named.fields.items():
        inner = get_named_type(field.type)
        is_leaf = not (isinstance(inner, GraphQLObjectType) or hasattr(inner, "types"))
        if any(is_required_argument(one) for one in field.args.values()):
            continue
        if is_leaf:
            told.append(name)
        elif depth:
            told.append(f"{name} {selection(inner, depth - 1)}")
    return f"{{ __typename {' '.join(told)} }}"


@pytest.mark.parametrize("shape", ["run", "functionRun", "event", "app", "trace"])
async def test_every_field_of_the_schema_can_be_asked(api: Api, shape: str) -> None:
    event_id, run_id = await finished(api)
    types = {"run": "FunctionRunV2", "functionRun": "FunctionRun", "event": "Event", "app": "App"}
    place = {
        "run": f'run(runID: "{run_id}")',
        "functionRun": f'functionRun(query: {{functionRunId: "{run_id}"}})',
        "event": f'event(query: {{eventId: "{event_id}"}})',
        "app": f'app(id: "{app_uuid("shop")}")',
        "trace": f'runTrace(runID: "{run_id}")',
    }[shape]
    kind = SCHEMA.type_map[types.get(shape, "RunTraceSpan")]
    assert (await asked(api, f"{{ {place} {selection(kind, 2)} }}")) != {}


async def test_the_shapes_of_workers(api: Api) -> None:
    fields = (
        "id gatewayId instanceId workerIp maxWorkerConcurrency appName appID connectedAt"
        " lastHeartbeatAt disconnectedAt disconnectReason status groupHash sdkLang sdkVersion"
        " sdkPlatform syncId buildId appVersion functionCount cpuCores memBytes os app { id }"
    )
    query = f"{{ workerConnections {{ edges {{ node {{ {fields} }} }} totalCount }} }}"
    assert (await asked(api, query))["workerConnections"] == {"edges": [], "totalCount": 0}
    assert (
        function_uuid("shop-a")
        in msgspec.json.encode(await asked(api, "{ functions { id } }")).decode()
    )


async def test_a_batch_is_known_by_its_id_in_each_api(api: Api) -> None:
    batch = {"batchEvents": {"maxSize": 2, "timeout": "60s"}}
    await api.register({**function("many", event="m", app="lot"), **batch}, app="lot")
    began_ms = api.clock.ms
    first = await api.send("m", n=1)
    api.clock.ms += 500
    await api.send("m", n=2)
    (run,) = api.deps.reader.runs_of_event(first)
    old = (await api.http.get(f"/v1/runs/{run.id}")).json()["data"]
    new = (await api.http.get(f"/v2/runs/{run.id}")).json()["data"]["trigger"]
    assert (old["batch_id"], new["batchId"], len(new["eventIds"])) == (run.batch, run.batch, 2)
    query = (
        "query ($id: String!, $old: ID!) { run(runID: $id) { isBatch batchCreatedAt }"
        " functionRun(query: {functionRunId: $old}) { batchID } runTrigger(runID: $id) { isBatch"
        " batchID payloads } }"
    )
    told = await asked(api, query, id=run.id, old=run.id)
    assert told["run"] == {"isBatch": True, "batchCreatedAt": format_instant(began_ms)}
    assert told["functionRun"] == {"batchID": run.batch}
    assert (told["runTrigger"]["isBatch"], len(told["runTrigger"]["payloads"])) == (True, 2)
