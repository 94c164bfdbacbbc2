"""What the schema lets be changed. Each asks an operation of the REST API: who may, and what is
written down of it, is stated once, with that."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from stepwell.server.api.graphql import catalog, debug, legacy, runs
from stepwell.server.api.graphql.node import Info, Node, Told
from stepwell.server.api.routing.problem import Problem
from stepwell.wire.outside import decode

_ARRAY = msgspec.json.Decoder(list[Any])


async def _create_app(info: Info, **given: Any) -> Node:
    told = await info.context.ask("sync_app", body={"url": given["input"]["url"]})
    return catalog.app_node(info.context, told["data"])


async def _update_app(info: Info, **given: Any) -> Node:
    body = {"url": given["input"]["url"], "appId": given["input"]["id"]}
    told = await info.context.ask("sync_app", body=body)
    return catalog.app_node(info.context, told["data"])


async def _delete_app(info: Info, **given: Any) -> str:
    told = await info.context.ask("delete_app", {"app_id": given["id"]})
    return str(told["data"]["appId"])


async def _delete_app_by_name(info: Info, **given: Any) -> bool:
    """False where there is no such app."""
    try:
        await info.context.ask("delete_app", {"app_id": given["name"]})
    except Problem as problem:
        if problem.status == 404:
            return False
        raise
    return True


async def _invoke(info: Info, **given: Any) -> bool:
    """True also where flow control has put the run off."""
    slug: str = given["functionSlug"]
    listing = info.context.deps.ledger.catalog.named(slug)
    if listing is None:
        raise Problem(404, f"Function not found: {slug[:80]!r}", "not_found")
    path = {"app_id": listing.app, "function_id": listing.slug}
    said = {name: given[name] for name in ("data", "user", "meta") if given.get(name)}
    body: Told = {"data": {}, **said}
    try:
        await info.context.ask("invoke_function", path, body=body)
    except Problem as problem:
        if problem.code != "function_debounced":
            raise
    return True


async def _cancel(info: Info, **given: Any) -> Node:
    try:
        await info.context.ask("cancel_run", {"run_id": given["runID"]})
    except Problem as problem:
        if problem.code != "run_already_cancelled":
            raise
    return legacy.legacy_run(await runs.one_run(info.context, given["runID"]))


async def _rerun(info: Info, **given: Any) -> str:
    start: Told | None = given.get("fromStep")
    body: Told = {} if start is None else {"fromStep": _from_step(start)}
    await debug.check_session(info.context, given["runID"], given)
    told = await info.context.ask("rerun", {"run_id": given["runID"]}, body=body)
    return str(told["data"]["runId"])


def _from_step(given: Told) -> Told:
    if given.get("input") is None:
        return {"stepId": given["stepID"]}
    try:
        arguments = decode(str(given["input"]).encode(), _ARRAY)
    except msgspec.DecodeError as error:
        raise Problem(400, f'fromStep.input: {error}; write a JSON array, such as "[1]"') from None
    return {"stepId": given["stepID"], "input": arguments}


async def _create_debug_session(info: Info, **given: Any) -> Node:
    return await debug.session_of(info.context, given["input"])


MUTATION: Final[Mapping[str, Callable[..., Awaitable[Any]]]] = {
    "createApp": _create_app,
    "updateApp": _update_app,
    "deleteApp": _delete_app,
    "deleteAppByName": _delete_app_by_name,
    "invokeFunction": _invoke,
    "cancelRun": _cancel,
    "rerun": _rerun,
    "createDebugSession": _create_debug_session,
}
"""What can be changed."""
