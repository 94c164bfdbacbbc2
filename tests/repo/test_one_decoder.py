"""JSON of whoever may have written it is read by `wire/outside.decode`, which bounds its depth: any
other decoder raises RecursionError for a few thousand brackets, which nobody expects."""

import ast
from functools import cache

from tests.repo.source import Module, modules

ROOMS = tuple(
    f"stepwell.{room}"
    for room in (
        *("django", "experimental", "wire"),
        *(f"sdk.{room}" for room in ("client", "connect", "invoke", "net", "send")),
        *(f"server.{room}" for room in ("api", "drivers", "gateway", "query")),
    )
)
CHECKED = {
    "stepwell.django.task_backend": "what was written one line before",
    "stepwell.experimental.mocked": "the answer of a handler in this process",
    "stepwell.experimental.remote_state_middleware": "the bucket of the user, by json, not msgspec",
    "stepwell.sdk.invoke.http_runs": "a part of an answer that was read",
    "stepwell.sdk.invoke.waiting": "a part of an answer that was read",
    "stepwell.server.api.v1.event_schemas": "a column of the store",
    "stepwell.server.api.inside": "an answer of this process",
    "stepwell.server.api.document": "the document of the API itself",
    "stepwell.server.drivers.reply": "a text without brackets",
    "stepwell.server.gateway.session_token": "a token with a signature of ours",
    "stepwell.server.query.annotation": "a column of the store",
    "stepwell.server.query.v2.log": "a column of the store",
    "stepwell.server.query.search": "a column of the store",
    "stepwell.wire.checkpoint": "a piece whose depth was looked at",
    "stepwell.wire.canonical": "one leaf, which is a number",
    "stepwell.wire.elements": "its caller catches RecursionError, and says which event it is",
    "stepwell.wire.event": "catches RecursionError, and says which event it is",
    "stepwell.wire.event_session": "a column of the store",
    "stepwell.wire.execution": "a part of a call that was read",
    "stepwell.wire.failure": "a part of a reply that was read",
    "stepwell.wire.lifecycle": "an event that was read",
    "stepwell.wire.metadata": "a part of a request that was read, or a column of the store",
    "stepwell.wire.named_limit": "one key, of text",
    "stepwell.wire.operation_decode": "a part of a reply that was read",
    "stepwell.wire.registration": "what was written in the same line",
}


def readers(module: Module) -> list[str]:
    """Calls of decoders of JSON in a module, as they are written."""
    decoders = {"msgspec.json", "json"}
    for node in module.nodes:
        if isinstance(node, ast.Assign) and "json.Decoder" in ast.unparse(node.value):
            decoders |= {ast.unparse(target) for target in node.targets}
    return [
        ast.unparse(node)
        for node in module.nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("decode", "loads")
        and ast.unparse(node.func.value) in decoders
    ]


@cache
def found() -> dict[str, list[str]]:
    return {
        module.name: calls
        for module in modules().values()
        if module.name.startswith(ROOMS) and (calls := readers(module))
    }


def test_what_comes_from_outside_is_read_by_one_decoder() -> None:
    odd = {name: calls for name, calls in found().items() if name not in CHECKED}
    assert not odd, f"use stepwell.wire.outside.decode, or say what bounds the depth: {odd}"


def test_the_list_is_as_short_as_can_be() -> None:
    assert CHECKED.keys() - found().keys() == set()
