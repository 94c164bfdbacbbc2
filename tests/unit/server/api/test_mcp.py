"""The operations of the REST API as tools: message by message, and by the official client."""

import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from stepwell.server.api.app import api_app
from stepwell.server.api.inside import Inside
from stepwell.server.api.mcp.known import KNOWN
from stepwell.server.api.mcp.tools import WrongArguments, sorted_out, tools_of
from stepwell.server.api.v2.routes import described
from stepwell.server.engine.message.input import Returned
from tests.unit.server.api.harness import BEARER, KEYS, Api, function, serving
from tests.unit.server.api.test_access import key_of

TOOLS = tools_of(described())
ABOUT_PAGES = {"list_docs", "grep_docs", "read_doc"}
"""Tools that look into the documentation ask no operation."""
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


async def said(api: Api, method: str, headers: Any = None, /, **params: Any) -> Any:
    """The result of a message of the protocol."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = await api.http.post("/mcp", json=body, headers={**HEADERS, **(headers or {})})
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


async def called(api: Api, name: str, headers: Any = None, /, **arguments: Any) -> Any:
    return await said(api, "tools/call", headers, name=name, arguments=arguments)


def test_every_operation_but_streams_is_a_tool_with_a_schema_of_its_own() -> None:
    assert {"send_event", "invoke_function", "get_run", "explain_run", "rerun"} <= set(TOOLS)
    assert "stream_changes" not in TOOLS
    for tool in TOOLS.values():
        assert tool.description
        assert "#/components/" not in str(tool.schema)
        assert set(tool.needed) <= set(tool.schema["properties"])
    assert TOOLS["invoke_function"].needed == ("appId", "functionId", "data")
    assert TOOLS["list_runs"].reads
    assert not TOOLS["cancel_run"].reads


def test_arguments_go_where_the_operation_reads_them() -> None:
    given = {"appId": "shop", "functionId": "a", "data": {"n": 1}}
    path, query, body = sorted_out(TOOLS["invoke_function"], given)
    assert (path, query, body) == (
        {"app_id": "shop", "function_id": "a"},
        {},
        {"data": {"n": 1}},
    )
    path, query, body = sorted_out(TOOLS["list_runs"], {"status": ["FAILED"], "limit": 5})
    assert (path, query, body) == ({}, {"status": ["FAILED"], "limit": 5}, None)
    scores = [{"name": "x", "value": 1}]
    assert sorted_out(TOOLS["create_scores"], {"runId": "R", "items": scores})[2] == scores
    with pytest.raises(WrongArguments, match="'runId' is needed"):
        sorted_out(TOOLS["get_run"], {})
    with pytest.raises(WrongArguments, match="'nothing' is not known here: use runId"):
        sorted_out(TOOLS["get_run"], {"runId": "R", "nothing": 1})


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        await made.register(function("a", event="x"))
        yield made


async def test_a_conversation(api: Api) -> None:
    client = {"name": "test", "version": "1"}
    told = await said(
        api, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client
    )
    assert told["serverInfo"]["name"] == "stepwell"
    assert "tools" in told["capabilities"]
    listed = (await said(api, "tools/list"))["tools"]
    assert {one["name"] for one in listed} == {*TOOLS, *KNOWN}
    invoked = await called(api, "invoke_function", appId="shop", functionId="a", data={"n": 1})
    assert not invoked.get("isError")
    run_id = invoked["structuredContent"]["data"]["runId"]
    (job,) = await api.jobs()
    await api.answer(job, Returned(b'{"ok":true}'))
    run = await called(api, "get_run", runId=run_id, wait=20)
    assert run["structuredContent"]["data"]["output"] == {"ok": True}
    assert '"ok": true' in run["content"][0]["text"]


OFFICIAL = {
    "send_event",
    "invoke_function_sync",
    "get_run_status",
    "poll_run_status",
    "invoke_function",
    "list_runs",
    "list_function_runs",
    "get_run",
    "get_run_trace",
    "get_event_runs",
    "cancel_run",
    "rerun",
    "get_apps",
    "get_app",
    "list_functions",
    "get_function",
    "health",
    "list_docs",
    "grep_docs",
    "read_doc",
}
"""What agents know from the official server."""


def test_every_tool_of_the_official_server_is_one() -> None:
    assert {*TOOLS, *KNOWN} >= OFFICIAL
    assert not {*TOOLS} & {*KNOWN}
    for name, one in KNOWN.items():
        assert one.spec.description, name
        assert set(one.spec.schema["required"]) <= set(one.spec.schema["properties"])


async def test_tools_that_wait_for_runs(api: Api) -> None:
    assert (await called(api, "health"))["structuredContent"] == {"data": {"status": "ok"}}
    given = {"functionId": "shop-a", "data": {"n": 1}, "user": {"id": 7}}
    late = await called(api, "invoke_function_sync", timeout=0, **given)
    run = late["structuredContent"]["data"]
    assert run["status"] == "QUEUED"
    polled = await called(api, "poll_run_status", runIds=[run["id"]], timeout=0)
    assert not polled["structuredContent"]["allEnded"]
    (job,) = await api.jobs()
    await api.answer(job, Returned(b'{"ok":true}'))
    polled = await called(api, "poll_run_status", runIds=[run["id"], run["id"]], timeout=9)
    assert polled["structuredContent"]["allEnded"]
    told = await called(api, "get_run_status", runId=run["id"])
    assert told["structuredContent"]["data"]["output"] == {"ok": True}


async def test_tools_that_look_into_the_documentation(api: Api) -> None:
    pages = (await called(api, "list_docs"))["structuredContent"]["data"]
    paths = [one["path"] for one in pages]
    assert "guides/cron.md" in paths
    assert not [path for path in paths if path.startswith("decisions")]
    assert all(one["title"] for one in pages)
    found = await called(api, "grep_docs", pattern="Step.RUN", limit=3)
    hits = found["structuredContent"]["data"]
    assert len(hits) == 3
    assert all("step.run" in hit["text"].lower() for hit in hits)
    assert {hit["path"] for hit in hits} <= set(paths)
    none = await called(api, "grep_docs", pattern="(a+)+$ nowhere")
    assert none["structuredContent"]["data"] == []
    for path in ("guides/cron.md", "guides/cron"):
        page = await called(api, "read_doc", path=path)
        assert page["structuredContent"]["data"]["text"].startswith("# ")
    for path in ("../pyproject.toml", "decisions/018-exact-numbers.md", "/etc/passwd"):
        assert (
            "there is no page" in (await called(api, "read_doc", path=path))["content"][0]["text"]
        )


async def test_what_goes_wrong_is_told_to_who_called(api: Api) -> None:
    for name, arguments, words in (
        ("get_run", {"runId": "01JQDAE4RQ0000000000000009"}, "Run not found"),
        ("get_run", {}, "get_run: 'runId' is needed"),
        ("send_event", {"name": ""}, "missing_field: Event name is required"),
        ("nothing", {}, "there is no tool 'nothing'"),
        ("read_doc", {}, "read_doc: Object missing required field `path`"),
        ("read_doc", {"path": "x", "odd": 1}, "unknown field `odd`"),
        ("grep_docs", {"pattern": ""}, "'pattern' must have 1 to 200 characters"),
        ("poll_run_status", {"runIds": []}, "give 1 to 20"),
        ("poll_run_status", {"runIds": ["x"], "timeout": 600}, "give 0 to 60 seconds"),
        ("invoke_function_sync", {"functionId": "no"}, "Function not found: 'no'"),
    ):
        told = await called(api, name, **arguments)
        assert told["isError"]
        assert words in told["content"][0]["text"]


async def test_a_tool_takes_the_role_of_its_operation() -> None:
    async with serving(KEYS) as api:
        await api.http.post("/fn/register", json={}, headers=BEARER)
        stranger = await api.http.post("/mcp", json={}, headers=HEADERS)
        assert stranger.status_code == 401
        _, reader = await key_of(api, "read")
        assert "structuredContent" in await called(api, "list_runs", reader)
        refused = await called(api, "send_event", reader, name="x", data={})
        assert refused["isError"]
        assert "access_denied: the key 'may read' may not do this" in refused["content"][0]["text"]
        sync = await called(api, "invoke_function_sync", reader, functionId="x")
        assert sync["isError"]
        _, operator = await key_of(api, "operate")
        assert not (await called(api, "send_event", operator, name="x", data={})).get("isError")


async def test_without_the_extra_it_is_said_what_to_install(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "stepwell.server.api.mcp.server", None)
    answer = await api.http.post("/mcp", json={}, headers=HEADERS)
    assert (answer.status_code, "stepwell[mcp]" in answer.json()["error"]) == (503, True)


async def test_the_official_client(api: Api) -> None:
    async with (
        httpx2.AsyncClient(transport=httpx2.ASGITransport(api_app(api.deps))) as http,
        streamable_http_client("http://test/mcp", http_client=http) as streams,
        ClientSession(*streams[:2]) as session,
    ):
        await session.initialize()
        assert {tool.name for tool in (await session.list_tools()).tools} == {*TOOLS, *KNOWN}
        sent = await session.call_tool("send_event", {"name": "x", "data": {"n": 2**53 + 1}})
        assert not sent.is_error, sent
        assert len(await api.jobs()) == 1
        wrong = await session.call_tool("get_run", {"runId": "none"})
        assert wrong.is_error


@pytest.mark.parametrize("name", KNOWN)
async def test_the_catalogue_names_every_tool_with_the_operation_it_asks(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def recorded(inside: Inside, operation: str, *_: object, **__: object) -> Any:
        asked.append(operation)
        return {"data": {"runId": "R", "status": "COMPLETED"}}

    monkeypatch.setattr(Inside, "ask", recorded)
    given = {"functionId": "shop-order", "runId": "R", "runIds": ["R"], "pattern": "retry"}
    given["path"] = "README.md"
    async with serving() as api:
        await api.register(function("order", event="order"))
        needed = KNOWN[name].spec.needed
        await called(api, name, **{one: given[one] for one in needed})
        monkeypatch.undo()
        listed = (await api.http.get("/v2/operations")).json()["data"]
    said = {one["id"] for one in listed if name in one["tools"]}
    if name in ABOUT_PAGES:
        assert (said, asked) == (set(), [])
    else:
        assert len(said) == 1
        assert said <= set(asked)


async def test_the_catalogue_names_each_tool_once() -> None:
    async with serving() as api:
        listed = (await api.http.get("/v2/operations")).json()["data"]
        tools = [tool["name"] for tool in (await said(api, "tools/list"))["tools"]]
    told = [name for one in listed for name in one["tools"]]
    assert sorted(told) == sorted(set(tools) - ABOUT_PAGES)
    by_id = {one["id"]: one for one in listed}
    assert by_id["get_run"]["tools"] == ["get_run", "get_run_status", "poll_run_status"]
    assert by_id["stream_changes"]["tools"] == []
    assert by_id["create_bulk"]["commands"] == ["bulk cancel", "bulk rerun", "replay"]
