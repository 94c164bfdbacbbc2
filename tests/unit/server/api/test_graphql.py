"""GraphQL as the helpers and dashboards of the official server ask it (server.md 6.6)."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from stepwell.server.engine.message.input import Broke, Returned
from stepwell.wire.failure import Failure
from stepwell.wire.identifier import app_uuid, function_uuid
from tests.unit.server.api.harness import BEARER, KEYS, Api, function, serving, step
from tests.unit.server.api.test_access import key_of
from tests.unit.server.api.test_runs import progressed

UNKNOWN = "01JQDAE4RQ0000000000000009"
PAST = "2020-01-01T00:00:00Z"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        limited = {"concurrency": [{"limit": 3}], "throttle": {"limit": 1, "period": "5s"}}
        cron = {"triggers": [{"cron": "0 9 * * *"}]}
        await made.register(
            function("a", event="x", retries=2, **limited), {**function("b"), **cron}
        )
        yield made


async def asked(api: Api, query: str, **variables: Any) -> Any:
    """The data of an answer without errors."""
    body = {"query": query, "variables": variables}
    answer = await api.http.post("/v0/gql", json=body)
    told = answer.json()
    assert (answer.status_code, told.get("errors")) == (200, None), told
    return told["data"]


async def refused(api: Api, query: str, headers: Any = None, **variables: Any) -> tuple[int, Any]:
    body = {"query": query, "variables": variables}
    answer = await api.http.post("/v0/gql", json=body, headers=headers)
    return answer.status_code, answer.json()


async def finished(api: Api) -> tuple[str, str]:
    """A run with a step that failed once, a sleep and a step with arguments; and its event."""
    event_id = await api.send("x", n=1)
    (job,) = await api.jobs()
    broken = {**step("pay", op="StepError"), "error": {"name": "E", "message": "no"}}
    await api.answer(job, progressed(broken))
    api.clock.ms += 60_000
    (job,) = await api.jobs()
    await api.answer(job, progressed({**step("pay", {"sum": 7}), "opts": {"input": [7]}}))
    (job,) = await api.jobs()
    nap = {**step("nap", op="Sleep"), "opts": {"duration": "1s"}}
    await api.answer(job, progressed(nap))
    api.clock.ms += 2_000
    assert await api.jobs() == []
    (job,) = await api.jobs()
    await api.answer(job, Returned(b'{"ok":true}'))
    return event_id, job.run.id


async def test_what_the_helpers_of_the_python_sdk_ask(api: Api) -> None:
    event_id, run_id = await finished(api)
    found = await asked(
        api,
        "query ($id: ID!) { event(query: {eventId: $id}) { functionRuns { id } status } }",
        id=event_id,
    )
    assert found["event"] == {"functionRuns": [{"id": run_id}], "status": "COMPLETED"}
    found = await asked(
        api,
        "query ($id: String!) { run(runID: $id) { output status } runTrigger(runID: $id)"
        " { payloads } }",
        id=run_id,
    )
    assert found["run"] == {"output": '{"ok":true}', "status": "COMPLETED"}
    payload = msgspec.json.decode(found["runTrigger"]["payloads"][0])
    assert (payload["name"], payload["data"], payload["v"]) == ("x", {"n": 1}, None)
    found = await asked(
        api,
        "query ($id: String!) { run(runID: $id) { trace { name childrenSpans { name outputID"
        " childrenSpans { name status } attempts } } } }",
        id=run_id,
    )
    trace = found["run"]["trace"]
    assert trace["name"] == "shop-a"
    names = [one["name"] for one in trace["childrenSpans"]]
    assert names == ["pay", "nap", "function success"]
    pay, nap, end = trace["childrenSpans"]
    assert pay["childrenSpans"] == [
        {"name": "Attempt 0", "status": "FAILED"},
        {"name": "Attempt 1", "status": "COMPLETED"},
    ]
    assert (pay["attempts"], nap["outputID"]) == (2, None)
    question = (
        "query ($id: String!) { runTraceSpanOutputByID(outputID: $id)"
        " { input data error { message name stack } } }"
    )
    found = await asked(api, question, id=pay["outputID"])
    told = {"input": "[7]", "data": '{"sum":7}', "error": None}
    assert found["runTraceSpanOutputByID"] == told
    found = await asked(api, question, id=end["outputID"])
    assert found["runTraceSpanOutputByID"]["data"] == '{"ok":true}'


async def test_the_other_shape_of_a_trace(api: Api) -> None:
    _, run_id = await finished(api)
    found = await asked(
        api,
        "query ($id: String!) { runTrace(runID: $id) { name isRoot spanID childrenSpans { name"
        " stepOp stepType stepID parentSpanID stepInfo { __typename ... on SleepStepInfo {"
        " sleepUntil } } run { id } } } }",
        id=run_id,
    )
    root = found["runTrace"]
    assert (root["name"], root["isRoot"]) == ("Run", True)
    pay, nap, end = root["childrenSpans"]
    assert (pay["stepOp"], pay["stepType"], pay["stepID"]) == ("RUN", "RUN", "hash-pay")
    assert pay["parentSpanID"] == root["spanID"]
    assert nap["stepInfo"]["__typename"] == "SleepStepInfo"
    assert nap["stepInfo"]["sleepUntil"].startswith("2025-")
    assert (end["name"], end["stepType"]) == ("Finalization", "FINALIZATION")
    assert end["run"]["id"] == run_id


async def test_an_error_is_told_in_its_parts(api: Api) -> None:
    await api.send("x")
    (job,) = await api.jobs()
    output = b'{"name":"E","message":"no","stack":"at x","cause":{"message":"deep"}}'
    await api.answer(job, Broke(Failure("E", "no"), output, no_retry=True))
    found = await asked(
        api,
        "query ($id: String!) { run(runID: $id) { status trace { childrenSpans { name outputID"
        " } } } }",
        id=job.run.id,
    )
    assert found["run"]["status"] == "FAILED"
    end = found["run"]["trace"]["childrenSpans"][-1]
    assert end["name"] == "function error"
    found = await asked(
        api,
        "query ($id: String!) { runTraceSpanOutputByID(outputID: $id) { data error { message name"
        " stack cause } } }",
        id=end["outputID"],
    )
    error = {"message": "no", "name": "E", "stack": "at x", "cause": {"message": "deep"}}
    assert found["runTraceSpanOutputByID"] == {"data": None, "error": error}


async def test_apps_and_functions(api: Api) -> None:
    found = await asked(
        api,
        "query ($id: UUID!) { apps { id externalID name url method connected functionCount checksum"
        " functions { slug app { name } } } app(id: $id) { sdkLanguage error } functions { id name"
        " triggers { type value condition } concurrency configuration { retries { value isDefault }"
        " concurrency { scope limit { value } } throttle { burst limit period } cancellations {"
        " event } singleton { mode } } failureHandler { id } url } }",
        id=app_uuid("shop"),
    )
    (app,) = found["apps"]
    assert (app["id"], app["externalID"], app["method"]) == (app_uuid("shop"), "shop", "SERVE")
    assert (app["connected"], app["functionCount"]) == (True, 2)
    assert [one["slug"] for one in app["functions"]] == ["shop-a", "shop-b"]
    assert found["app"] == {"sdkLanguage": "py", "error": None}
    a, b = found["functions"]
    assert a["triggers"] == [{"type": "EVENT", "value": "x", "condition": None}]
    assert b["triggers"][0]["type"] == "CRON"
    assert a["configuration"] == {
        "retries": {"value": 2, "isDefault": False},
        "concurrency": [{"scope": "FUNCTION", "limit": {"value": 3}}],
        "throttle": {"burst": 1, "limit": 1, "period": "5s"},
        "cancellations": [],
        "singleton": None,
    }
    assert (a["concurrency"], a["failureHandler"]) == (3, None)
    assert a["url"] == "http://127.0.0.1:3000/api/inngest"
    gone = await asked(api, '{ functionBySlug(query: {functionSlug: "no"}) { id } }')
    assert gone == {"functionBySlug": None}
    none = await asked(api, "{ apps(filter: {method: CONNECT}) { id } }")
    assert none == {"apps": []}


RUNS = (
    "query ($after: String, $filter: RunsFilterV2!, $order: [RunsV2OrderBy!]!) { runs(first: 2,"
    " after: $after, orderBy: $order, filter: $filter) { edges { node { id status eventName app {"
    " name } } cursor } pageInfo { hasNextPage endCursor } totalCount } }"
)


async def test_runs_are_paged_filtered_and_counted(api: Api) -> None:
    for n in range(3):
        api.clock.ms += 1
        await api.send("x", n=n)
    api.clock.ms += 1
    order = [{"field": "QUEUED_AT", "direction": "ASC"}]

    async def page(after: str | None = None, **wanted: Any) -> Any:
        filter_ = {"from": PAST, **wanted}
        return (await asked(api, RUNS, after=after, filter=filter_, order=order))["runs"]

    first = await page()
    assert (len(first["edges"]), first["totalCount"]) == (2, 3)
    assert first["pageInfo"]["hasNextPage"]
    assert first["edges"][0]["node"]["eventName"] == "x"
    assert first["edges"][0]["node"]["app"] == {"name": "shop"}
    second = await page(first["pageInfo"]["endCursor"])
    assert (len(second["edges"]), second["pageInfo"]["hasNextPage"]) == (1, False)
    ids = {edge["node"]["id"] for one in (first, second) for edge in one["edges"]}
    assert len(ids) == 3
    # A cursor is that of its own edge.
    again = await page(first["edges"][0]["cursor"])
    assert again["edges"][0]["node"] == first["edges"][1]["node"]
    one = await page(query="event.data.n == 1")
    assert (len(one["edges"]), one["totalCount"]) == (1, 1)
    of_a = await page(functionIDs=[function_uuid("shop-a")])
    assert of_a["totalCount"] == 3
    assert (await page(functionIDs=[app_uuid("nothing")]))["totalCount"] == 0
    assert (await page(status=["SKIPPED"]))["totalCount"] == 3
    assert (await page(status=["COMPLETED", "SKIPPED"]))["totalCount"] == 0
    assert (await page(isDeferred=True))["totalCount"] == 0


async def test_more_runs_may_be_asked_for_than_a_page_of_the_rest_api_has(api: Api) -> None:
    for n in range(130):
        await api.send("x", n=n)
    query = (
        "query ($first: Int!, $filter: RunsFilterV2!) { runs(first: $first, orderBy: [], filter:"
        " $filter) { edges { node { id } } pageInfo { hasNextPage } } }"
    )
    for first, length, more in [(120, 120, True), (130, 130, False), (399, 130, False)]:
        told = (await asked(api, query, first=first, filter={"from": PAST}))["runs"]
        assert len({edge["node"]["id"] for edge in told["edges"]}) == length
        assert told["pageInfo"]["hasNextPage"] == more
    told = (await asked(api, query, first=400, filter={"from": PAST}))["runs"]
    assert len(told["edges"]) == 40


async def test_events_are_paged_and_told_with_their_runs(api: Api) -> None:
    ids = []
    for n in range(3):
        api.clock.ms += 1
        ids.append(await api.send("x" if n else "y", n=n))
    question = (
        "query ($after: String, $filter: EventsFilter!) { eventsV2(first: 2, after: $after, filter:"
        " $filter) { edges { node { id raw runs { functionID } } } pageInfo { endCursor hasNextPage"
        " hasPreviousPage } } }"
    )
    first = (await asked(api, question, filter={"from": PAST}))["eventsV2"]
    assert [one["node"]["id"] for one in first["edges"]] == ids[:0:-1]
    node = first["edges"][0]["node"]
    assert node["runs"] == [{"functionID": function_uuid("shop-a")}]
    raw = msgspec.json.decode(node["raw"])
    assert (sorted(raw), raw["data"]) == (["data", "id", "name", "ts", "v"], {"n": 2})
    after = first["pageInfo"]["endCursor"]
    second = (await asked(api, question, after=after, filter={"from": PAST}))["eventsV2"]
    assert [one["node"]["id"] for one in second["edges"]] == ids[:1]
    assert second["pageInfo"]["hasPreviousPage"]
    named = {"from": PAST, "eventNames": ["y", "z"], "query": "event.data.n == 0"}
    one = (await asked(api, question, filter=named))["eventsV2"]
    assert [edge["node"]["id"] for edge in one["edges"]] == ids[:1]
    stream = await asked(api, "{ stream(query: {limit: 1}) { trigger type runs { status } } }")
    assert stream["stream"] == [{"trigger": "x", "type": "EVENT", "runs": [{"status": "QUEUED"}]}]


async def test_a_run_is_cancelled_started_and_run_again(api: Api) -> None:
    started = await asked(api, 'mutation { invokeFunction(functionSlug: "shop-b", data: {n: 1}) }')
    assert started == {"invokeFunction": True}
    (job,) = await api.jobs()
    await api.answer(job, progressed(step("pay", 1)))
    run_id = job.run.id
    cancelled = await asked(
        api, "mutation ($id: ULID!) { cancelRun(runID: $id) { status } }", id=run_id
    )
    assert cancelled["cancelRun"] == {"status": "CANCELLED"}
    again = await asked(
        api,
        'mutation ($id: ULID!) { rerun(runID: $id, fromStep: {stepID: "pay", input: "[5]"}) }',
        id=run_id,
    )
    fresh = api.deps.reader.run(again["rerun"])
    assert fresh is not None
    assert fresh.edited == (("hash-pay", "[5]"),)
    # Whoever cancels it again is told of it, as the official server tells it.
    twice = await asked(api, f'mutation {{ cancelRun(runID: "{run_id}") {{ status }} }}')
    assert twice == cancelled
    (job,) = await api.jobs()
    await api.answer(job, Returned(b"1"))
    status, told = await refused(api, f'mutation {{ cancelRun(runID: "{fresh.id}") {{ id }} }}')
    assert (status, told["data"]) == (200, None)
    assert told["errors"][0]["message"] == "Cannot cancel an ended run"
    assert told["errors"][0]["extensions"] == {"code": "run_already_ended", "status": 409}
    status, told = await refused(
        api, f'mutation {{ rerun(runID: "{run_id}", fromStep: {{stepID: "pay", input: "5"}}) }}'
    )
    assert "write a JSON array" in told["errors"][0]["message"]
    status, told = await refused(api, 'mutation { invokeFunction(functionSlug: "no") }')
    assert (status, told["data"]) == (200, {"invokeFunction": None})
    assert told["errors"][0]["message"] == "Function not found: 'no'"


async def test_what_is_not_there_is_null_with_an_error(api: Api) -> None:
    status, told = await refused(api, f'{{ run(runID: "{UNKNOWN}") {{ id }} }}')
    assert (status, told["data"]) == (200, {"run": None})
    assert told["errors"][0]["message"] == "Run not found"
    assert told["errors"][0]["path"] == ["run"]
    _, told = await refused(api, '{ runTraceSpanOutputByID(outputID: "x") { data } }')
    assert "is none that a trace told" in told["errors"][0]["message"]


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("{ apps { nothing } }", "GRAPHQL_VALIDATION_FAILED", "Cannot query field 'nothing'"),
        ("{ apps {", "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ("{ functions { app " * 14 + "{ id }" + " } }" * 14, "GRAPHQL_TOO_LARGE", "levels deep"),
        (
            'query { runs(first: 100, orderBy: [], filter: {from: "2020-01-01T00:00:00Z"}) { edges'
            " {"
            " node { app { functions { app { functions { id name slug } } } } trace {"
            + " ".join(f"f{n}: name" for n in range(200))
            + " } } } } }",
            "GRAPHQL_TOO_LARGE",
            "over 20000 fields",
        ),
        ("{ " + "a " * 10_000 + "}", "GRAPHQL_PARSE_FAILED", "tokens"),
    ],
)
async def test_a_question_that_is_none_or_too_large(
    api: Api, query: str, code: str, said: str
) -> None:
    status, told = await refused(api, query)
    assert (status, told["data"]) == (422, None)
    assert told["errors"][0]["extensions"] == {"code": code}
    assert said in told["errors"][0]["message"]


async def test_a_body_that_is_no_question(api: Api) -> None:
    answer = await api.http.post("/v0/gql", content=b"{")
    assert answer.status_code == 400
    answer = await api.http.post("/v0/gql", json={"variables": {}})
    assert "missing required field `query`" in answer.json()["error"]


async def test_the_schema_tells_itself(api: Api) -> None:
    from graphql import get_introspection_query

    told = await asked(api, get_introspection_query())
    assert told["__schema"]["queryType"]["name"] == "Query"


async def test_a_key_that_may_read_may_not_change_and_changes_are_written_down() -> None:
    async with serving(KEYS) as api:
        answer = await api.http.post("/v0/gql", json={"query": "{ apps { id } }"})
        assert answer.status_code == 401
        _, reader = await key_of(api, "read")
        _, operator = await key_of(api, "operate", "ann")
        status, told = await refused(api, "{ apps { id } }", reader)
        assert (status, told["data"]) == (200, {"apps": []})
        change = f'mutation {{ cancelRun(runID: "{UNKNOWN}") {{ id }} }}'
        _, told = await refused(api, change, reader)
        assert told["errors"][0]["extensions"] == {"code": "access_denied", "status": 403}
        _, told = await refused(api, change, operator)
        assert told["errors"][0]["message"] == "Run not found"
        (entry,) = [
            one
            for one in (await api.http.get("/v2/audit", headers=BEARER)).json()["data"]
            if one["by"] == "ann"
        ]
        assert (entry["operation"], entry["refused"]) == ("cancel_run", 404)
