"""What can be said of an expression before any event came: its kind, and that it is never true.

Pure, and careful: of what depends on the event nothing is said.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from stepwell.expr.dialect import Program, compile_node
from stepwell.expr.function import type_name
from stepwell.expr.tree import (
    Call,
    Const,
    EvaluationError,
    Fold,
    Ident,
    ListOf,
    MapOf,
    Node,
    Select,
    children,
)

Known: TypeAlias = Mapping[str, object]
"""Values known beforehand, by the path they are read at, such as `event.name`."""

BOOL = "bool"
NUMBER = "number"
_NUMBERS = frozenset({"int", "double", NUMBER})
_EITHER = "number or text"
_LOGIC = ("_&&_", "_||_")

_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "!_", "bool"), BOOL),
    **dict.fromkeys(("contains", "startsWith", "endsWith", "matches"), BOOL),
    **dict.fromkeys(("lowercase", "uppercase", "string", "b64decode"), "string"),
    **dict.fromkeys(("_-_", "_*_", "_/_", "_%_", "-_"), NUMBER),
    **dict.fromkeys(("int", "uint", "size"), "int"),
    "double": "double",
    "bytes": "bytes",
    "duration": "duration",
    **dict.fromkeys(("date", "timestamp", "now", "now_plus", "now_minus"), "date"),
}


def kind_of(program: Program) -> str | None:
    """What an expression gives, such as `bool` or `string`; None where that depends on the event.

    What a missing field makes of it is left out of account.
    """
    return _kind(program.tree, {})


def never_true(program: Program, known: Known) -> str | None:
    """Why an expression is true for no event, as the rest of a sentence; None if it may be."""
    kind = kind_of(program)
    if kind is not None and kind != BOOL:
        return f"gives a {kind}, never true or false"
    return _never(program.tree, known)


def _kind(node: Node, bound: Mapping[str, str | None]) -> str | None:
    match node:
        case Const(value):
            return str(type_name(value))
        case Ident(name):
            return bound.get(name)
        case Select():
            return BOOL if node.test else None
        case ListOf():
            return "list"
        case MapOf():
            return "map"
        case Fold():
            inner = {**bound, node.accumulator: _kind(node.initial, bound)}
            return _kind(node.result, inner)
        case Call():
            return _kind_of_call(node, bound)


def _kind_of_call(node: Call, bound: Mapping[str, str | None]) -> str | None:
    name = node.function
    if name in _LOGIC or name == "_?_:_":
        kinds = {_kind(arg, bound) for arg in node.args[-2:]}
        return kinds.pop() if len(kinds) == 1 else None
    if name == "_+_":
        return _kind_of_sum([_kind(arg, bound) for arg in node.args])
    return _KINDS.get(name)


def _kind_of_sum(kinds: list[str | None]) -> str | None:
    if "string" in kinds:
        return "string"
    if _NUMBERS.isdisjoint(kinds):
        return None
    return NUMBER if _NUMBERS.issuperset(kinds) else _EITHER


def _never(node: Node, known: Known) -> str | None:
    """Why the value is never `true`."""
    if isinstance(node, Call) and node.function == "_&&_":
        whole = list(_conjuncts(node))
        said = next((why for part in whole if (why := _never_holds(part, known))), None)
        # Only what stands last must be true itself; what stands before it must not be false.
        return said or _never(whole[-1], known) or _contradiction(whole)
    if isinstance(node, Call) and node.function == "_||_":
        reasons = [_never(arg, known) for arg in node.args]
        return reasons[0] if all(reasons) else None
    if isinstance(node, Call) and node.function == "_?_:_":
        reasons = [_never(arg, known) for arg in node.args[1:]]
        return reasons[0] if all(reasons) else None
    settled = _settled(node, known)
    return None if settled is None or settled[0] is True else settled[1]


def _never_holds(node: Node, known: Known) -> str | None:
    """Why a part of a conjunction always ends it: it is false, null or missing."""
    settled = _settled(node, known)
    if settled is None:
        return None
    value, why = settled
    return why if value is False or value is None else None


def _settled(node: Node, known: Known) -> tuple[object, str] | None:
    """The value of a part that reads nothing but what is known, and why; None for any other."""
    paths = list(_paths(node))
    if any(path is None or _prefix(path, known) is None for path in paths):
        return None
    if any(isinstance(part, Call) and part.function.startswith("now") for part in _walk(node)):
        return None
    try:
        value = compile_node("", node).evaluate(_variables(known))
    except EvaluationError as error:
        return False, f"cannot be evaluated: {error}"
    read = dict.fromkeys(_prefix(path, known) or "" for path in paths if path)
    told = " and ".join(f"{path} is {_told(known[path])}" for path in read)
    return value, f"can never be true: {told}" if told else "is false for every event"


def _told(value: object) -> str:
    return "not known here" if value is None else repr(value)


def _variables(known: Known) -> dict[str, object]:
    variables: dict[str, object] = {}
    for path, value in known.items():
        if value is None:
            continue
        root, _, field = path.partition(".")
        variables[root] = {field: value}
    return variables


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from _walk(child)


def _paths(node: Node) -> Iterator[str | None]:
    """Every place a part reads, such as `event.data.x`; None for one that is computed."""
    match node:
        case Ident(name):
            yield name
        case Select():
            path = path_of(node)
            if path is None:
                yield from _paths(node.operand)
            else:
                yield path
        case _:
            for child in children(node):
                yield from _paths(child)


def path_of(node: Node) -> str | None:
    """Where a plain chain of fields is read, such as `event.data.x`; None for anything else."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not node.test:
        above = path_of(node.operand)
        return None if above is None else f"{above}.{node.field}"
    return None


def _prefix(path: str, known: Known) -> str | None:
    """What is known of a path: the path itself, or an object above it that is missing."""
    parts = path.split(".")
    above = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return next((place for place in above if place in known), None)


def _conjuncts(node: Node) -> Iterator[Node]:
    if isinstance(node, Call) and node.function == "_&&_":
        for arg in node.args:
            yield from _conjuncts(arg)
    else:
        yield node


def _contradiction(parts: list[Node]) -> str | None:
    """One place that would have to be two things at once."""
    wanted: dict[str, object] = {}
    for part in parts:
        if not (isinstance(part, Call) and part.function == "_==_"):
            continue
        for side, other in (part.args, part.args[::-1]):
            path = path_of(side)
            if path is None or not isinstance(other, Const):
                continue
            if path in wanted and not _same(wanted[path], other.value):
                first, second = wanted[path], other.value
                return f"can never be true: {path} would be {first!r} and {second!r} at once"
            wanted[path] = other.value
    return None


def _same(left: object, right: object) -> bool:
    return left == right and isinstance(left, bool) == isinstance(right, bool)
