"""What a user's callable looks like: its colour, its parameters, the type it returns.

The only place that inspects callables. What it learns is kept by code object, because handlers of
steps are often made anew on every call.
"""

import enum
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from stepwell.sdk.value.codec import PLAIN, Codec, CodecError, codec_of

_KEPT_MAX = 4096
_LAMBDA = "<lambda>"


class Colour(enum.Enum):
    """How a callable is called from a coroutine."""

    COROUTINE = "coroutine"
    EXPRESSION = "expression"
    """On the event loop, for it may well return an awaitable: a lambda."""
    PLAIN = "plain"
    """In a thread, for it may block."""


class Traits:
    """What is known of one callable: where it runs, and how its result travels.

    `problem` says why its annotation could not be used, if so.
    """

    __slots__ = ("code", "codec", "colour", "problem")

    def __init__(
        self, code: CodeType | None, *, colour: "Colour", codec: Codec, problem: str
    ) -> None:
        self.code = code  # keeps it alive, so that its identity stays its own
        self.colour = colour
        self.codec = codec
        self.problem = problem


_kept: dict[int, Traits] = {}


def traits_of(handler: Callable[..., object]) -> Traits:
    """What is known of a handler. Cheap when its code was seen before."""
    code: CodeType | None = getattr(handler, "__code__", None)
    if code is None:
        return _inspect(handler, None)
    found = _kept.get(id(code))
    if found is None:
        if len(_kept) >= _KEPT_MAX:
            _kept.clear()
        found = _kept[id(code)] = _inspect(handler, code)
    return found


def _inspect(handler: Callable[..., object], code: CodeType | None) -> Traits:
    colour = Colour.PLAIN
    if is_async(handler):
        colour = Colour.COROUTINE
    elif getattr(handler, "__name__", "") == _LAMBDA:
        colour = Colour.EXPRESSION
    try:
        kind = return_type(handler)
        problem = _unknown_type(handler) if kind is Any else ""
        return Traits(code, colour=colour, codec=codec_of(kind), problem=problem)
    except CodecError as error:
        return Traits(code, colour=colour, codec=PLAIN, problem=str(error))


def _bare(handler: Callable[..., object]) -> Callable[..., object]:
    """The function behind partials, methods and callable objects."""
    while isinstance(handler, partial):
        handler = handler.func
    if isinstance(handler, MethodType):
        handler = handler.__func__
    if isinstance(handler, FunctionType | BuiltinFunctionType | type):
        return handler
    called = getattr(type(handler), "__call__", handler)  # noqa: B004 - the method itself is wanted
    return called if isinstance(called, FunctionType) else handler


def is_async(handler: Callable[..., object]) -> bool:
    """Does calling it give a coroutine, however it is wrapped?"""
    if inspect.iscoroutinefunction(handler):
        return True
    bare = _bare(handler)
    if isinstance(bare, type):
        return False
    return inspect.iscoroutinefunction(bare) or inspect.iscoroutinefunction(inspect.unwrap(bare))


def return_type(handler: Callable[..., object]) -> Any:
    """The annotated type of a handler's result, awaited; Any if it says nothing.

    A class is the type of what it makes.
    """
    bare = _bare(handler)
    if isinstance(bare, type):
        return bare
    found = _annotation(bare)
    if get_origin(found) in (Coroutine, Awaitable):
        found = get_args(found)[-1]
    return found


def _annotation(bare: Callable[..., object]) -> Any:
    given = getattr(inspect.unwrap(bare), "__annotations__", {}).get("return", Any)
    if not isinstance(given, str):
        return Any if given is None and "return" not in bare.__annotations__ else given
    function = inspect.unwrap(bare)
    try:
        return get_type_hints(function, localns=_closure(function), include_extras=True)["return"]
    except Exception:  # noqa: BLE001 - a name that only checkers can see, say
        return Any


def _unknown_type(handler: Callable[..., object]) -> str:
    """What is wrong with an annotation that means nothing here; empty if nothing is."""
    function = inspect.unwrap(_bare(handler))
    given = getattr(function, "__annotations__", {}).get("return")
    if not isinstance(given, str):
        return ""
    try:
        get_type_hints(function, localns=_closure(function))
    except Exception as error:  # noqa: BLE001 - a name that only checkers can see, say
        return (
            f"its annotation {given!r} cannot be read when the program runs: {error}; import what"
            " it names outside of TYPE_CHECKING"
        )
    return ""


def event_type_asked(handler: Callable[..., object]) -> Any:
    """The events a handler's context is annotated with, as in `Context[Event[OrderPaid]]`.

    Any if it says nothing, or nothing that can be found out here.
    """
    function = inspect.unwrap(_bare(handler))
    if not isinstance(function, FunctionType):
        return Any
    hints = parameter_hints(function)
    names = list(inspect.signature(function).parameters)
    if isinstance(handler, MethodType) or (names and names[0] == "self"):
        names = names[1:]
    return _event_type_in(hints.get(names[0])) if names else Any


def parameter_hints(handler: Callable[..., object]) -> dict[str, Any]:
    """The annotations of a handler, with what `Annotated` adds; those that can be found out here.

    A class is annotated as its `__init__` is.
    """
    function: Any = inspect.unwrap(_bare(handler))
    if isinstance(function, type):
        function = getattr(function, "__init__")  # noqa: B009 - checkers distrust it on instances
    if not isinstance(function, FunctionType):
        return {}
    try:
        return get_type_hints(function, localns=_closure(function), include_extras=True)
    except Exception:  # noqa: BLE001 - a name that only checkers can see, say
        return {k: v for k, v in function.__annotations__.items() if not isinstance(v, str)}


def _event_type_in(context: Any) -> Any:
    """The type argument of a context, or of the context a class inherits from."""
    origin, arguments = get_origin(context), get_args(context)
    if arguments and getattr(origin, "holds_events", False):
        return Any if isinstance(arguments[0], TypeVar) else arguments[0]
    for parent in getattr(context, "__orig_bases__", ()):
        found = _event_type_in(parent)
        if found is not Any:
            return found
    return Any


def _closure(function: Callable[..., object]) -> dict[str, Any]:
    """The variables of enclosing functions: annotations written as text may name them."""
    if not isinstance(function, FunctionType):
        return {}
    found = inspect.getclosurevars(function)
    return {**found.nonlocals}


def positional_parameters(handler: Callable[..., object]) -> int | None:
    """How many positional arguments a handler requires; None if that cannot be told."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(1 for p in parameters if p.kind in kinds and p.default is inspect.Parameter.empty)
