"""`EventSchemas`: what an app's events look like, declared once, judged wherever they pass.

The only place that decides which definition an event is judged by, and which events are refused
for having none.
"""

import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, Literal, Self, TypeAlias, cast, get_type_hints

from typing_extensions import is_typeddict

from stepwell.sdk.errors import EventSchemaError
from stepwell.sdk.events.definition import (
    EventDefinition,
    Judged,
    Parts,
    definition_of,
    envelope,
    envelopes,
)
from stepwell.sdk.events.generated import Source, entries_of
from stepwell.sdk.events.internal_name import InternalEvent
from stepwell.sdk.events.validator import Unfit, Validator

Validate: TypeAlias = Literal["off", "outgoing", "incoming", "both"]
Rule: TypeAlias = Literal["allow", "forbid"]

_LOGGER = logging.getLogger("stepwell")


class Disallowed(Unfit):
    """An event is refused for its name alone; `sentence` says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__([("name", sentence)])
        self.sentence = sentence


class EventSchemas:
    """The schemas of an app's events, by name.

    Every method adds events and returns the same object; a later definition of a name replaces an
    earlier one entirely. Names may end in `*` and then stand for all names that begin alike.
    """

    def __init__(
        self, *, validate: Validate = "both", unknown: Rule = "allow", schemaless: Rule = "allow"
    ) -> None:
        """Begin with the internal events.

        Args:
            validate: Which events are judged: those sent, those received, both, or none.
            unknown: "forbid" refuses events whose names are not defined here.
            schemaless: "forbid" refuses events of which nothing but the name is defined.
        """
        _refuse_other("validate", validate, ("off", "outgoing", "incoming", "both"))
        _refuse_other("unknown", unknown, ("allow", "forbid"))
        _refuse_other("schemaless", schemaless, ("allow", "forbid"))
        self.validate: Validate = validate
        self.unknown: Rule = unknown
        self.schemaless: Rule = schemaless
        self._events: dict[str, EventDefinition] = {
            name.value: EventDefinition(name.value) for name in InternalEvent
        }

    def __repr__(self) -> str:
        return f"EventSchemas({', '.join(self.own)})"

    def with_rules(self, *, unknown: Rule, schemaless: Rule) -> "EventSchemas":
        """The same definitions under other rules; for a middleware that judges by its own."""
        other = EventSchemas(validate=self.validate, unknown=unknown, schemaless=schemaless)
        other._events = self._events
        return other

    # Declaring

    def from_record(self, record: Mapping[str, Any] | type) -> Self:
        """Events by name: `{"user/created": UserCreated}`.

        A value is the type of the data, `{"data": ..., "user": ...}`, the type of the whole event,
        or None if nothing is asked. A TypedDict whose keys are names will do as well.

        Raises EventSchemaError if an entry names another event than its key, TypeError if data is
        no object.
        """
        entries: Mapping[str, Any]
        if isinstance(record, Mapping):
            entries = record
        elif is_typeddict(record):
            entries = get_type_hints(record, include_extras=True)
        else:
            raise EventSchemaError(
                f"{record!r} is no record of events: give a dict, or a TypedDict whose keys are"
                " event names"
            )
        return self._add({name: definition_of(name, entry) for name, entry in entries.items()})

    def from_pydantic(self, models: Mapping[str, Any] | Iterable[Any]) -> Self:
        """Events by name, or a list of models that fix their names with a literal.

        Whatever Pydantic, msgspec or a callable can judge will do, and event types too.
        Raises as `from_record`.
        """
        if isinstance(models, Mapping):
            return self.from_record(cast("Mapping[str, Any]", models))
        found: dict[str, EventDefinition] = {}
        for model in models:
            found.update(envelope(model))
        return self._add(found)

    from_zod = from_pydantic

    def from_union(self, union: Any) -> Self:
        """The members of a union of event types that fix their names with literals.

        Raises EventSchemaError for a member without such a name.
        """
        return self._add(envelopes(union))

    def from_generated(self, source: Source | ModuleType) -> Self:
        """What `stepwell events generate` or `pull` wrote, JSON Schema, or an AsyncAPI document.

        Args:
            source: A module with `EVENTS`, a mapping of names to JSON Schemas or to types, or the
                path of a JSON file with one.

        Raises EventSchemaError for a document that is none of these.
        """
        return self.from_record(entries_of(source))

    def from_schema(self, schemas: Mapping[str, Any]) -> Self:
        """Events by name, each with an object that has `validate(value)`, or `load(value)`.

        It is given the data as plain values, raises what is wrong, and may return better values.
        """
        return self.from_record(schemas)

    def _add(self, found: Mapping[str, EventDefinition]) -> Self:
        for name, definition in found.items():
            if "*" in name[:-1]:
                raise EventSchemaError(
                    f'event "{name}": a wildcard stands at the end, as in "user/*"; this matches'
                    " no event"
                )
            if name in self._events:
                _LOGGER.debug("event %r is defined anew", name)
            self._events[name] = definition
        return self

    # Asking

    @property
    def events(self) -> Mapping[str, EventDefinition]:
        """Every definition by name, the internal events included."""
        return MappingProxyType(self._events)

    @property
    def own(self) -> Mapping[str, EventDefinition]:
        """The definitions users made, by name."""
        internal = set(InternalEvent)
        return {name: one for name, one in self._events.items() if name not in internal}

    @property
    def judges_outgoing(self) -> bool:
        """Are events judged before they are sent?"""
        return self.validate in ("outgoing", "both")

    @property
    def judges_incoming(self) -> bool:
        """Are events judged before a handler sees them?"""
        return self.validate in ("incoming", "both")

    def find(self, name: str) -> EventDefinition | None:
        """The definition of an event: its own, else that of the longest prefix."""
        found = self._events.get(name)
        if found is not None:
            return found
        prefixes = [one for one in self._events if one.endswith("*") and name.startswith(one[:-1])]
        return self._events[max(prefixes, key=len)] if prefixes else None

    def validator(self, name: str) -> Validator | None:
        """What judges the data of an event, for `event_type(schema=...)`; None if nothing does."""
        definition = self.find(name)
        return None if definition is None else definition.validator

    def judge(self, parts: Parts) -> Judged:
        """What the schemas make of an event. Raises Unfit, or Disallowed for its name alone.

        Internal events are trusted.
        """
        if parts.name.startswith("inngest/"):
            return Judged()
        definition = self.find(parts.name)
        if self.schemaless == "forbid" and (definition is None or not definition.has_schema):
            raise Disallowed(f'Event "{parts.name}" has no schema defined; disallowing')
        if definition is None:
            if self.unknown == "forbid":
                raise Disallowed(f'Event "{parts.name}" has an unknown schema; disallowing')
            return Judged()
        return definition.judge(parts)

    def problem_of_listening(self, name: str) -> str | None:
        """Why nobody should listen to this name, a wildcard perhaps; None if it is fine.

        Only closed schemas know: those that forbid unknown events.
        """
        if self.unknown != "forbid" or name.startswith("inngest/") or self.find(name) is not None:
            return None
        prefix = name[:-1] if name.endswith("*") else None
        if prefix is not None and any(
            known.startswith(prefix)
            for definition in self._events.values()
            for known in (definition.name, *definition.members)
        ):
            return None
        known = ", ".join(f'"{one}"' for one in self.own) or "none"
        return f'event "{name}" has an unknown schema; defined are {known}'


def _refuse_other(field: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise EventSchemaError(f"{field} = {value!r}: it must be one of {', '.join(allowed)}")
