"""What can be read off a type: fields of a class, members of a union, literals of a name.

The only place that looks inside types for `EventSchemas`.
"""

from collections.abc import Iterator
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
import pydantic
from typing_extensions import ReadOnly, TypeAliasType, is_typeddict

from stepwell.sdk.events.validator import travels_as_object

_ENVELOPE = frozenset({"name", "data", "user", "id", "ts", "v", "meta"})
_WRAPPERS = (Annotated, Required, NotRequired, ReadOnly)


def members_of(kind: Any) -> Iterator[Any]:
    """The members of a union, however it is written; a type alone is its only member."""
    origin = get_origin(kind)
    if isinstance(kind, TypeAliasType):
        yield from members_of(kind.__value__)
    elif origin is Annotated:
        yield from members_of(get_args(kind)[0])
    elif origin in (Union, UnionType):
        for member in get_args(kind):
            yield from members_of(member)
    else:
        yield kind


def fields_of(kind: Any) -> dict[str, Any] | None:
    """The fields of a class and their types; None of what has none."""
    made = get_origin(kind) or kind
    if is_typeddict(made):
        return get_type_hints(made, include_extras=True)
    return _fields_of_class(cast("type[Any]", made)) if isinstance(made, type) else None


def _fields_of_class(made: type[Any]) -> dict[str, Any] | None:
    if issubclass(made, pydantic.BaseModel):
        return {field.alias or name: field.annotation for name, field in made.model_fields.items()}
    if is_dataclass(made):
        hints = get_type_hints(made, include_extras=True)
        return {field.name: hints[field.name] for field in dataclass_fields(made)}
    if issubclass(made, msgspec.Struct) or hasattr(made, "__attrs_attrs__"):
        return get_type_hints(made, include_extras=True)
    return None


def is_envelope(kind: Any) -> bool:
    """Is a type one of whole events, rather than of their data?

    It has fields of events only, and among them `data` or `user` that are objects, or nothing but
    a literal name.
    """
    fields = fields_of(kind)
    if not fields or not fields.keys() <= _ENVELOPE:
        return False
    payloads = [fields[field] for field in ("data", "user") if field in fields]
    if payloads:
        return all(travels_as_object(without_none(bare(kind))) for kind in payloads)
    return fields.keys() == {"name"} and bool(literals(fields["name"]))


def literals(kind: Any) -> tuple[str, ...]:
    """The texts a literal type allows; none of any other type."""
    plain = bare(kind)
    if isinstance(plain, TypeAliasType):
        return literals(plain.__value__)
    if get_origin(plain) is not Literal:
        return ()
    found = get_args(plain)
    return found if all(isinstance(text, str) for text in found) else ()


def bare(kind: Any) -> Any:
    """A type without what is only said about it."""
    while get_origin(kind) in _WRAPPERS:
        kind = get_args(kind)[0]
    return kind


def without_none(kind: Any) -> Any:
    """A type without None: what may be absent may be null."""
    members = [m for m in members_of(kind) if m is not type(None)] if _is_union(kind) else [kind]
    return union_of(members)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def union_of(kinds: list[Any]) -> Any:
    """A union of these; one alone is itself."""
    return kinds[0] if len(kinds) == 1 else cast(Any, Union)[tuple(kinds)]


def identity(kind: Any) -> object:
    """What tells one type from another, also where types cannot be hashed."""
    try:
        hash(kind)
    except TypeError:
        return id(kind)
    return cast(object, kind)
