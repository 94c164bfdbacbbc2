"""JSON Schema as shapes: what is understood of it.

The only place that reads JSON Schema. Understood is what data of events consists of: objects,
lists, scalars, choices, unions and references, with their usual bounds; what is not understood
asks nothing.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast

import msgspec

Kind: TypeAlias = Literal["str", "int", "float", "bool", "None"]


class Anything(msgspec.Struct, frozen=True):
    """Any value."""


class Scalar(msgspec.Struct, frozen=True):
    """One JSON value without parts; `bounds` are the keywords that narrow it."""

    kind: Kind
    bounds: tuple[tuple[str, Any], ...] = ()


class Choice(msgspec.Struct, frozen=True):
    """One of these values."""

    values: tuple[Any, ...]


class Listing(msgspec.Struct, frozen=True):
    """A list of values of one shape."""

    item: "Shape"
    bounds: tuple[tuple[str, Any], ...] = ()


class Table(msgspec.Struct, frozen=True):
    """An object whose keys are anything."""

    value: "Shape"


class Field(msgspec.Struct, frozen=True):
    """A named part of an object."""

    name: str
    shape: "Shape"
    required: bool
    description: str = ""


class Record(msgspec.Struct, frozen=True):
    """An object whose keys are known. `extra` says whether others may be there."""

    title: str
    fields: tuple[Field, ...]
    extra: bool = True
    description: str = ""


class Either(msgspec.Struct, frozen=True):
    """One of several shapes."""

    members: "tuple[Shape, ...]"


class Reference(msgspec.Struct, frozen=True):
    """A shape with a name of its own, which may contain itself."""

    name: str


Shape: TypeAlias = Anything | Scalar | Choice | Listing | Table | Record | Either | Reference

_SCALARS: dict[str, Kind] = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}
_BOUNDS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minLength", "maxLength", "pattern", "format", "minItems", "maxItems"),
)


class Schema(msgspec.Struct, frozen=True):
    """A document as shapes: the shape itself, and what its references name."""

    shape: Shape
    named: dict[str, Shape]


def read_schema(schema: Mapping[str, Any], document: Mapping[str, Any] | None = None) -> Schema:
    """Read a JSON Schema; references point into `document`, the schema itself by default.

    Raises ValueError for a reference that leads nowhere.
    """
    reading = _Reading(document or schema)
    return Schema(reading.shape(schema), reading.named)


class _Reading:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self.named: dict[str, Shape] = {}
        self._names: dict[str, str] = {}

    def shape(self, given: Any) -> Shape:
        if not isinstance(given, Mapping):
            return Anything()
        schema = cast("Mapping[str, Any]", given)
        if "$ref" in schema:
            return self._reference(str(schema["$ref"]))
        if "const" in schema:
            return Choice((schema["const"],))
        if isinstance(schema.get("enum"), list):
            return Choice(tuple(schema["enum"]))
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list):
                return _either([self.shape(member) for member in schema[key]])
        if isinstance(schema.get("allOf"), list):
            return self._all_of(schema)
        kind = schema.get("type")
        if isinstance(kind, list):
            kinds = cast("list[object]", kind)
            return _either([self.shape({**schema, "type": one}) for one in kinds])
        return self._of_type(kind, schema)

    def _of_type(self, kind: object, schema: Mapping[str, Any]) -> Shape:
        bounds = tuple((key, schema[key]) for key in _BOUNDS if key in schema)
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema)
        if kind == "array":
            return Listing(self.shape(schema.get("items")), bounds)
        scalar = _SCALARS.get(str(kind))
        return Anything() if scalar is None else Scalar(scalar, bounds)

    def _object(self, schema: Mapping[str, Any]) -> Shape:
        properties = schema.get("properties")
        more = schema.get("additionalProperties", True)
        if not isinstance(properties, Mapping):
            return Table(Anything() if isinstance(more, bool) else self.shape(more))
        required = frozenset(cast("list[str]", schema.get("required") or []))
        fields = tuple(
            Field(name, self.shape(one), name in required, _text(one, "description"))
            for name, one in cast("Mapping[str, Any]", properties).items()
        )
        return Record(
            _text(schema, "title"), fields, more is not False, _text(schema, "description")
        )

    def _all_of(self, schema: Mapping[str, Any]) -> Shape:
        """Objects that must all hold are one object; a single member is itself."""
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        shapes = [self._resolved(self.shape(member)) for member in schema["allOf"]]
        if "properties" in rest:
            shapes.append(self.shape(rest))
        records = [shape for shape in shapes if isinstance(shape, Record)]
        if not records:
            return shapes[0] if shapes else Anything()
        fields = {field.name: field for record in records for field in record.fields}
        title = _text(schema, "title") or records[0].title
        return Record(title, tuple(fields.values()), all(record.extra for record in records))

    def _resolved(self, shape: Shape) -> Shape:
        while isinstance(shape, Reference):
            shape = self.named[shape.name]
        return shape

    def _reference(self, pointer: str) -> Shape:
        name = self._names.get(pointer)
        if name is None:
            target = resolve(pointer, self._document)
            name = self._names[pointer] = self._free_name(pointer, target)
            self.named[name] = Anything()  # while it is read, it may name itself
            self.named[name] = self.shape(target)
        return Reference(name)

    def _free_name(self, pointer: str, target: Any) -> str:
        wanted = pointer.rsplit("/", 1)[-1].strip("#") or _text(target, "title") or "Whole"
        name, number = wanted, 2
        while name in self.named:
            name, number = f"{wanted}{number}", number + 1
        return name


def resolve(pointer: str, document: Mapping[str, Any]) -> Any:
    """What a pointer such as `#/$defs/User` leads to. Raises ValueError if that is nothing."""
    found: Any = document
    for part in filter(None, pointer.removeprefix("#").split("/")):
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or key not in found:
            raise ValueError(f"the reference {pointer!r} leads nowhere in this document")
        found = cast("Mapping[str, Any]", found)[key]
    return found


def _either(members: list[Shape]) -> Shape:
    flat: list[Shape] = []
    for member in members:
        flat += member.members if isinstance(member, Either) else (member,)
    unique = [shape for index, shape in enumerate(flat) if shape not in flat[:index]]
    return unique[0] if len(unique) == 1 else Either(tuple(unique))


def _text(schema: Any, key: str) -> str:
    found = cast("Mapping[str, Any]", schema).get(key) if isinstance(schema, Mapping) else None
    return found if isinstance(found, str) else ""
