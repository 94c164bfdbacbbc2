"""A server of the Model Context Protocol over the operations of the REST API.

Source: its streamable HTTP transport, as the official package speaks it: without sessions, and with
answers in JSON.
"""

import json
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    TextContent,
    Tool,
    ToolAnnotations,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from stepwell.server.api.inside import Inside
from stepwell.server.api.mcp.known import KNOWN
from stepwell.server.api.mcp.tools import ToolSpec, WrongArguments, sorted_out, tools_of
from stepwell.server.api.routing.problem import Problem, as_problem, body_of, problem_response
from stepwell.server.api.v1.apps import package_version
from stepwell.server.api.v2.routes import described
from stepwell.wire.outside import TooDeep, check_depth

MESSAGE_BYTES_MAX = 256 * 1024
_SAID = (
    "A Stepwell server: durable functions that events start. Send an event or invoke a function,"
    " then look at its runs: get_run with `wait` answers when a run has ended, explain_run says why"
    " it stands still, get_run_trace what it did. grep_docs and read_doc look into the"
    " documentation."
)


class Spoken(Response):
    """The answer to one message of the protocol."""

    def __init__(self, inside: Inside) -> None:
        super().__init__()
        self._inside = inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the message and answer it."""
        manager = StreamableHTTPSessionManager(
            _server(self._inside), json_response=True, stateless=True
        )
        try:
            body = await body_of(Request(scope, receive), MESSAGE_BYTES_MAX)
            check_depth(body)
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)
            return
        except TooDeep as error:
            await problem_response(Problem(400, str(error)))(scope, receive, send)
            return
        async with manager.run():
            await manager.handle_request(scope, _again(body, receive), send)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body that was read, and what comes after it."""
    said: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return said.pop() if said else await receive()

    return next_message


def _server(inside: Inside) -> Server[Any]:
    tools = tools_of(described())

    async def listed(context: Any, params: Any) -> ListToolsResult:
        more = [one.spec for one in KNOWN.values()]
        return ListToolsResult(tools=[_tool(one) for one in (*tools.values(), *more)])

    async def done(name: str, arguments: dict[str, Any]) -> Any:
        if name in KNOWN:
            return await KNOWN[name].call(inside, arguments)
        path, query, body = sorted_out(tools[name], arguments)
        return await inside.ask(name, path, query, body)

    async def called(context: Any, params: CallToolRequestParams) -> CallToolResult:
        if params.name not in tools and params.name not in KNOWN:
            return _failed(f"there is no tool {params.name!r}: list them first")
        try:
            told = await done(params.name, params.arguments or {})
        except WrongArguments as error:
            return _failed(f"{params.name}: {error}")
        except Exception as error:  # noqa: BLE001 - what is no problem of the API is raised again
            problem = as_problem(error)
            return _failed(f"{problem.code or problem.status}: {problem.message}")
        text = json.dumps(told, ensure_ascii=False)
        return CallToolResult(
            content=[TextContent(type="text", text=text)], structured_content=told
        )

    return Server(
        "stepwell",
        version=package_version(),
        instructions=_SAID,
        on_list_tools=listed,
        on_call_tool=called,
    )


def _tool(one: ToolSpec) -> Tool:
    return Tool(
        name=one.name,
        description=one.description,
        input_schema=dict(one.schema),
        annotations=ToolAnnotations(read_only_hint=one.reads),
    )


def _failed(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
