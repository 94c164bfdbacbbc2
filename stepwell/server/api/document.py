"""The OpenAPI documents of the REST API's two versions, made from the routes as they are declared:
nothing is written twice. Source: OpenAPI 3.1."""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec

from stepwell.server.api.access.role import SIGNING
from stepwell.server.api.declared import Answers, Declared
from stepwell.server.api.routing.parameter import Parameter
from stepwell.server.api.routing.problem import AnswerMetadata, ProblemTold
from stepwell.server.api.routing.route import Body
from stepwell.server.api.v1.apps import package_version
from stepwell.server.api.v2.answer import Fetched, Page, Refusals
from stepwell.server.engine.row.key import Role

Document: TypeAlias = dict[str, Any]

JSON = "application/json"
_ANYWHERE = (400, 403, 413, 429, 500, 503)
"""What any route may refuse with: a parameter nobody knows, a key that may not, a body that is too
large, too many requests, a fault of the server, a server that is about to stop."""
_REFERENCE = "#/components/schemas/"
_ULID = {"type": "string", "pattern": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"}
_NAME = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
_IN_PATH: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "run_id": (_ULID, "The id of a run."),
    "event_id": (_ULID, "The id the server gave an event."),
    "bulk_id": (_ULID, "The id of what is done to many runs."),
    "key_id": (_ULID, "The id of a key."),
    "cancellation_id": (_ULID, "The id of a cancellation."),
    "environment": (_NAME, "Any name: a server has one environment."),
    "app_name": (_NAME, "The name of an app."),
    "limit": ({"type": "string"}, "The name of a limit."),
    "app_id": (_NAME, "The id (a UUID) or the name of an app."),
    "function_id": (_NAME, "The id (a UUID) or the name of a function, with its app or without."),
}


@dataclass(frozen=True, slots=True)
class Version:
    """How a version of the API answers: the kind of its refusals, and what stands beside data, and
    beside the data of a list."""

    url: str
    said: str
    refusals: Any
    fetched: Any
    page: Any = None


V1 = Version(
    "/",
    "The older version of what programs may ask a server, as SDKs and tools of the official one"
    " know it. Lists come in pages: `metadata.cursor`, where there is one, leads to the next. A"
    " parameter without a value counts as absent; one that is not known is refused.",
    ProblemTold,
    AnswerMetadata,
)
V2 = Version(
    "/api/v2",
    "What programs and people may ask a server, and have it do. Lists come in pages: `page.cursor`"
    " of one leads to the next. A parameter without a value counts as absent; one that is not known"
    " is refused. What is refused is told as `errors`, each with a word for programs and a sentence"
    " for people.",
    Refusals,
    Fetched,
    Page,
)


def document(routes: Sequence[Declared], version: Version = V2) -> Document:
    """The document of these routes. Their descriptions are the docstrings of their functions."""
    common = [kind for kind in (version.refusals, version.fetched, version.page) if kind]
    kinds = dict.fromkeys([*common, *(kind for route in routes for kind in _kinds(route))])
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE + "{name}")
    known = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        place = paths.setdefault(_camel_path(route.path), {})
        place[route.method.lower()] = _operation(route, known, version)
    made: Document = {
        "openapi": "3.1.0",
        "info": {"title": "Stepwell", "version": package_version(), "description": version.said},
        "servers": [{"url": version.url}],
        # A server for development that was given no key asks for none.
        "security": [{"key": []}, {}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return _without_versions(made)


def operation_summary(route: Declared) -> tuple[str, str]:
    """The first sentence of what a route says of itself, and all of it."""
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(route.asked) or "")
    return text.partition(".")[0].partition(":")[0] + ".", text


def role_of(route: Declared) -> str:
    """The least role that a key needs for a route; or that it has to be the signing key."""
    return "signing key" if route.needs == SIGNING else Role(route.needs).name.lower()


def _kinds(route: Declared) -> list[Any]:
    found: list[Any] = []
    if isinstance(route.takes.body, Body):
        found.append(route.takes.body.kind)
    if route.answers is not None:
        found += [kind for _, kind in route.answers.beside]
        if route.answers.kind is not None:
            found.append(route.answers.kind)
    return found


def _operation(route: Declared, known: Mapping[Any, object], version: Version) -> dict[str, object]:
    summary, said = operation_summary(route)
    told: dict[str, object] = {
        "operationId": route.name,
        "summary": summary,
        "description": said,
        "x-role": role_of(route),
        "responses": _responses(route, known, version),
    }
    parameters = [_in_path(name) for name in re.findall(r"{(\w+)}", route.path)]
    parameters += [_in_query(one) for one in route.takes.parameters]
    if parameters:
        told["parameters"] = parameters
    if isinstance(route.takes.body, Body):
        body = route.takes.body
        shape = {JSON: {"schema": known[body.kind]}}
        told["requestBody"] = {"required": body.needed, "content": shape}
    return told


def _in_path(name: str) -> dict[str, object]:
    schema, said = _IN_PATH[name]
    called = _camel(name)
    return {"name": called, "in": "path", "required": True, "schema": schema, "description": said}


def _in_query(one: Parameter[Any]) -> dict[str, object]:
    schema = {"type": "array", "items": one.schema} if one.many else one.schema
    return {"name": one.name, "in": "query", "schema": schema, "description": one.said}


def _responses(route: Declared, known: Mapping[Any, object], version: Version) -> dict[str, object]:
    statuses = sorted({*_ANYWHERE, *route.refused})
    refused = known[version.refusals]
    refusals = {str(status): _answer(_phrase(status), refused) for status in statuses}
    refusals["401"] = {
        "description": "No key, or one that does not open this",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
    answers = route.answers or Answers(dict[str, Any], bare=True)
    return {str(answers.status): _done(answers, known, version), **dict(sorted(refusals.items()))}


def _done(answers: Answers, known: Mapping[Any, object], version: Version) -> dict[str, object]:
    if answers.text:
        return {"description": "Done", "content": {"text/plain": {"schema": {"type": "string"}}}}
    if answers.kind is None:
        return {"description": "Done"}
    good = _enveloped(answers, known, version)
    if answers.stream:
        said = "Messages, whose data is this"
        return {"description": said, "content": {"text/event-stream": {"schema": good}}}
    return _answer("Done", good)


def _enveloped(answers: Answers, known: Mapping[Any, object], version: Version) -> object:
    data = known[answers.kind]
    if answers.bare or answers.stream:
        return data
    properties: dict[str, object] = {
        "data": {"type": "array", "items": data} if answers.many else data,
        "metadata": known[version.fetched],
        **{name: known[kind] for name, kind in answers.beside},
    }
    if answers.many and version.page is not None:
        properties["page"] = known[version.page]
    return {"type": "object", "properties": properties, "required": [*properties]}


def _answer(said: str, schema: object) -> dict[str, object]:
    return {"description": said, "content": {JSON: {"schema": schema}}}


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _camel_path(path: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: f"{{{_camel(found[1])}}}", path)


def _without_versions(made: Document) -> Document:
    """Shapes are named `Run`, not `RunV2`: the document is about one version alone."""
    text = msgspec.json.encode(made).decode()
    shorter = re.sub(rf'"({_REFERENCE})?([A-Z]\w*?)V2"', r'"\1\2"', text)
    found: Document = msgspec.json.decode(shorter)
    return found
