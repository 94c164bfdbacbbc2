"""The operations of the REST API as tools of the Model Context Protocol. Pure: made from the
document of the API, so that nothing is written twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from stepwell.server.api.document import JSON, Document

WHOLE: Final = "items"
"""What the body is called that is a list."""
_LEFT_OUT: Final = frozenset({"stream_changes", "get_openapi", "list_operations"})
"""A stream is no answer, and tools tell themselves."""
_COMPONENTS: Final = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool: what it is called and takes (a JSON Schema), and where each argument of it goes."""

    name: str
    description: str
    schema: Mapping[str, Any]
    path: Mapping[str, str]
    query: frozenset[str]
    whole_body: bool
    reads: bool

    @property
    def needed(self) -> tuple[str, ...]:
        """Arguments there have to be."""
        return tuple(self.schema.get("required", ()))


class WrongArguments(ValueError):
    """What a tool was called with is not what it takes. The text says what it takes."""


def tools_of(document: Document) -> dict[str, ToolSpec]:
    """A tool for each operation, by name."""
    found: dict[str, ToolSpec] = {}
    for place, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation["operationId"] not in _LEFT_OUT:
                one = _tool(place, method, operation, document["components"]["schemas"])
                found[one.name] = one
    return found


def _tool(
    place: str, method: str, operation: Mapping[str, Any], components: Mapping[str, Any]
) -> ToolSpec:
    properties: dict[str, Any] = {}
    needed: list[str] = []
    path: dict[str, str] = {}
    query: set[str] = set()
    for one in operation.get("parameters", ()):
        properties[one["name"]] = {**one["schema"], "description": one["description"]}
        if one["in"] == "path":
            needed.append(one["name"])
            path[one["name"]] = _snake(one["name"])
        else:
            query.add(one["name"])
    whole = False
    if "requestBody" in operation:
        shape = operation["requestBody"]["content"][JSON]["schema"]
        body = _resolved(shape, components)
        whole = body.get("type") == "array"
        inside = {WHOLE: body} if whole else body.get("properties", {})
        properties |= inside
        needed += [WHOLE] if whole else body.get("required", [])
    schema = {
        "type": "object",
        "properties": properties,
        "required": needed,
        "additionalProperties": False,
    }
    return ToolSpec(
        name=operation["operationId"],
        description=operation["description"],
        schema=_self_contained(schema, components),
        path=path,
        query=frozenset(query),
        whole_body=whole,
        reads=method == "get",
    )


def sorted_out(
    tool: ToolSpec, arguments: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, Any], Any]:
    """Arguments as parts of a path, a query and a body. Raises WrongArguments."""
    known: Mapping[str, Any] = tool.schema["properties"]
    for name in arguments:
        if name not in known:
            raise WrongArguments(f"{name!r} is not known here: use {', '.join(known) or 'nothing'}")
    for name in tool.needed:
        if name not in arguments:
            raise WrongArguments(f"{name!r} is needed")
    path = {tool.path[name]: str(arguments[name]) for name in tool.path}
    query = {name: value for name, value in arguments.items() if name in tool.query}
    rest = {
        name: value
        for name, value in arguments.items()
        if name not in tool.path and name not in tool.query
    }
    return path, query, rest.get(WHOLE) if tool.whole_body else rest or None


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _resolved(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    reference: str = schema.get("$ref", "")
    if not reference:
        return schema
    found: Mapping[str, Any] = components[reference.removeprefix(_COMPONENTS)]
    return found


def _self_contained(schema: dict[str, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with the shapes it refers to among its own definitions."""
    definitions: dict[str, Any] = {}

    def walked(value: object) -> Any:
        if isinstance(value, list):
            return [walked(one) for one in cast("list[object]", value)]
        if not isinstance(value, dict):
            return value
        shape = cast("dict[str, object]", value)
        reference = str(shape.get("$ref", ""))
        if reference.startswith(_COMPONENTS):
            name = reference.removeprefix(_COMPONENTS)
            if name not in definitions:
                definitions[name] = {}
                definitions[name] = walked(components[name])
            return {**shape, "$ref": f"#/$defs/{name}"}
        return {name: walked(one) for name, one in shape.items()}

    made: dict[str, Any] = walked(schema)
    return {**made, "$defs": definitions} if definitions else made
