"""Writes `docs/api.md`, the page of the REST API, from the document that the server serves:
`python -m tools.api_page`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepwell.server.api.v1.routes import described as described_v1
from stepwell.server.api.v2.routes import described

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
_HEAD = """# The REST API

This page is made from the OpenAPI document that every server has at `/api/v2/openapi.json`, which \
says the same for programs, with the shapes of all answers. Every path below stands under \
`/api/v2`, and also under `/v2`.

{said} How keys open a server is told in [Security](security.md); what SDKs speak, in [The server \
and its commands](server.md); the older `/v1` [below](#the-first-version).

An answer has the form `{{"data": …, "metadata": {{"fetchedAt": …}}}}`, that of a list also \
`"page": {{"limit": …, "cursor": …, "hasMore": true}}`. A refusal is \
`{{"errors": [{{"code": …, "message": …}}]}}`, with the same meaning as its HTTP status.
"""


_V1_HEAD = """## The first version

The document of `/v1` is at `/v1/openapi.json`. {said} An answer has the form \
`{{"data": …, "metadata": {{"fetched_at": …}}}}`, a refusal is \
`{{"error": …, "data": null, "status": …}}` with the same HTTP status.
"""


_OTHERWISE = """## Where the official server answers otherwise

Clients of the official server find the same routes, names and shapes. These answers are others, \
each for a reason.

| What | The official server | This server | Why |
|---|---|---|---|"""

_OTHERS = (
    (
        "the status of an error of `/v1`",
        "200, with the true one in the body",
        "the true one, in both",
        "clients that look at the status see the error",
    ),
    (
        "a run that is not known, in `/v1`",
        "500",
        "404",
        "nothing is broken",
    ),
    (
        "the runs of an event, in `/v1`",
        "`Scheduled`, also once they have ended",
        "the status of the moment",
        "so that it can be waited for",
    ),
    (
        "answers of `/v1`",
        "may be some seconds old (`cached_until`)",
        "those of the moment",
        "the same",
    ),
    (
        "`GET /v1/runs/{id}/jobs`",
        "has `Raw`, an inner shape",
        "has not",
        "nobody could rest on it",
    ),
    (
        "`/v1/cancellations`",
        "500: there is no store behind it",
        "does what it says",
        "it is documented",
    ),
    (
        "a parameter or field of a body that is not known",
        "ignored, or `api_error`",
        "400, which names it and the nearest",
        "what is mistyped must not give another answer quietly",
    ),
    (
        "a path of `/v2` that is not there",
        "404 with `api_error`",
        "404 with `not_found`",
        "one word for one thing",
    ),
    (
        "a method that a path of `/v2` has not",
        "501",
        "405",
        "that is what it means",
    ),
    (
        "`GET /keys/signing`",
        "anybody with a key",
        "the signing key alone",
        "who may do everything may not become the one that signs",
    ),
    (
        "webhooks, other environments, partners, insights, sandboxes, in `/v2`",
        "501",
        "404",
        "a server has none of them",
    ),
    (
        "an empty list in an answer of `/v2`",
        "left out",
        "`[]`",
        "programs need not ask whether it is there",
    ),
)
"""What is answered otherwise: what, by whom how, and why."""


def page(document: Mapping[str, Any], older: Mapping[str, Any]) -> str:
    """The whole page, from the documents of both versions."""
    said, said_of_v1 = document["info"]["description"], older["info"]["description"]
    parts = [_HEAD.format(said=said), *_operations(document)]
    first = [_V1_HEAD.format(said=said_of_v1), *_operations(older)]
    others = [_OTHERWISE, *(f"| {' | '.join(row)} |" for row in _OTHERS), ""]
    return "\n".join([*parts, *first, *others])


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield "\n".join(_operation(method.upper(), path, operation, document))


def _operation(
    method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[str]:
    yield f"## {method} {path}\n"
    yield operation["description"].replace("\n\n", " ") + "\n"
    rows = [*_parameters(operation), *_fields(operation, document)]
    if rows:
        yield "| What it takes | Where | Kind | Meaning |"
        yield "|---|---|---|---|"
        yield from rows
        yield ""
    statuses = [status for status in operation["responses"] if status not in _ANYWHERE]
    refused = f"; it may also answer {', '.join(statuses)}" if statuses else ""
    role = operation["x-role"]
    yield f"Answers {_answered(operation)}{refused}. Role: {role}.\n"


_ANYWHERE = ("200", "201", "204", "400", "401", "403", "413", "429", "500", "503")


def _parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    for one in operation.get("parameters", ()):
        kind = _kind(one["schema"])
        yield f"| `{one['name']}` | {one['in']} | {kind} | {one['description']} |"


def _fields(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    if "requestBody" not in operation:
        return
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    shape, where = _resolved(schema, document), "body"
    if shape.get("type") == "array":
        shape, where = _resolved(shape["items"], document), "body, a list: in each"
    for name, field in shape["properties"].items():
        needed = "needed" if name in shape.get("required", ()) else ""
        yield f"| `{name}` | {where} | {_kind(field)} | {needed} |"


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array" and "items" in schema:
        return f"several: {_kind(schema['items'])}"
    kinds = schema.get("type", "any")
    text = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if "maximum" in schema:
        text += f", {schema['minimum']} to {schema['maximum']}"
    default = schema.get("default")
    if default not in (None, ""):
        text += f", {str(default).lower() if isinstance(default, bool) else default} if not given"
    return str(schema["format"]) if "format" in schema else text


def _answered(operation: Mapping[str, Any]) -> str:
    done = [told for status, told in operation["responses"].items() if status < "3"]
    content = done[0].get("content", {})
    if not content:
        return "nothing"
    if "text/plain" in content:
        return "text"
    if "text/event-stream" in content:
        return f"a stream of {_kind(content['text/event-stream']['schema'])}"
    schema = content["application/json"]["schema"]
    if "data" not in schema.get("properties", {}):
        return "the document"
    data = schema["properties"]["data"]
    if data.get("type") == "array":
        return f"a list of {_kind(data['items'])}"
    return _kind(data)


if __name__ == "__main__":
    PAGE.write_text(page(described(), described_v1()))
