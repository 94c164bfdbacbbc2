"""A typed module of an app's events: what `stepwell events generate` and `pull` write.

Two texts: a module that runs, and a stub that tells checkers the events by name, so that a plain
`client.send({"name": ..., "data": ...})` is checked. The only place for their form.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from stepwell.sdk.events.shape import Record, Reference, Schema, read_schema
from stepwell.sdk.events.stub import Types, arguments_of, class_name, variable_name

_RESERVED = frozenset(
    {
        "Any",
        "AnyEvent",
        "Iterable",
        "Unpack",
        "Cancel",
        "Client",
        "EVENTS",
        "Event",
        "Literal",
        "Mapping",
        "NotRequired",
    }
    | {"TriggerEvent", "TypeAlias", "TypedDict", "datetime", "overload", "schemas", "stepwell"}
)
_OPTIONAL = (
    "id: str = ..., ts: int | datetime = ..., v: str | None = ..., meta: {meta} = ...".format(
        meta="Mapping[str, object] | None"
    )
)


class GeneratedModule(msgspec.Struct, frozen=True):
    """The texts of a module and of its stub."""

    module: str
    stub: str


class _Event(msgspec.Struct, frozen=True):
    """One event, and the names it has in the stub."""

    name: str
    alias: str
    variable: str
    payload: str
    data: str
    user: str
    required: bool
    call: str

    @property
    def event(self) -> str:
        return f"stepwell.Event[{self.data}, Literal[{self.name!r}]]"


def generate(events: Mapping[str, Mapping[str, Any]]) -> GeneratedModule:
    """The module for events given as JSON Schemas of `data` and `user`, by name.

    Names with wildcards are left out: no event is called so. Raises ValueError for a schema with a
    reference that leads nowhere.
    """
    named = {name: dict(entry) for name, entry in sorted(events.items()) if "*" not in name}
    types = Types(_RESERVED)
    described = [_describe(types, name, entry) for name, entry in named.items()]
    return GeneratedModule(_module(described, named, types), _stub(described, types))


def _describe(types: Types, name: str, entry: Mapping[str, Any]) -> _Event:
    alias = types.reserve(class_name(name))
    payload = types.reserve(f"{alias}Payload")
    data, required, call = "dict[str, Any]", False, "**data: Any"
    if entry.get("data") is not None:
        schema = read_schema(entry["data"])
        data = types.add(f"{alias}Data", schema)
        required = _has_required(schema)
        call = _call(types, schema, data if data.isidentifier() else f"{alias}Data") or call
    user = "Mapping[str, object]"
    if entry.get("user") is not None:
        user = types.add(f"{alias}User", read_schema(entry["user"]))
    variable = variable_name(name)
    if variable in {"stepwell", "schemas", "datetime", "overload"}:
        variable += "_event"
    return _Event(name, alias, variable, payload, data, user, required, call)


def _has_required(schema: Schema) -> bool:
    shape = schema.shape
    while isinstance(shape, Reference):
        shape = schema.named[shape.name]
    return not isinstance(shape, Record) or any(field.required for field in shape.fields)


def _call(types: Types, schema: Schema, owner: str) -> str | None:
    """The arguments that build an event by calling its type; `owner` is the type of the data."""
    fields = arguments_of(schema)
    if not fields:
        return None
    parts = ["*"]
    for name, field in fields.items():
        inner = Schema(field.shape, schema.named)
        written = types.add(f"{owner}{class_name(name)}", inner)
        parts.append(f"{name}: {written}" + ("" if field.required else " = ..."))
    return ", ".join(parts)


# The module


def _module(events: list[_Event], named: Mapping[str, Any], types: Types) -> str:
    lines = [
        '"""The events of this project, typed. Written by `stepwell events`; do not edit."""',
        "",
        "# ruff: noqa",
        "from __future__ import annotations",
        "",
        "import json",
        "from typing import Any, Literal, NotRequired, TypedDict",
        "",
        "from stepwell import Cancel, Event, EventSchemas, Inngest, TriggerEvent, event_type",
        "",
        "EVENTS: dict[str, Any] = json.loads(",
        f"    {_quoted(json.dumps(named, indent=1, ensure_ascii=False, sort_keys=True))}",
        ")",
        '"""What the data of each event must be, as JSON Schema."""',
        "",
        "Client = Inngest",
        "schemas = EventSchemas().from_generated(EVENTS)",
        '"""The same, for the argument `schemas` of a client."""',
        "",
        types.text,
        "",
    ]
    for event in events:
        schema = f"schemas.validator({event.name!r})"
        lines += [
            f"{event.alias} = Event",
            f"{event.payload} = dict",
            f"{event.variable} = event_type({event.name!r}, schema={schema})",
        ]
    exported = ["Cancel", "Client", "EVENTS", "Event", "TriggerEvent", "schemas", *types.names]
    exported += [name for event in events for name in (event.alias, event.payload, event.variable)]
    return "\n".join([*lines, "", f"__all__ = {_listed(sorted(exported))}", ""])


def _quoted(text: str) -> str:
    """Text as a raw literal where that can be read, else escaped."""
    return repr(text) if "'''" in text or text.endswith("\\") else f"r'''{text}'''"


def _listed(names: Iterable[str]) -> str:
    return "[\n" + "".join(f'    "{name}",\n' for name in names) + "]"


# The stub


_HEAD = '''"""The events of this project, typed. Written by `stepwell events`; do not edit."""

# ruff: noqa
# A client of these events alone takes less than any client does.
# mypy: disable-error-code="override"
# pyright: reportIncompatibleMethodOverride=false

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, Unpack, overload

import stepwell

EVENTS: dict[str, Any]
schemas: stepwell.EventSchemas
'''


def _stub(events: list[_Event], types: Types) -> str:
    parts = [_HEAD]
    if types.text:
        parts.append(types.text)
    parts += [_declarations(event) for event in events]
    taken = [f"{event.payload} | stepwell.Event[{event.data}]" for event in events]
    parts.append(f"AnyEvent: TypeAlias = {' | '.join(taken) or 'stepwell.Event[Any]'}")
    parts.append(_event_overloads(events))
    parts.append(_trigger_overloads(events))
    names = [repr(name) for name in [e.name for e in events]] or ["''"]
    parts.append(
        f"def Cancel(*, event: Literal[{', '.join(names)}] | stepwell.EventSource[Any, Any],"
        " if_exp: str | None = ..., timeout: Any = ...) -> stepwell.Cancel: ..."
    )
    parts.append(_client(events))
    return "\n\n".join(parts) + "\n"


def _declarations(event: _Event) -> str:
    data = event.data if event.required else f"NotRequired[{event.data}]"
    return f"""class {event.payload}(TypedDict):
    name: Literal[{event.name!r}]
    data: {data}
    id: NotRequired[str]
    ts: NotRequired[int | datetime]
    v: NotRequired[str]
    user: NotRequired[{event.user}]
    meta: NotRequired[Mapping[str, object]]

{event.alias}: TypeAlias = {event.event}

class _{event.alias}Type(stepwell.EventType[{event.data}]):
    def __call__(self, {event.call}) -> stepwell.Event[{event.data}]: ...

{event.variable}: _{event.alias}Type"""


def _overloads(written: list[str]) -> str:
    """Signatures as overloads; a single one stands alone."""
    if len(written) == 1:
        return written[0]
    return "\n".join(f"@overload\n{one}" for one in written)


def _event_overloads(events: Iterable[_Event]) -> str:
    return _overloads(
        [
            f"def Event(*, name: Literal[{event.name!r}],"
            f" data: {event.data}{'' if event.required else ' = ...'}, {_OPTIONAL},"
            f" user: {event.user} | None = ...) -> {event.event}: ..."
            for event in events
        ]
    )


_INTERNAL = {
    "inngest/function.failed": "stepwell.FunctionFailedEvent",
    "inngest/function.finished": "stepwell.FunctionFinishedEvent",
    "inngest/function.cancelled": "stepwell.FunctionCancelledEvent",
    "inngest/function.invoked": "stepwell.FunctionInvokedEvent",
    "inngest/scheduled.timer": "stepwell.ScheduledTimerEvent",
}


def _triggers(events: list[_Event]) -> dict[str, tuple[str, str]]:
    """What can be listened to: names, wildcards of names, and the server's own events."""
    found = {event.name: (event.event, event.data) for event in events}
    for pattern in sorted({p for event in events for p in _wildcards(event.name)}):
        covered = [event for event in events if event.name.startswith(pattern[:-1])]
        data = " | ".join(dict.fromkeys(event.data for event in covered))
        found[pattern] = (" | ".join(event.event for event in covered), data)
    found |= {name: (kind, "Mapping[str, object]") for name, kind in _INTERNAL.items()}
    return found


def _wildcards(name: str) -> list[str]:
    """The patterns that servers match a name with, besides the name itself."""
    return [f"{name[: index + 1]}*" for index, letter in enumerate(name) if letter in "/."]


def _trigger_overloads(events: list[_Event]) -> str:
    return _overloads(
        [
            f"def TriggerEvent(*, event: Literal[{name!r}], expression: str | None = ...,"
            f" if_exp: str | None = ...) -> stepwell.TriggerEvent[{event}, {data}]: ..."
            for name, (event, data) in _triggers(events).items()
        ]
    )


def _client(events: list[_Event]) -> str:
    options = (
        "skip_middleware: bool = ..., env: str | None = ..., seed: str | None = ...,"
        " split: bool = ..."
    )
    given = "events: AnyEvent | Iterable[AnyEvent]"
    found = [
        f"    async def send(self, {given}, *, {options}) -> stepwell.SendResult: ...",
        f"    def send_sync(self, {given}, *, {options}) -> stepwell.SendResult: ...",
    ]
    for name, (event, data) in _triggers(events).items():
        signature = (
            f"    def on(self, event: Literal[{name!r}], *, fn_id: str | None = ...,"
            " expression: str | None = ..., **options: Unpack[stepwell.DeclaredOptions])"
            f" -> stepwell.TypedDecorator[{event}, {data}]: ..."
        )
        found += ["    @overload", signature]
    return "\n".join(["class Client(stepwell.Inngest):", *found])
