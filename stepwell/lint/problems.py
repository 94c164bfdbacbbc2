"""The rules: mistakes with steps that can be seen in the source of a module. Pure.

Only what is surely wrong is told: a name that comes from another module is not guessed at.
"""

import ast
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from stepwell.lint.names import (
    Function,
    Handler,
    Names,
    arguments_of,
    bound_in,
    containers_in,
    names_of,
    own_nodes,
)

NOT_AWAITED: Final = "SW101"
NESTED: Final = "SW102"
CHANGED: Final = "SW103"

_CHANGES = frozenset(
    {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem"}
    | {"remove", "reverse", "setdefault", "sort", "update"}
)
_IGNORED = re.compile(r"#\s*noqa(?:\s*:\s*([A-Z][^#]*))?", re.IGNORECASE)
_LINE_END = re.compile("\r\n|\r|\n")
"""What ends a line for Python: a form feed does not."""
_CODE = re.compile(r"\bSW\d+", re.IGNORECASE)


class Problem(msgspec.Struct, frozen=True, order=True):
    """Something to mend. `line` counts from 1, `column` from 0."""

    line: int
    column: int
    code: str
    message: str


def problems_in(source: str) -> list[Problem]:
    """The problems of a module's source, but for lines with `# noqa` or `# noqa: SW101`.

    Raises SyntaxError for what is not Python, RecursionError or MemoryError for what is nested too
    deeply for its parser.
    """
    lines = _LINE_END.split(source)
    return [one for one in problems_of(ast.parse(source)) if not _is_ignored(lines, one)]


def problems_of(tree: ast.Module) -> list[Problem]:
    """The same of a module's tree, in the order of its lines."""
    names = names_of(tree)
    found: set[Problem] = set()
    for node in ast.walk(tree):
        if isinstance(node, Function):
            found.update(_not_awaited(node, names))
            for handler in _handlers(node, names):
                found.update(_nested(handler, names))
                found.update(_changed(handler, bound_in(node), containers_in(node)))
    return sorted(found)


def _is_ignored(lines: list[str], problem: Problem) -> bool:
    for said in _IGNORED.finditer(lines[problem.line - 1]):
        if said[1] is None or problem.code in _CODE.findall(said[1].upper()):
            return True
    return False


def _not_awaited(function: Function, names: Names) -> Iterator[Problem]:
    """Steps and sends whose coroutine is thrown away."""
    is_async = isinstance(function, ast.AsyncFunctionDef)
    names = names.without(arguments_of(function))
    for node in own_nodes(function):
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
            continue
        asked = ast.unparse(node.value.func)
        if is_async and (names.is_step(node.value) or names.is_send(node.value)):
            yield _at(node, NOT_AWAITED, f"{asked}(...) is not awaited, so it never runs: await it")
        elif names.is_send(node.value):
            told = f"{asked}(...) in a plain function never runs: call {asked}_sync(...)"
            yield _at(node, NOT_AWAITED, told)


def _handlers(function: Function, names: Names) -> Iterator[Handler]:
    """What the function hands to steps, as far as it is written in it."""
    made = {node.name: node for node in own_nodes(function) if isinstance(node, Function)}
    for node in own_nodes(function):
        if not isinstance(node, ast.Call) or not names.is_step(node):
            continue
        for given in [*node.args[1:2], *(one.value for one in node.keywords)]:
            called = _without_partial(given)
            if isinstance(called, ast.Lambda):
                yield called
            elif isinstance(called, ast.Name) and called.id in made:
                yield made[called.id]


def _without_partial(given: ast.expr) -> ast.expr:
    if not isinstance(given, ast.Call) or not given.args:
        return given
    is_partial = ast.unparse(given.func) in {"partial", "functools.partial"}
    return given.args[0] if is_partial else given


def _nested(handler: Handler, names: Names) -> Iterator[Problem]:
    """Steps inside a step."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Call) and names.is_step(node):
            told = f"{ast.unparse(node.func)}(...) inside a step: do it before or after that step"
            yield _at(node, NESTED, told)


def _changed(
    handler: Handler, outside: frozenset[str], containers: frozenset[str]
) -> Iterator[Problem]:
    """Variables of the function that its step changes."""
    own = bound_in(handler)
    for node in own_nodes(handler):
        # `orders.update(...)` of anything else, such as a database, may well be what a step does.
        changeable = containers if isinstance(node, ast.Call) else outside
        for name in _changed_by(node):
            if name in changeable - own:
                told = (
                    f"{name} is changed inside a step, which does not run again once its result"
                    " is stored: return the value from the step"
                )
                yield _at(node, CHANGED, told)


def _changed_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Nonlocal():
            yield from node.names
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            yield from map(_inside_of, targets)
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            yield _inside_of(target)
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _CHANGES:
            yield _root_of(value)
        case _:
            pass


def _inside_of(target: ast.expr) -> str:
    """The variable in which an element or attribute is assigned to; "" for a plain name."""
    return "" if isinstance(target, ast.Name) else _root_of(target)


def _root_of(value: ast.expr) -> str:
    while isinstance(value, ast.Subscript | ast.Attribute):
        value = value.value
    return value.id if isinstance(value, ast.Name) else ""


def _at(node: ast.AST, code: str, message: str) -> Problem:
    assert isinstance(node, ast.stmt | ast.expr)
    return Problem(node.lineno, node.col_offset, code, message)
