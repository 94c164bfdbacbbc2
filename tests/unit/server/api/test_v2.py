"""The REST API's second version: lists with all filters, order and cursors; apps and functions;
traces, invocations and events (server.md 6.4)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from stepwell.server.api.v2 import runs
from stepwell.server.api.v2.routes import ROUTES_V2
from stepwell.server.engine.message.input import AppRegistered, Broke, Returned
from stepwell.server.engine.row.run import AppRow, FunctionRow
from stepwell.server.query import search
from stepwell.wire.failure import Failure
from stepwell.wire.function_config import Code, FunctionConfig, encode_function
from stepwell.wire.identifier import app_uuid, function_uuid
from tests.unit.server.api.harness import NOW_MS, Api, function, serving, step
from tests.unit.server.api.test_runs import progressed

UNKNOWN = "01JQDAE4RQ0000000000000009"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        answer = await made.register(
            function("a", event="x", retries=0, description="Charges."), function("b", event="y")
        )
        assert answer.status_code == 200
        yield made


async def data(api: Api, path: str) -> Any:
    answer = await api.http.get(f"/v2{path}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["metadata"]["fetchedAt"].endswith("Z")
    return answer.json()["data"]


async def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    (error,) = answer.json()["errors"]
    return answer.status_code, error["code"], error["message"]


async def five_runs(api: Api) -> list[str]:
    """Five runs of `a`, a millisecond apart; the second completed, the fourth failed."""
    for n in range(5):
        api.clock.ms += 1
        await api.send("x", n=n)
    jobs = sorted(await api.jobs(), key=lambda job: job.run.queued_ms)
    api.clock.ms += 100
    await api.answer(jobs[3], Broke(Failure("E", "no"), b'{"name":"E","message":"no"}'))
    api.clock.ms += 1
    await api.answer(jobs[1], Returned(b'{"ok":1}'))
    return [job.run.id for job in jobs]


async def test_versions_of_a_function_newest_first(api: Api) -> None:
    api.clock.ms += 5
    await api.register(function("a", event="x", retries=0, description="Charges."))
    api.clock.ms += 5
    await api.register(function("a", event="x", retries=3))
    found = await data(api, "/apps/shop/functions/a/versions")
    assert [(one["version"], one["createdAt"]) for one in found] == [(2, at(10)), (1, at(0))]
    assert [one.get("description") for one in found] == [None, "Charges."]
    assert [one["configuration"]["retries"]["value"] for one in found] == [3, 0]
    assert found[0]["triggers"] == [{"type": "EVENT", "value": "x"}]
    # One that is served no longer is known, too.
    assert len(await data(api, f"/apps/shop/functions/{function_uuid('shop-b')}/versions")) == 1
    answer = await api.http.get("/v2/apps/shop/functions/none/versions")
    assert await refusal(answer) == (404, "not_found", "Function not found")


async def test_a_version_says_which_version_of_the_app_registered_it(api: Api) -> None:
    app = AppRow("jobs", "", "connect", "", "", "2.0.1", "one", NOW_MS)
    config = FunctionConfig(id="jobs-a", code=Code("7", "pin"))
    row = FunctionRow("jobs-a", "jobs", "a", encode_function(config), 1, NOW_MS)
    await api.ledger.submit(AppRegistered(app, (row,)))
    (told,) = await data(api, "/apps/jobs/functions/a/versions")
    said = (told["appVersion"], told["codeVersion"], told["onCodeChange"])
    assert said == ("2.0.1", "7", "pin")


def at(ms: int) -> str:
    return f"2025-03-28T02:48:57.{367 + ms}Z"


async def test_runs_in_either_order_by_any_time(api: Api) -> None:
    ids = await five_runs(api)

    async def told(query: str) -> list[int]:
        return [ids.index(run["id"]) for run in await data(api, f"/runs?{query}")]

    assert await told("") == [4, 3, 2, 1, 0]
    assert await told("order=ASC") == [0, 1, 2, 3, 4]
    assert await told("timeField=endedAt") == [1, 3]
    assert await told("timeField=endedAt&order=ASC") == [3, 1]
    assert sorted(await told("timeField=startedAt")) == [0, 1, 2, 3, 4]
    assert await told(f"from={at(2)}&until={at(4)}") == [2, 1]
    assert await told(f"timeField=endedAt&from={at(106)}") == [1]
    assert await told("status=FAILED&status=COMPLETED") == [3, 1]
    assert await told("status[]=RUNNING") == [4, 2, 0]
    assert await told("isDeferred=true") == []
    assert await told("isDeferred=false") == [4, 3, 2, 1, 0]
    assert await told("appId=shop&functionId=b") == []


async def test_how_often_a_run_was_tried_again_is_told_where_it_is_asked_for(api: Api) -> None:
    await api.send("y")
    (job,) = await api.jobs()
    await api.answer(job, Broke(Failure("E", "no"), b'{"name":"E","message":"no"}'))
    (plain,) = await data(api, "/runs")
    assert "retries" not in plain
    for query in ("", "&query=event.name == 'y'"):
        (told,) = await data(api, f"/runs?includeRetries=true{query}")
        assert told["retries"] == 1
    await api.send("x")
    (first,) = await data(api, "/runs?functionId=a&appId=shop&includeRetries=true")
    assert first["retries"] == 0


@pytest.mark.parametrize("query", ["", "&order=ASC", "&timeField=startedAt", "&appId=shop"])
async def test_cursors_lead_through_a_list_once(api: Api, query: str) -> None:
    ids = await five_runs(api)
    seen: list[str] = []
    path = f"/v2/runs?limit=2{query}"
    while True:
        page = (await api.http.get(path)).json()
        seen += [run["id"] for run in page["data"]]
        if not page["page"].get("hasMore"):
            break
        path = f"/v2/runs?limit=2{query}&cursor={page['page']['cursor']}"
    assert sorted(seen) == sorted(ids)
    assert "cursor" not in page["page"]


async def test_runs_of_one_function_and_of_one_event(api: Api) -> None:
    event_id = await api.send("y")
    await api.send("x")
    (run,) = await data(api, "/apps/shop/functions/b/runs")
    assert run["function"]["name"] == "shop-b"
    assert await data(api, f"/events/{event_id}/runs") == [run]
    lonely = await api.send("nobody listens")
    assert await data(api, f"/events/{lonely}/runs") == []
    unknown = await api.http.get(f"/v2/events/{UNKNOWN}/runs")
    assert await refusal(unknown) == (404, "not_found", "Event not found")
    bad = await api.http.get("/v2/events/x/runs")
    assert (await refusal(bad))[2] == "Event ID must be a valid ULID"


async def test_an_output_is_told_when_it_is_asked_for(api: Api) -> None:
    ids = await five_runs(api)
    listed = await data(api, "/runs?status=COMPLETED&includeOutput=true")
    assert [run["output"] for run in listed] == [{"ok": 1}]
    assert "output" not in (await data(api, "/runs?status=COMPLETED"))[0]
    assert (await data(api, f"/runs/{ids[1]}"))["output"] == {"ok": 1}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=0", "Invalid limit query parameter: '0'"),
        ("limit=many", "Invalid limit query parameter: 'many'"),
        ("limit=101", "Limit cannot exceed 100"),
        ("cursor=xyz", "Cursor is invalid"),
        ("order=up", "Invalid order query parameter: 'up'; write one of ASC, DESC"),
        ("timeField=bornAt", "Invalid timeField query parameter: 'bornAt'; write one of queuedAt"),
        ("isDeferred=maybe", "Invalid isDeferred query parameter"),
        ("from=2030-01-01T00:00:00Z&until=2030-01-01T00:00:00Z", "from must be before until"),
        ("functionId=a", "appId is required when filtering by functionId"),
        ("status=odd", "status 'odd' is unknown"),
    ],
)
async def test_a_filter_nobody_can_apply_is_refused(api: Api, query: str, said: str) -> None:
    answer = await api.http.get(f"/v2/runs?{query}")
    assert answer.status_code == 400
    assert said in answer.json()["errors"][0]["message"]


async def test_a_cursor_of_another_order_is_refused(api: Api) -> None:
    await five_runs(api)
    page = (await api.http.get("/v2/runs?limit=1")).json()["page"]
    other = await api.http.get(f"/v2/runs?timeField=endedAt&cursor={page['cursor']}")
    assert "it belongs to a list in another order" in other.json()["errors"][0]["message"]


async def test_the_trace_of_a_run(api: Api) -> None:
    await api.send("x")
    (job,) = await api.jobs()
    await api.answer(job, progressed(step("pay", 7)))
    api.clock.ms += 10
    (job,) = await api.jobs()
    wait = {**step("ok?", op="WaitForEvent"), "name": "shop/ok", "opts": {"timeout": "1d"}}
    await api.answer(job, progressed(wait))
    path = f"/runs/{job.run.id}/trace"
    told = await data(api, path)
    assert told["runId"] == job.run.id
    root = told["rootSpan"]
    assert (root["name"], root["status"]) == ("shop-a", "RUNNING")
    pay, waiting = root["children"]
    assert (pay["name"], pay["status"], pay["stepOp"], pay["stepId"]) == (
        "pay",
        "COMPLETED",
        "StepRun",
        "hash-pay",
    )
    assert (waiting["stepOp"], waiting["status"]) == ("WaitForEvent", "WAITING")
    assert "output" not in pay
    ids = {span["id"] for span in (root, pay, waiting)}
    assert len(ids) == 3
    assert all(len(id_) == 16 for id_ in ids)
    again = (await data(api, f"{path}?includeOutput=true"))["rootSpan"]
    assert again["children"][0]["output"] == {"data": 7}
    assert again["id"] == root["id"]
    unknown = await api.http.get(f"/v2/runs/{UNKNOWN}/trace")
    assert await refusal(unknown) == (404, "not_found", "Run not found")


async def test_the_arguments_of_a_step_are_told_and_may_be_others_in_a_rerun(api: Api) -> None:
    await api.send("x")
    (job,) = await api.jobs()
    given = {**step("pay", 7), "opts": {"input": [{"sum": 42}, "eur"]}}
    failed = {**step("send", op="StepFailed"), "error": {"message": "no"}, "opts": {"input": [1]}}
    await api.answer(job, progressed(given, failed, step("plain", 1)))
    path = f"/runs/{job.run.id}/trace"
    assert "input" not in str(await data(api, path))

    async def told(run_id: str) -> list[Any]:
        found = await data(api, f"/runs/{run_id}/trace?includeOutput=true")
        steps = [one for one in found["rootSpan"]["children"] if one.get("stepOp")]
        return [one.get("input") for one in steps]

    assert await told(job.run.id) == [[{"sum": 42}, "eur"], [1], None]
    timeline = (await api.http.get(f"/v1/runs/{job.run.id}/timeline")).json()["data"]
    assert timeline["children"][0]["input"] == [{"sum": 42}, "eur"]
    exported = (await api.http.get(f"/v2/runs/{job.run.id}/export")).json()
    assert [one.get("input") for one in exported["steps"]] == [[{"sum": 42}, "eur"], [1], None]
    body = {"fromStep": {"stepId": "send", "input": [2]}}
    again = await api.http.post(f"/v2/runs/{job.run.id}/rerun", json=body)
    new_id = again.json()["data"]["runId"]
    assert await told(new_id) == [[{"sum": 42}, "eur"]]
    (fresh,) = [one for one in await api.jobs() if one.run.id == new_id]
    assert fresh.run.edited == (("hash-send", "[2]"),)
    # An SDK says which arguments it took.
    await api.answer(fresh, progressed({**step("send", 1), "opts": {"input": [2]}}))
    assert await told(new_id) == [[{"sum": 42}, "eur"], [2]]


async def test_apps_and_their_functions(api: Api) -> None:
    app = await data(api, "/apps/shop")
    assert await data(api, f"/apps/{app_uuid('shop')}") == app
    assert await data(api, "/apps") == [app]
    assert (app["name"], app["method"], app["functionCount"]) == ("shop", "SERVE", 2)
    sync = app["latestSync"]
    assert (sync["framework"], sync["sdkLanguage"], sync["sdkVersion"]) == ("flask", "py", "0.5.19")
    listed = await data(api, "/apps/shop/functions")
    assert [one["slug"] for one in listed] == ["shop-a", "shop-b"]
    (one,) = [entry for entry in listed if entry["slug"] == "shop-a"]
    assert one["triggers"] == [{"type": "EVENT", "value": "x"}]
    assert one["configuration"] == {"retries": {"value": 0, "isDefault": False}}
    assert one["description"] == "Charges."
    assert "description" not in listed[1]
    for name in ("a", "shop-a", function_uuid("shop-a")):
        assert await data(api, f"/apps/shop/functions/{name}") == one
    assert await refusal(await api.http.get("/v2/apps/none")) == (404, "not_found", "App not found")
    gone = await api.http.get("/v2/apps/shop/functions/none")
    assert await refusal(gone) == (404, "not_found", "Function not found")


async def test_what_is_probably_a_mistake_of_a_function_is_told(api: Api) -> None:
    odd = {**function("a", event="x"), "priority": {"run": "'high'"}}
    await api.register(odd, function("b", event="x"))
    a, b = await data(api, "/apps/shop/functions")
    assert a["warnings"] == [
        """priority.run "'high'" gives a string, which counts as 0: give a number of seconds"""
    ]
    assert "warnings" not in b


async def test_what_an_app_serves_no_longer_is_archived(api: Api) -> None:
    await api.register(function("a", event="x", retries=0))
    assert [one["slug"] for one in await data(api, "/apps/shop/functions")] == ["shop-a"]
    (gone,) = await data(api, "/apps/shop/functions?archived=true")
    assert (gone["slug"], gone["isArchived"]) == ("shop-b", True)
    assert await data(api, "/apps?archived=true") == []
    await api.http.delete("/fn/remove?url=http://127.0.0.1:3000/api/inngest")
    assert await data(api, "/apps") == []
    (app,) = await data(api, "/apps?archived=true")
    assert (app["name"], app["isArchived"]) == ("shop", True)


async def test_apps_come_in_pages(api: Api) -> None:
    for name in ("one", "two"):
        await api.register(function("a", event="x", app=name), app=name)
    page = (await api.http.get("/v2/apps?limit=2")).json()
    assert [app["name"] for app in page["data"]] == ["one", "shop"]
    rest = (await api.http.get(f"/v2/apps?limit=2&cursor={page['page']['cursor']}")).json()
    assert [app["name"] for app in rest["data"]] == ["two"]
    assert rest["page"] == {"limit": 2}
    bad = await api.http.get("/v2/apps?cursor=x")
    assert "Cursor is invalid" in bad.json()["errors"][0]["message"]


async def test_an_invocation_counts_once_for_its_key(api: Api) -> None:
    path = "/v2/apps/shop/functions/b/invoke"
    body = {"data": {"n": 1}, "idempotencyKey": "order-1"}
    started = await api.http.post(path, json=body)
    assert started.status_code == 200, started.text
    run_id = started.json()["data"]["runId"]
    again = await api.http.post(path, json={**body, "data": {"n": 2}})
    assert (again.status_code, again.json()["data"]) == (409, {"runId": run_id})
    assert again.json()["errors"][0]["code"] == "idempotency_conflict"
    fresh = [(await api.http.post(path, json={"data": {}})).json()["data"] for _ in range(2)]
    assert len({run_id, *(one["runId"] for one in fresh)}) == 3
    api.clock.ms += 86_400_001
    later = await api.http.post(path, json=body)
    assert later.status_code == 200
    run = await data(api, f"/runs/{run_id}")
    event = (await api.http.get(f"/v1/events/{run['trigger']['eventIds'][0]}")).json()["data"]
    assert run["trigger"]["eventName"] == event["name"]
    assert (event["id"], event["data"]["n"]) == ("order-1", 1)


@pytest.mark.parametrize(
    ("config", "code", "said"),
    [
        ({"rateLimit": {"limit": 1, "period": "1h"}}, "rate_limited", "is rate limited"),
        ({"singleton": {"mode": "skip"}}, "function_skipped", "a run of its singleton"),
        ({"debounce": {"period": "1h"}}, "function_debounced", "has put its run off"),
        (
            {"batchEvents": {"maxSize": 10, "timeout": "60s"}},
            "function_debounced",
            "has put its run off",
        ),
    ],
    ids=str,
)
async def test_an_invocation_that_flow_control_starts_no_run_for(
    api: Api, config: dict[str, Any], code: str, said: str
) -> None:
    await api.register(function("c", event="z", **config))
    path = "/v2/apps/shop/functions/c/invoke"
    answers = [await api.http.post(path, json={"data": {}}) for _ in range(2)]
    status, told, message = await refusal(answers[1])
    assert (status, told) == (422, code)
    assert said in message
    event_id = answers[1].json()["data"]["eventId"]
    assert (await api.http.get(f"/v1/events/{event_id}")).status_code == 200


async def test_two_invocations_at_once_with_one_key_are_one_run(api: Api) -> None:
    body = {"data": {}, "idempotencyKey": "k"}
    path = "/v2/apps/shop/functions/b/invoke"
    both = await asyncio.gather(*(api.http.post(path, json=body) for _ in range(2)))
    assert sorted(answer.status_code for answer in both) == [200, 409]
    assert len({answer.json()["data"]["runId"] for answer in both}) == 1


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({}, "missing_field", "missing required field `data`"),
        ({"data": 5}, "invalid_field_format", 'event field "data" must be a JSON object'),
        ({"data": {}, "key": "k"}, "invalid_field_format", "field 'key' is not known here"),
        ({"data": {}, "idempotencyKey": 5}, "invalid_field_format", "Expected `str`, got `int`"),
    ],
    ids=str,
)
async def test_an_invocation_nobody_can_start(api: Api, body: Any, code: str, said: str) -> None:
    answer = await api.http.post("/v2/apps/shop/functions/b/invoke", json=body)
    status, told, message = await refusal(answer)
    assert (status, told) == (400, code)
    assert said in message
    unknown = await api.http.post("/v2/apps/shop/functions/none/invoke", json={"data": {}})
    assert await refusal(unknown) == (404, "not_found", "Function not found")


async def test_an_event_is_sent(api: Api) -> None:
    sent = await api.http.post("/v2/events", json={"name": "y", "data": {"n": 1}, "id": "mine"})
    event_id = sent.json()["data"]["eventId"]
    event = (await api.http.get(f"/v1/events/{event_id}")).json()["data"]
    assert (event["name"], event["data"], event["id"], event["ts"]) == (
        "y",
        {"n": 1},
        "mine",
        NOW_MS,
    )
    assert len(await data(api, f"/events/{event_id}/runs")) == 1


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({}, "missing_field", "Event name is required"),
        ({"name": "n" * 513}, "invalid_field_format", "Event name is over 512 bytes"),
        ({"name": "inngest/x"}, "invalid_field_format", "reserved for internal use"),
        ({"name": "x", "data": []}, "invalid_field_format", "must be a JSON object"),
        ({"name": "x", "colour": 1}, "invalid_field_format", "field 'colour' is not known here"),
        ({"name": "x", "ts": "now"}, "invalid_field_format", "Expected `int"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_an_event_is_judged(api: Api, body: Any, code: str, said: str) -> None:
    status, told, message = await refusal(await api.http.post("/v2/events", json=body))
    assert (status, told) == (400, code)
    assert said in message


async def test_what_is_not_there_is_told_in_the_shape_of_v2(api: Api) -> None:
    nothing = await api.http.get("/v2/nothing")
    assert await refusal(nothing) == (404, "not_found", "there is nothing at /v2/nothing")
    wrong = await api.http.delete("/api/v2/runs")
    assert (await refusal(wrong))[0] == 405
    assert msgspec.json.decode(wrong.content)["errors"]


async def test_runs_are_found_by_what_they_hold(api: Api) -> None:
    ids = await five_runs(api)

    async def found(**query: str) -> list[int]:
        answer = await api.http.get("/v2/runs", params=query)
        assert answer.status_code == 200, answer.text
        assert "partial" not in answer.json()["page"]
        return [ids.index(run["id"]) for run in answer.json()["data"]]

    assert await found(query="event.data.n >= 3") == [4, 3]
    assert await found(query="event.data.n >= 1\nevent.data.n < 3", order="ASC") == [1, 2]
    assert await found(query="output.ok == 1") == [1]
    assert await found(query='error.message == "no"', status="FAILED") == [3]
    assert await found(query='error.message == "no"', status="COMPLETED") == []
    assert await found(query="event.data.absent == 1") == []
    first = await api.http.get("/v2/runs", params={"query": "event.data.n < 3", "limit": "2"})
    cursor = first.json()["page"]["cursor"]
    assert await found(query="event.data.n < 3", cursor=cursor) == [0]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("event.data.n ==", "query: "),
        ("async.data.n == 1", "undeclared reference to 'async': use event, output or error"),
        ("nothing(event)", "query: "),
        ("true) || (true", "query: "),
        ("e" * 5000, "at most 4096 are allowed"),
    ],
)
@pytest.mark.parametrize("path", ["/v2/runs", "/v2/events"])
async def test_an_expression_nobody_can_read_is_refused(
    api: Api, path: str, query: str, said: str
) -> None:
    answer = await api.http.get(path, params={"query": query})
    assert answer.status_code == 400
    assert said in answer.json()["errors"][0]["message"]


async def test_events_are_found_by_what_they_hold(api: Api) -> None:
    await five_runs(api)
    answer = await api.http.get("/v2/events", params={"query": "event.data.n > 2", "limit": "1"})
    assert answer.json()["page"]["hasMore"] is True
    cursor = answer.json()["page"]["cursor"]
    query = {"query": "event.data.n > 2", "cursor": cursor, "includeData": "true"}
    rest = await api.http.get("/v2/events", params=query)
    assert [one["data"]["n"] for one in rest.json()["data"]] == [3]


async def test_a_search_that_takes_too_long_tells_what_it_has(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PAGE", 2)
    monkeypatch.setattr(runs, "until_late", lambda: lambda: False)
    ids = await five_runs(api)
    seen: list[int] = []
    path, pages = "/v2/runs?query=event.data.n != 3", 0
    while path:
        answer = (await api.http.get(path)).json()
        seen += [ids.index(run["id"]) for run in answer["data"]]
        pages += 1
        cursor = answer["page"].get("cursor")
        assert answer["page"].get("partial", False) == bool(cursor)
        path = f"/v2/runs?query=event.data.n != 3&cursor={cursor}" if cursor else ""
    assert (seen, pages) == ([4, 2, 1, 0], 3)


LISTS = {
    one.name: one for one in ROUTES_V2 if one.method == "GET" and one.answers and one.answers.many
}


@pytest.mark.parametrize("name", LISTS)
def test_every_list_comes_in_pages(name: str) -> None:
    assert {"limit", "cursor"} <= {one.name for one in LISTS[name].takes.parameters}


async def test_a_list_that_is_told_whole_can_be_asked_for_in_pages() -> None:
    async with serving() as api:
        whole = (await api.http.get("/v2/operations")).json()
        assert (len(whole["data"]), whole["page"].get("hasMore")) == (len(ROUTES_V2), None)
        found: list[object] = []
        cursor = ""
        while len(found) < len(ROUTES_V2):
            page = (await api.http.get(f"/v2/operations?limit=40&cursor={cursor}")).json()
            found += page["data"]
            cursor = page["page"].get("cursor", "")
        assert (found, cursor) == (whole["data"], "")
        refused = await api.http.get("/v2/operations?cursor=x")
        assert (refused.status_code, "Cursor is invalid" in refused.text) == (400, True)
