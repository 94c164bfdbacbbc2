"""What was made for a type, kept by it: the only place that says when two types are the same.

Equality does not say it: `A | B` equals `B | A`, but a value that fits both becomes an A or a B by
their order; `Annotated` types are equal when what they add is, by whatever that calls equal.
"""

from collections.abc import Callable
from types import GenericAlias
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin

_KEPT_MAX = 4096

T = TypeVar("T")


def type_key(kind: Any) -> object:
    """A key two types share only if values of both are written and read alike.

    Classes count by identity, parts in their order, values of a Literal with their types, what
    Annotated adds by identity: whoever keeps the key keeps the type too. TypeError for a type that
    cannot be hashed.
    """
    if isinstance(kind, type):
        return kind
    if type(kind) is GenericAlias:  # the usual case
        return (kind.__origin__, *map(type_key, kind.__args__))
    arguments: tuple[object, ...] = get_args(kind)
    if not arguments:
        return kind
    origin = get_origin(kind)
    if origin is Literal:
        return (origin, *((type(value), value) for value in arguments))
    if origin is Annotated:
        return (origin, type_key(arguments[0]), *map(id, arguments[1:]))
    return (origin, *map(type_key, arguments))


class KeptByType(Generic[T]):
    """What was made for each type. Begins anew when there are too many: a loop may make types."""

    def __init__(self) -> None:
        self._kept: dict[object, tuple[object, T]] = {}

    def get(self, kind: Any, make: Callable[[Any], T]) -> T:
        """What was made for this type; `make` makes it the first time."""
        try:
            key = type_key(kind)
            found = self._kept.get(key)
        except TypeError:
            return make(kind)
        if found is not None:
            return found[1]
        made = make(kind)
        if len(self._kept) >= _KEPT_MAX:
            self._kept.clear()
        self._kept[key] = (kind, made)
        return made
