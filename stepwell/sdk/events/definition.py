"""One event of `EventSchemas`: what its data and user must be.

The only place that reads the entries users write: types of the data, mappings of fields, and types
of whole events ("envelopes") whose `name` is a literal.
"""

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, cast

import msgspec

from stepwell.sdk.errors import EventSchemaError
from stepwell.sdk.events.source import kind_of
from stepwell.sdk.events.type_facts import (
    bare,
    fields_of,
    identity,
    is_envelope,
    literals,
    members_of,
    union_of,
    without_none,
)
from stepwell.sdk.events.validator import (
    Unfit,
    Validator,
    is_type,
    validator_of_object,
    validator_of_type,
)

NAME_CLASH = "Error: Omit 'name' from event schemas or make sure it matches the key."

_ENTRY = frozenset({"name", "data", "user"})


class Parts(msgspec.Struct, frozen=True):
    """An event to be judged; `data` and `user` as JSON."""

    name: str
    data: bytes
    user: bytes | None = None
    id: str = ""
    ts: int = 0
    v: str | None = None


class Judged(msgspec.Struct, frozen=True):
    """What the schema made of an event: plain JSON values, None where it says nothing."""

    data: dict[str, Any] | None = None
    user: dict[str, Any] | None = None


class EventDefinition:
    """What is known of one event name, or of all that begin alike.

    `data`, `user`, `ts` and `v` are the types of these fields; `members` are the events a wildcard
    stands for, by name, empty if it stands for every name with its prefix.
    """

    __slots__ = ("_data", "_user", "_whole", "data", "members", "name", "ts", "user", "v")

    def __init__(
        self,
        name: str,
        *,
        data: Any = Any,
        user: Any = Any,
        ts: Any = int,
        v: Any = str,
        whole: Any = None,
        members: "Mapping[str, EventDefinition] | None" = None,
    ) -> None:
        """Judge by `data` and `user`, or by the type of the `whole` event. `ts` and `v` are an int
        and a str of every event. Raises TypeError."""
        for field, given, kind in (("ts", ts, int), ("v", v, str)):
            if given is not kind:
                raise TypeError(
                    f'event "{name}": {field} = {given!r}: every event has {kind.__name__} there;'
                    " leave it out"
                )
        self.name = name
        self.data, self.user, self.ts, self.v = data, user, int, str
        self.members = MappingProxyType(dict(members or {}))
        self._whole = None if whole is None else _Envelope(whole, f'event "{name}"')
        self._data = None if whole is not None else _validator(data, f'event "{name}": data')
        self._user = None if whole is not None else _validator(user, f'event "{name}": user')

    def __repr__(self) -> str:
        return f"EventDefinition({self.name!r}, data={self.data!r})"

    @property
    def is_wildcard(self) -> bool:
        """Does it stand for every name that begins alike?"""
        return "*" in self.name

    @property
    def has_schema(self) -> bool:
        """Is anything asked of the event beyond its name?"""
        return bool(self.members or self._whole or self._data or self._user)

    def judge(self, parts: Parts) -> Judged:
        """What the schema makes of an event. Raises Unfit with every problem."""
        if self.members:
            member = self.members.get(parts.name)
            if member is None:
                names = ", ".join(sorted(self.members))
                raise Unfit([("name", f'"{parts.name}" is none of {names}')])
            return member.judge(parts)
        if self._whole is not None:
            return self._whole.judge(parts)
        problems: list[tuple[str, str]] = []
        data = _loaded(self._data, "data", parts.data, problems)
        user = _loaded(self._user, "user", parts.user or b"null", problems)
        if problems:
            raise Unfit(problems)
        return Judged(data, user)

    @property
    def validator(self) -> Validator | None:
        """What judges the data alone; None if nothing does, or the event is judged as a whole."""
        return self._data

    def json_schema(self) -> dict[str, Any]:
        """What is asked of `data` and `user`, as JSON Schema by field; only what is known."""
        if self._whole is not None:
            return self._whole.json_schema()
        found = {
            field: None if validator is None else validator.json_schema()
            for field, validator in (("data", self._data), ("user", self._user))
        }
        return {field: schema for field, schema in found.items() if schema is not None}


def _validator(schema: Any, named: str) -> Validator | None:
    return None if schema is Any or schema is None else validator_of_object(schema, named)


def _loaded(
    validator: Validator | None, field: str, body: bytes, problems: list[tuple[str, str]]
) -> dict[str, Any] | None:
    if validator is None:
        return None
    try:
        found: dict[str, Any] | None = validator.dump(validator.load(body))
    except Unfit as error:
        problems.extend(error.below(field).problems)
        return None
    return found


class _Envelope:
    """A type of whole events."""

    def __init__(self, kind: Any, named: str) -> None:
        self._fields = fields_of(kind) or {}
        self._validator = validator_of_type(kind, named)
        self._named = named

    def judge(self, parts: Parts) -> Judged:
        if self._validator is None:
            return Judged()
        given: dict[str, object] = {"name": parts.name, "data": msgspec.Raw(parts.data)}
        if parts.user is not None:
            given["user"] = msgspec.Raw(parts.user)
        given.update((f, getattr(parts, f)) for f in ("id", "ts", "v") if getattr(parts, f))
        try:
            return self._judged(self._validator, given)
        except Unfit:
            if parts.data != b"{}":
                raise
            del given["data"]  # missing data travels as an empty object
            with suppress(Unfit):
                return self._judged(self._validator, given)
            raise

    def _judged(self, validator: Validator, given: dict[str, object]) -> Judged:
        body = msgspec.json.encode({k: v for k, v in given.items() if k in self._fields})
        found = validator.dump(validator.load(body))
        return Judged(found.get("data"), found.get("user"))

    def json_schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field in ("data", "user"):
            kind = bare(self._fields.get(field, Any))
            validator = _validator(kind, f"{self._named}: {field}")
            schema = None if validator is None else validator.json_schema()
            if schema is not None:
                found[field] = schema
        return found


# Reading what users write


def definition_of(name: str, entry: Any) -> EventDefinition:
    """The event that one entry of a record describes.

    Raises EventSchemaError for a name that clashes with its key, TypeError for data that is no
    object.
    """
    if entry is None:
        return EventDefinition(name)
    if isinstance(entry, Mapping):
        return _from_fields(name, cast("Mapping[str, Any]", entry))
    kind = kind_of(entry) if not isinstance(entry, type) or _names_event(entry) else None
    if kind is not None:
        _refuse_clash(name, (kind.name,))
        return EventDefinition(name, data=Any if kind.schema is None else kind.schema)
    if is_type(entry):
        return _from_type(name, entry)
    return EventDefinition(name, data=entry)


def _from_fields(name: str, entry: Mapping[str, Any]) -> EventDefinition:
    unknown = sorted(str(key) for key in entry if key not in _ENTRY)
    if unknown:
        raise EventSchemaError(
            f'event "{name}": {", ".join(unknown)} is no part of an event\'s schema;'
            " describe data and user, as in {'data': UserCreated}"
        )
    given = entry.get("name")
    if given is not None:
        _refuse_clash(name, (given,) if isinstance(given, str) else literals(given))
    return EventDefinition(name, data=entry.get("data", Any), user=entry.get("user", Any))


def _from_type(name: str, kind: Any) -> EventDefinition:
    members = list(members_of(kind))
    if all(is_envelope(member) for member in members):
        named = [(member, literals((fields_of(member) or {}).get("name"))) for member in members]
        if "*" in name and all(names for _, names in named):
            return EventDefinition(
                name,
                data=Any,
                members={
                    one: found for member, _ in named for one, found in envelope(member).items()
                },
            )
        for _, names in named:
            if names:
                _refuse_clash(name, names)
        return _of_envelope(name, kind)
    return EventDefinition(name, data=kind)


def _of_envelope(name: str, kind: Any) -> EventDefinition:
    members = [fields_of(member) or {} for member in members_of(kind)]
    data = {identity(bare(m.get("data", Any))): bare(m.get("data", Any)) for m in members}
    user = {identity(bare(m.get("user", Any))): bare(m.get("user", Any)) for m in members}
    for field, kinds in (("data", data), ("user", user)):
        for one in kinds.values():
            _validator(without_none(one), f'event "{name}": {field}')
    made = EventDefinition(name, whole=kind)
    made.data = union_of(list(data.values()))
    made.user = union_of(list(user.values()))
    return made


def envelopes(union: Any) -> dict[str, EventDefinition]:
    """The events of a union of envelopes, by name. Raises EventSchemaError for others."""
    found: dict[str, EventDefinition] = {}
    for member in members_of(union):
        found.update(envelope(member))
    return found


def envelope(member: Any) -> dict[str, EventDefinition]:
    """The events of one envelope, by the literals of its name, or of one event type.

    Raises EventSchemaError for a type that does not fix its name.
    """
    kind = kind_of(member) if not isinstance(member, type) or _names_event(member) else None
    if kind is not None:
        return {kind.name: definition_of(kind.name, member)}
    names = literals((fields_of(member) or {}).get("name")) if is_type(member) else ()
    if not names:
        raise EventSchemaError(
            f"{member!r} names no event: give it a field name: Literal['user/created'], or make it"
            " an EventModel"
        )
    return {name: _of_envelope(name, member) for name in names}


def _refuse_clash(name: str, names: tuple[str, ...]) -> None:
    if "*" in name or set(names) == {name}:
        return
    error = EventSchemaError(NAME_CLASH)
    error.add_note(f'the entry "{name}" names the event {", ".join(map(repr, names)) or "nothing"}')
    raise error


def _names_event(entry: type) -> bool:
    """Is a class an event type by itself? The class `Event` is not."""
    try:
        return kind_of(entry) is not None
    except TypeError:
        return False
