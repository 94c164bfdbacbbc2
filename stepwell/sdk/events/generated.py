"""Events that were written by a tool: modules, JSON Schema, AsyncAPI documents.

The only place that knows these documents.
"""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, cast

from stepwell.sdk.errors import EventSchemaError
from stepwell.sdk.events.shape import resolve
from stepwell.sdk.events.shape_validator import ShapeValidator

Source: TypeAlias = Mapping[str, Any] | str | PathLike[str]
"""A mapping of names to schemas or types, or the path of a JSON file with one."""

_SCHEMA_WORDS = frozenset(
    {"$ref", "$schema", "type", "properties", "anyOf", "oneOf", "allOf", "enum", "const"}
)


def entries_of(source: Source | ModuleType) -> dict[str, Any]:
    """The events of a document, as `EventSchemas.from_record` takes them.

    Raises EventSchemaError naming what is missing or cannot be read.
    """
    if isinstance(source, ModuleType):
        found = getattr(source, "EVENTS", None)
        if not isinstance(found, Mapping):
            raise EventSchemaError(
                f"module {source.__name__} has no EVENTS; `stepwell events generate` writes one"
            )
        source = cast("Mapping[str, Any]", found)
    document = source if isinstance(source, Mapping) else _read(Path(source))
    if "asyncapi" in document:
        return _of_async_api(document)
    events = document.get("events")
    listed = cast("Mapping[str, Any]", events) if isinstance(events, Mapping) else document
    return {
        name: _entry(name, entry, document)
        for name, entry in listed.items()
        if not name.startswith("$")
    }


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EventSchemaError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise EventSchemaError(f"{path}: is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise EventSchemaError(f"{path}: holds no object of events by name")
    return cast("dict[str, Any]", found)


def _entry(name: str, entry: Any, document: Mapping[str, Any]) -> Any:
    """One event: JSON Schemas become validators, types stay."""
    if not isinstance(entry, Mapping):
        return entry
    given = cast("Mapping[str, Any]", entry)
    if not given:
        return None
    if _SCHEMA_WORDS & given.keys():
        return {"data": _validator(name, given, document)}
    return {
        field: _validator(name, cast("Mapping[str, Any]", value), document)
        if isinstance(value, Mapping)
        else value
        for field, value in given.items()
    }


def _validator(name: str, schema: Mapping[str, Any], document: Mapping[str, Any]) -> ShapeValidator:
    try:
        local = "$defs" in schema or "definitions" in schema
        return ShapeValidator(schema, schema if local else document)
    except ValueError as error:
        raise EventSchemaError(f'event "{name}": {error}') from None


def _of_async_api(document: Mapping[str, Any]) -> dict[str, Any]:
    """The messages of an AsyncAPI document, version 2 or 3: each is an event."""
    found: dict[str, Any] = {}
    for name, given in _messages(document):
        message = _resolved(given, document)
        payload = _resolved(message.get("payload"), document)
        properties = _mapping(payload.get("properties"))
        if "data" in properties and "name" in properties:
            payload = _resolved(properties["data"], document)  # the payload is the whole event
        title = message.get("name")
        event = title if isinstance(title, str) and title else name
        found[event] = {"data": _validator(event, payload, document)} if payload else None
    return found


def _messages(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    components = _mapping(_mapping(document.get("components")).get("messages"))
    found = list(components.items())
    for name, given in _mapping(document.get("channels")).items():
        channel = _mapping(given)
        address = channel.get("address")
        for operation in ("publish", "subscribe"):
            message = _mapping(channel.get(operation)).get("message")
            if message is not None:
                found.append((name, message))
        called = address if isinstance(address, str) else name
        found += [(called, one) for one in _mapping(channel.get("messages")).values()]
    pointed = {f"#/components/messages/{name}" for name in components}
    return [(n, m) for n, m in found if _mapping(m).get("$ref") not in pointed]


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _resolved(value: object, document: Mapping[str, Any]) -> Mapping[str, Any]:
    given = _mapping(value)
    pointer = given.get("$ref")
    if not isinstance(pointer, str):
        return given
    try:
        return _resolved(resolve(pointer, document), document)
    except ValueError as error:
        raise EventSchemaError(str(error)) from None
