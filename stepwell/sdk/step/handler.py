"""What a user's callable looks like: its colour, its parameters, the type it returns.

The only place that inspects callables. Nothing is remembered of them: handlers of steps are often
made anew on every call, and callables that share their code (closures of one factory, functions
behind one decorator) differ in all that matters here. So each is looked at whenever it is met, and
that is cheap.
"""

import enum
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache, partial
from types import BuiltinFunctionType, CodeType, FunctionType, GenericAlias, MethodType
from typing import (
    Any,
    ForwardRef,
    Literal,
    TypeVar,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from stepwell.sdk.value.codec import PLAIN, Codec, CodecError, codec_of

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

    __slots__ = ("codec", "colour", "problem")

    def __init__(self, colour: Colour, codec: Codec, problem: str) -> None:
        self.colour = colour
        self.codec = codec
        self.problem = problem


def traits_of(handler: Callable[..., object]) -> Traits:
    """What is known of a handler."""
    kind, problem = _result(handler)
    try:
        return Traits(_colour(handler), codec_of(kind), problem)
    except CodecError as error:
        return Traits(_colour(handler), PLAIN, str(error))


def _colour(handler: Callable[..., object]) -> Colour:
    if is_async(handler):
        return Colour.COROUTINE
    return Colour.EXPRESSION if getattr(handler, "__name__", "") == _LAMBDA else Colour.PLAIN


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


def _is_unadorned(handler: object) -> bool:
    """Is this a function without attributes, so that no wrapped one and no mark is among them?"""
    return type(handler) is FunctionType and not handler.__dict__


def is_async(handler: Callable[..., object]) -> bool:
    """Does calling it give a coroutine, however it is wrapped?"""
    if _is_unadorned(handler):
        return bool(cast(FunctionType, handler).__code__.co_flags & inspect.CO_COROUTINE)
    if inspect.iscoroutinefunction(handler):
        return True
    bare = _bare(handler)
    if isinstance(bare, type):
        return False
    return inspect.iscoroutinefunction(bare) or inspect.iscoroutinefunction(inspect.unwrap(bare))


def place_of(handler: Callable[..., object]) -> tuple[str, int] | None:
    """The file and line where a handler begins; None if it is not written in Python."""
    function = inspect.unwrap(_bare(handler))
    if not isinstance(function, FunctionType):
        return None
    return function.__code__.co_filename, function.__code__.co_firstlineno


def return_type(handler: Callable[..., object]) -> Any:
    """The annotated type of a handler's result, awaited; Any if it says nothing.

    A class is the type of what it makes.
    """
    return _result(handler)[0]


def _result(handler: Callable[..., object]) -> tuple[Any, str]:
    """The type of a handler's result, and why its annotation means nothing here, if so."""
    given: Any = Any
    try:
        function, given = _annotated(handler)
        if given is Any or type(given) is type:
            return given, ""
        found = _meant(function, given)
    except Exception as error:  # noqa: BLE001 - a name that only checkers can see, say
        shown = "" if given is Any else f" {given!r}"
        return Any, (
            f"its annotation{shown} cannot be read when the program runs: {error}; import what"
            " it names outside of TYPE_CHECKING"
        )
    if getattr(found, "__origin__", None) in (Coroutine, Awaitable):
        found = get_args(found)[-1]
    return found, ""


def _annotated(handler: Callable[..., object]) -> tuple[Callable[..., object], Any]:
    """The function whose names an annotation of the result uses, and the annotation as written."""
    if _is_unadorned(handler):
        return handler, handler.__annotations__.get("return", Any)
    bare = _bare(handler)
    if isinstance(bare, type):
        return bare, bare
    own = getattr(bare, "__annotations__", {})
    if "__wrapped__" not in getattr(bare, "__dict__", ()):
        return bare, own.get("return", Any)
    inner = inspect.unwrap(bare)
    theirs = getattr(inner, "__annotations__", {}).get("return", Any)
    given = own.get("return", theirs)  # a wrapper may return something else, and say so
    return (inner if given == theirs else bare), given


def _meant(function: Callable[..., object], given: Any) -> Any:
    """What an annotation stands for. Raises whatever its evaluation raises."""
    found = given
    if isinstance(given, str) and isinstance(function, FunctionType):
        found = _evaluated(function, given)
    if isinstance(found, type) or found is None or not _names_more(found):
        return found
    return get_type_hints(function, localns=_closure(function), include_extras=True)["return"]


def _evaluated(function: FunctionType, text: str) -> Any:
    """An annotation that is text, where the function was written; as it is if that fails."""
    code = _compiled(text)
    names = function.__code__.co_freevars
    local = _closure(function) if names and not set(names).isdisjoint(code.co_names) else None
    try:
        return eval(code, function.__globals__, local)  # noqa: S307 - what Python does with it too
    except NameError:
        return text  # a parameter of its type, perhaps


@lru_cache(maxsize=1024)
def _compiled(text: str) -> CodeType:
    """An annotation that is text as code: the same wherever it stands."""
    return compile(text.strip(), "<annotation>", "eval")


def _names_more(kind: Any) -> bool:
    """Does a type name another one by text, as `list["Order"]` does?"""
    if isinstance(kind, type):
        return False
    if type(kind) is GenericAlias:
        return any(map(_names_more, kind.__args__))
    if isinstance(kind, str | ForwardRef):
        return True
    if get_origin(kind) is Literal:
        return False
    arguments = get_args(kind)
    if hasattr(kind, "__metadata__"):
        arguments = arguments[:1]
    return any(map(_names_more, arguments))


def event_type_asked(handler: Callable[..., object]) -> Any:
    """The events a handler's context is annotated with, as in `Context[Event[OrderPaid]]`.

    Any if it says nothing, or nothing that can be found out here.
    """
    return _event_type_in(context_asked(handler))


def context_asked(handler: Callable[..., object]) -> Any:
    """What a handler's first parameter is annotated with; None if it says nothing that can be
    found out here."""
    function = inspect.unwrap(_bare(handler))
    if not isinstance(function, FunctionType):
        return None
    names = list(inspect.signature(function).parameters)
    if isinstance(handler, MethodType) or (names and names[0] == "self"):
        names = names[1:]
    return parameter_hints(function).get(names[0]) if names else None


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
