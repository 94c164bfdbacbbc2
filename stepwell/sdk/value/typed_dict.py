"""TypedDicts as Pydantic reads them: those of `typing` count only from Python 3.12 on.

The only place that knows the difference. A type is rebuilt with the TypedDicts inside it replaced;
whatever contains none stays itself.
"""

import typing
from types import UnionType
from typing import (
    Annotated,
    Any,
    NotRequired,
    Required,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import typing_extensions
from typing_extensions import TypeAliasType

from stepwell.sdk.value.kept import KeptByType

_DEPTH_MAX = 20


_known: KeptByType[Any] = KeptByType()


def readable(kind: Any) -> Any:
    """The type with every TypedDict of `typing` in it as one of `typing_extensions`.

    The same type gives the same one again. A TypedDict that contains itself becomes a dict.
    """
    return _known.get(kind, _rebuilt_or_dict)


def _rebuilt_or_dict(kind: Any) -> Any:
    try:
        return _rebuilt(kind, 0)
    except RecursionError:
        return dict[str, Any]


def contains_itself(kind: Any) -> bool:
    """Is this a TypedDict of `typing` that cannot be replaced, because it contains itself?"""
    try:
        _rebuilt(kind, 0)
    except RecursionError:
        return True
    return False


def _rebuilt(kind: Any, depth: int) -> Any:
    if depth > _DEPTH_MAX:
        raise RecursionError("a TypedDict that contains itself")
    if isinstance(kind, TypeAliasType):
        inner = _rebuilt(kind.__value__, depth + 1)
        return kind if inner is kind.__value__ else inner
    if typing.is_typeddict(kind):
        return _dict_rebuilt(kind, depth)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        inner = _rebuilt(args[0], depth + 1)
        return kind if inner is args[0] else Annotated[(inner, *args[1:])]
    if origin is None or origin is typing.Literal or not args:
        return kind
    rebuilt = [_rebuilt(arg, depth + 1) for arg in args]
    if all(new is old for new, old in zip(rebuilt, args, strict=True)):
        return kind
    if origin in (Union, UnionType):
        return cast(Any, Union)[tuple(rebuilt)]
    return origin[tuple(rebuilt)]


def _dict_rebuilt(kind: Any, depth: int) -> Any:
    hints = get_type_hints(kind, include_extras=True)
    fields: dict[str, Any] = {}
    for key, hint in hints.items():
        wrapper = Required if key in kind.__required_keys__ else NotRequired
        while get_origin(hint) in (Required, NotRequired):
            # What the hint says counts: where annotations are text, the sets of keys are wrong.
            wrapper = get_origin(hint)
            (hint,) = get_args(hint)  # noqa: PLW2901 - one wrapper less
        fields[key] = wrapper[_rebuilt(hint, depth + 1)]
    make: Any = typing_extensions.TypedDict
    made = make(kind.__name__, fields)
    made.__doc__, made.__module__ = kind.__doc__, kind.__module__
    return made
