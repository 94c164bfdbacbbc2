"""Which code a handler is, as a short text: the only place that tells one code from another.

The same code has the same fingerprint in every process and on every machine with the same version
of Python, wherever its file lies and on whichever line it begins. It is made of the instructions
of the handler and of the functions within it, with their constants and defaults, and of what they
close over; not of comments, the handler's own annotations and what docstrings of functions say, nor
of other functions that they call.
"""

import dis
import hashlib
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType
from typing import cast

CHARS = 12
_KIND = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_HAS_DOCSTRING: int = getattr(inspect, "CO_HAS_DOCSTRING", 0)
_LINE = "__firstlineno__"
_PLAIN = (int, float, complex, str, bytes, bool, type(None), type(Ellipsis))


def fingerprint(handler: Callable[..., object]) -> str:
    """Twelve hexadecimal digits that another handler has only if its code is the same; empty for
    one that is not written in Python."""
    parts = list(_Walk().callable(handler))
    if not any(part.startswith("code ") for part in parts):
        return ""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:CHARS]


class _Walk:
    """One look at a handler and all that belongs to it; each thing is looked at once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def callable(self, given: object) -> Iterator[str]:
        """What a callable consists of: those it wraps, too."""
        if id(given) in self._seen:
            yield "again"
            return
        self._seen.add(id(given))
        wrapped: object = getattr(given, "__wrapped__", None)
        if isinstance(given, partial):
            yield "partial"
            yield from self.callable(cast("partial[object]", given).func)
            yield from self.value(given.args)
            yield from self.value(tuple(sorted(given.keywords.items())))
        elif isinstance(given, MethodType):
            yield "method"
            yield from self.callable(given.__func__)
        elif isinstance(given, FunctionType):
            yield from self._function(given)
        elif not isinstance(given, type):
            called = getattr(type(given), "__call__", None)  # noqa: B004 - the method is wanted
            if isinstance(called, FunctionType):
                yield "object"
                yield from self._function(called)
        if callable(wrapped):
            yield "wraps"
            yield from self.callable(wrapped)

    def _function(self, given: FunctionType) -> Iterator[str]:
        yield from self._code(given.__code__)
        yield from self.value(given.__defaults__ or ())
        yield from self.value(tuple(sorted((given.__kwdefaults__ or {}).items())))
        for name, cell in zip(given.__code__.co_freevars, given.__closure__ or (), strict=False):
            yield f"closes over {name}"
            yield from self.value(_content(cell))

    def _code(self, code: CodeType) -> Iterator[str]:
        arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
        yield f"code {code.co_name} {arguments} {code.co_flags & _KIND} {_instructions(code)}"
        yield " ".join((*code.co_names, "/", *code.co_varnames, "/", *code.co_freevars))
        for one in code.co_consts[1:] if _begins_with_docstring(code) else code.co_consts:
            if isinstance(one, CodeType):
                yield from self._code(one)
            elif not (isinstance(one, int) and _LINE in code.co_names):
                yield from self.value(one)
        yield "end"

    def value(self, given: object) -> Iterator[str]:
        """A constant by what it is; anything else by its code, or by its type alone, because its
        text may name where it lies in memory."""
        if isinstance(given, _PLAIN):
            yield f"{type(given).__name__} {given!r}"
        elif isinstance(given, tuple):
            several = cast("tuple[object, ...]", given)
            yield f"tuple {len(several)}"
            for one in several:
                yield from self.value(one)
        elif isinstance(given, frozenset):
            # In no order of its own, and in another one in each process.
            found = ["\1".join(self.value(one)) for one in cast("frozenset[object]", given)]
            yield f"frozenset {sorted(found)}"
        elif isinstance(given, type):
            yield f"type {given.__qualname__}"
        elif isinstance(given, FunctionType | MethodType | partial):
            yield from self.callable(cast("Callable[..., object]", given))
        else:
            yield f"a {type(given).__qualname__}"


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        # Nothing was assigned yet.
        return None


def _instructions(code: CodeType) -> str:
    """What is carried out. The body of a class tells its line, since Python 3.14 by an instruction
    or by a constant as the number is small or not: so constants stand there by what they are."""
    if _LINE not in code.co_names:
        return code.co_code.hex()
    told: list[str] = []
    for one in dis.get_instructions(code):
        if one.opname == "STORE_NAME" and one.argval == _LINE:
            told.pop()
            continue
        is_constant = one.opcode in dis.hasconst or one.opname == "LOAD_SMALL_INT"
        told.append(f"{one.opname} {_shown(one.argval) if is_constant else one.arg}")
    return ", ".join(told)


def _shown(constant: object) -> str:
    return repr(constant) if isinstance(constant, _PLAIN) else type(constant).__qualname__


def _begins_with_docstring(code: CodeType) -> bool:
    """Whether the first constant is the text of a docstring, which Python marks since 3.14."""
    if _HAS_DOCSTRING:
        return bool(code.co_flags & _HAS_DOCSTRING)
    is_function = bool(code.co_flags & inspect.CO_NEWLOCALS) and not code.co_name.startswith("<")
    return is_function and bool(code.co_consts) and isinstance(code.co_consts[0], str)
