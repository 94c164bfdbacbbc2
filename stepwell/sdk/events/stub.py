"""Shapes as the source of types: the only place that writes TypedDicts.

Names are made of titles and places; one name never stands for two shapes.
"""

import keyword
import re
from collections.abc import Iterator, Mapping
from typing import Any

from stepwell.sdk.events.shape import (
    Anything,
    Choice,
    Either,
    Field,
    Listing,
    Record,
    Reference,
    Scalar,
    Schema,
    Shape,
    Table,
)

_WORD = re.compile(r"[A-Za-z0-9]+")


def class_name(text: str) -> str:
    """A name for a class: `user/created.v2` becomes `UserCreatedV2`."""
    words = _WORD.findall(text)
    made = "".join(word[:1].upper() + word[1:] for word in words) or "Event"
    return f"_{made}" if made[0].isdigit() else made


def variable_name(text: str) -> str:
    """A name for a variable: `user/created.v2` becomes `user_created_v2`."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text)
    made = "_".join(_WORD.findall(spaced)).lower() or "event"
    return f"_{made}" if made[0].isdigit() else f"{made}_" if keyword.iskeyword(made) else made


def is_name(text: str) -> bool:
    """Can a text be an argument's name?"""
    return text.isidentifier() and not keyword.iskeyword(text)


class Types:
    """The types of one module; `text` is their source, in the order in which they are needed."""

    def __init__(self, taken: frozenset[str] = frozenset()) -> None:
        """Begin; `taken` are names the module has already."""
        self._taken: dict[str, Shape | None] = dict.fromkeys(taken)
        self._written: list[str] = []
        self.names: list[str] = []
        """The types that were written."""

    @property
    def text(self) -> str:
        """The source of all types so far."""
        return "\n\n".join(self._written)

    def reserve(self, wanted: str) -> str:
        """A name nobody else has: the wanted one, or one with a number."""
        return self._named(wanted, None)

    def add(self, wanted: str, schema: Schema) -> str:
        """How a schema is written as a type; records are called `wanted` if they have no title."""
        return _Writing(self, schema).type_of(schema.shape, wanted)

    def define(self, name: str, source: Iterator[str]) -> None:
        """Keep the source of a type."""
        self.names.append(name)
        self._written.append("\n".join(source))

    def _named(self, wanted: str, shape: Shape | None) -> str:
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}{number}", number + 1
        self._taken[name] = shape
        return name

    def known(self, wanted: str, shape: Shape) -> str | None:
        """The name under which this very shape was written before, if it was."""
        return wanted if shape == self._taken.get(wanted) else None

    def take(self, wanted: str, shape: Shape) -> str:
        """A name for a shape, nobody else's."""
        return self._named(wanted, shape)


class _Writing:
    """The types of one schema."""

    def __init__(self, types: Types, schema: Schema) -> None:
        self._types = types
        self._schema = schema
        self._references: dict[str, str] = {}

    def type_of(self, shape: Shape, wanted: str) -> str:
        match shape:
            case Anything():
                return "Any"
            case Scalar():
                return shape.kind
            case Choice():
                return _literal(shape.values)
            case Listing():
                return f"list[{self.type_of(shape.item, f'{wanted}Item')}]"
            case Table():
                return f"dict[str, {self.type_of(shape.value, f'{wanted}Value')}]"
            case Either():
                several = enumerate(shape.members, 1)
                parts = [
                    self.type_of(one, f"{wanted}{n}" if n > 1 else wanted) for n, one in several
                ]
                return " | ".join(dict.fromkeys(parts))
            case Reference():
                return self._reference(shape)
            case Record():
                return self._record(shape, class_name(shape.title) if shape.title else wanted)

    def _reference(self, shape: Reference) -> str:
        found = self._references.get(shape.name)
        if found is not None:
            return found
        named = self._schema.named[shape.name]
        if not isinstance(named, Record):
            # What is no object needs no name, unless it contains itself.
            self._references[shape.name] = "Any"
            self._references[shape.name] = self.type_of(named, class_name(shape.name))
            return self._references[shape.name]
        wanted = class_name(shape.name)
        known = self._types.known(wanted, named)
        name = known or self._types.take(wanted, named)
        self._references[shape.name] = name
        if known is None:
            self._write(name, named)
        return name

    def _record(self, shape: Record, wanted: str) -> str:
        known = self._types.known(wanted, shape)
        if known is not None:
            return known
        name = self._types.take(wanted, shape)
        self._write(name, shape)
        return name

    def _write(self, name: str, shape: Record) -> None:
        fields = [(field, self._field(field, name)) for field in shape.fields]
        self._types.define(name, _typed_dict(name, shape, fields))

    def _field(self, field: Field, owner: str) -> str:
        written = self.type_of(field.shape, f"{owner}{class_name(field.name)}")
        return written if field.required else f"NotRequired[{written}]"


def _typed_dict(name: str, shape: Record, fields: list[tuple[Field, str]]) -> Iterator[str]:
    if all(is_name(field.name) for field, _ in fields):
        yield f"class {name}(TypedDict):"
        yield f'    """{_line(shape.description) or "The data of an event."}"""'
        for field, written in fields:
            comment = f"  # {_line(field.description)}" if field.description else ""
            yield f"    {field.name}: {written}{comment}"
    else:
        yield f'{name} = TypedDict("{name}", {{'
        for field, written in fields:
            yield f"    {field.name!r}: {written},"
        yield "})"


def _line(text: str) -> str:
    return " ".join(text.replace('"""', "'''").replace("\\", "/").split())


def _literal(values: tuple[Any, ...]) -> str:
    if all(isinstance(value, str | int | bool | None) for value in values):
        return f"Literal[{', '.join(map(repr, values))}]"
    return "Any"


def arguments_of(schema: Schema) -> Mapping[str, Field] | None:
    """The fields of an object as keyword arguments; None if they cannot be."""
    shape = schema.shape
    while isinstance(shape, Reference):
        shape = schema.named[shape.name]
    if not isinstance(shape, Record):
        return None
    if not all(is_name(field.name) and field.name != "self" for field in shape.fields):
        return None
    return {field.name: field for field in shape.fields}
