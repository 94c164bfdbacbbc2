"""Whether what was said of events still holds: the only place that compares two descriptions.

Events live longer than code: some are under way, or sent by programs nobody deploys today. A change
is *breaking* if data that fitted before may not fit any more.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from stepwell.sdk.events.shape import (
    Anything,
    Choice,
    Either,
    Listing,
    Record,
    Reference,
    Scalar,
    Schema,
    Shape,
    Table,
    read_schema,
)
from stepwell.sdk.events.shape_validator import misfits

_FLOORS = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems"})
_CEILINGS = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems"})


class Change(msgspec.Struct, frozen=True):
    """One difference. `path` is empty for an event as a whole."""

    event: str
    path: str
    text: str
    breaking: bool


def changes(
    old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]
) -> list[Change]:
    """What became of the events of `old`, given as JSON Schemas of `data` and `user` by name.

    Raises ValueError for a schema with a reference that leads nowhere.
    """
    found: list[Change] = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            found.append(Change(name, "", "is gone", breaking=True))
        elif name not in old:
            found.append(Change(name, "", "is new", breaking=False))
        else:
            for field in ("data", "user"):
                before, after = old[name].get(field), new[name].get(field)
                found += _field_changes(name, field, before, after)
    return found


def _field_changes(name: str, field: str, before: Any, after: Any) -> list[Change]:
    if after is None:
        text = "may be anything now"
        return [] if before is None else [Change(name, field, text, breaking=False)]
    comparing = _Comparing(read_schema(before or {}), read_schema(after))
    problems = comparing.narrowed(comparing.old.shape, comparing.new.shape, field)
    found = [Change(name, path, text, breaking=True) for path, text in problems]
    if not found and before != after:
        found.append(Change(name, field, "changed, and takes what it took before", breaking=False))
    return found


class _Comparing:
    """Two schemas, and the pairs of shapes under comparison: shapes may contain themselves."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self.old = old
        self.new = new
        self._under_way: set[tuple[str, str]] = set()

    def narrowed(self, old: Shape, new: Shape, path: str) -> list[tuple[str, str]]:
        """Where the new shape takes less than the old one."""
        if isinstance(old, Reference) or isinstance(new, Reference):
            return self._named(old, new, path)
        if isinstance(new, Anything):
            return []
        if isinstance(old, Either):
            return [one for member in old.members for one in self.narrowed(member, new, path)]
        if isinstance(new, Either):
            tried = [self.narrowed(old, member, path) for member in new.members]
            return [] if not all(tried) else min(tried, key=len)
        match old, new:
            case Record() | Table(), Record() | Table():
                return self._objects(old, new, path)
            case Listing(), Listing():
                bounds = _tightened(dict(old.bounds), dict(new.bounds))
                below = self.narrowed(old.item, new.item, f"{path}[]")
                return [*((path, text) for text in bounds), *below]
            case Choice(), _:
                lost = [
                    value for value in old.values if misfits(Schema(new, self.new.named), value)
                ]
                return [(path, f"takes {value!r} no more") for value in lost]
            case Scalar(), Scalar() if old.kind == new.kind or (old.kind, new.kind) == _WIDER:
                return [(path, text) for text in _tightened(dict(old.bounds), dict(new.bounds))]
            case _:
                return [(path, f"was {_name(old)}, is {_name(new)}")]

    def _named(self, old: Shape, new: Shape, path: str) -> list[tuple[str, str]]:
        before = self.old.named[old.name] if isinstance(old, Reference) else old
        after = self.new.named[new.name] if isinstance(new, Reference) else new
        if not (isinstance(old, Reference) and isinstance(new, Reference)):
            return self.narrowed(before, after, path)
        pair = (old.name, new.name)
        if pair in self._under_way:
            return []
        self._under_way.add(pair)
        found = self.narrowed(before, after, path)
        self._under_way.discard(pair)
        return found

    def _objects(
        self, old: Record | Table, new: Record | Table, path: str
    ) -> list[tuple[str, str]]:
        before = {} if isinstance(old, Table) else {field.name: field for field in old.fields}
        rest = old.value if isinstance(old, Table) else Anything()
        found: list[tuple[str, str]] = []
        if isinstance(new, Table):
            for name, field in before.items():
                found += self.narrowed(field.shape, new.value, f"{path}.{name}")
            return found + (self.narrowed(rest, new.value, f"{path}.*") if not before else [])
        for field in new.fields:
            known, place = before.get(field.name), f"{path}.{field.name}"
            if field.required and (known is None or not known.required):
                found.append((place, "is required now"))
            if known is not None:
                found += self.narrowed(known.shape, field.shape, place)
            elif isinstance(old, Table):
                found += self.narrowed(rest, field.shape, place)
        named = {field.name for field in new.fields}
        if not new.extra:
            found += [(f"{path}.{name}", "is refused now") for name in before if name not in named]
        return found


_WIDER = ("int", "float")


def _tightened(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for keyword, bound in new.items():
        before = old.get(keyword)
        if before is None:
            found.append(f"has {keyword} {bound!r} now")
        elif before != bound:
            looser = (keyword in _FLOORS and bound < before) or (
                keyword in _CEILINGS and bound > before
            )
            if not looser:
                found.append(f"has {keyword} {bound!r} instead of {before!r}")
    return found


def _name(shape: Shape) -> str:
    match shape:
        case Scalar():
            return {"str": "text", "int": "a whole number", "float": "a number"}.get(
                shape.kind, "a boolean" if shape.kind == "bool" else "null"
            )
        case Choice():
            return f"one of {', '.join(map(repr, shape.values))}"
        case Listing():
            return "a list"
        case Record() | Table():
            return "an object"
        case _:
            return "anything"
