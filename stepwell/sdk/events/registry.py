"""What an app tells the server of its events: the schemas that travel with its registration."""

from collections.abc import Iterable
from typing import Any

import msgspec

from stepwell.sdk.events.definition import EventDefinition, definition_of
from stepwell.sdk.events.schemas import EventSchemas
from stepwell.sdk.events.source import EventKind
from stepwell.wire.event import is_internal_event


def definitions_of(
    schemas: EventSchemas | None, kinds: Iterable[EventKind[Any, Any]]
) -> dict[str, EventDefinition]:
    """Everything an app knows of its events, by name: its schemas, and its typed triggers."""
    found = {
        kind.name: definition_of(kind.name, {"data": kind.schema})
        for kind in kinds
        if kind.schema is not None and not is_internal_event(kind.name)
    }
    if schemas is not None:
        found |= schemas.own
    return found


def described(definitions: dict[str, EventDefinition]) -> dict[str, dict[str, Any]]:
    """The events as JSON Schemas of `data` and `user`; the members of a wildcard by their names."""
    found: dict[str, dict[str, Any]] = {}
    for name, definition in sorted(definitions.items()):
        if not definition.members:
            found[name] = definition.json_schema()
        for member, one in definition.members.items():
            found.setdefault(member, one.json_schema())
    return found


def event_schemas(
    schemas: EventSchemas | None, kinds: Iterable[EventKind[Any, Any]]
) -> msgspec.Raw | None:
    """What is registered of an app's events, as JSON; None if nothing is known of them."""
    found = described(definitions_of(schemas, kinds))
    return msgspec.Raw(msgspec.json.encode(found)) if found else None
