"""The only place that finds the equality by which a waiting run can be looked up.

Law: if a condition holds for an event, then `values_at(event, {path})[path] == value` for the path
and value of `first_equality(condition)`. The condition itself stays the judge.
"""

import hashlib
from collections.abc import Iterator

import msgspec

from stepwell.expr.dialect import ExpressionError, compile_expression
from stepwell.expr.interpolation import chain_of, look_up
from stepwell.expr.tree import Call, Const, Node
from stepwell.expr.value import MISSING, Segment, is_number, nearest, taken

_ASYNC = "async"
_VALUE_CHARS_MAX = 80
_PATHS = msgspec.json.Decoder(list[str | int])


def _conjuncts(node: Node) -> Iterator[Node]:
    if isinstance(node, Call) and node.function == "_&&_":
        for side in node.args:
            yield from _conjuncts(side)
    else:
        yield node


def _key(value: object) -> str | None:
    """A scalar as text, equal for equal values and different for others; None if it is none."""
    if value is None or value is MISSING:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    value = taken(value)
    if is_number(value):
        # NaN equals nothing, and -0.0 equals 0.0.
        return None if value != value else repr(nearest(value) + 0.0)  # noqa: PLR0124
    if not isinstance(value, str):
        return None
    if len(value) > _VALUE_CHARS_MAX:
        return "#" + hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()
    return f'"{value}'


def _constant(node: Node) -> object:
    """What a literal stands for, MISSING if `node` is none that JSON knows."""
    if isinstance(node, Const) and not isinstance(node.value, bytes):
        return node.value
    if isinstance(node, Call) and node.function == "-_" and isinstance(node.args[0], Const):
        inner = node.args[0].value
        return -inner if is_number(inner) else MISSING
    if isinstance(node, Call) and node.function == "json_parse" and isinstance(node.args[0], Const):
        found = _json_parse(node.args[0].value)
        return found if is_number(found) else MISSING
    return MISSING


def _json_parse(text: object) -> object:
    """A number as interpolation writes those that no double may hold."""
    try:
        return msgspec.json.decode(text) if isinstance(text, str) else MISSING
    except msgspec.DecodeError:
        return MISSING


def _equality(node: Node) -> tuple[tuple[Segment, ...], str] | None:
    if not (isinstance(node, Call) and node.function == "_==_"):
        return None
    for way, other in (node.args, node.args[::-1]):
        chain, constant = chain_of(way), _constant(other)
        if chain is None or chain[0].name != _ASYNC or not chain[1] or constant is MISSING:
            continue
        key = _key(constant)
        if key is not None:
            return chain[1], key
    return None


def _rank(found: tuple[tuple[Segment, ...], str]) -> int:
    """Text tells waits apart best, then numbers, then the rest."""
    key = found[1]
    if key[0] in '"#':
        return 0
    return 2 if key in ("null", "true", "false") else 1


def first_equality(condition: str) -> tuple[str, str] | None:
    """The most telling equality that every event for which `condition` holds must satisfy.

    `condition` reads `async` alone: see `Program.interpolate`. The result is (path, value), both
    opaque text; None if there is no such equality.
    """
    try:
        tree = compile_expression(condition).tree
    except ExpressionError:
        return None
    found = [equality for node in _conjuncts(tree) if (equality := _equality(node)) is not None]
    if not found:
        return None
    path, value = min(found, key=_rank)
    return msgspec.json.encode(path).decode(), value


def values_at(event: bytes, paths: frozenset[str]) -> dict[str, str]:
    """The values an event (JSON) has at these paths, as `first_equality` writes them.

    A path at which there is a list or a map has none.
    """
    if not paths:
        return {}
    body: object = msgspec.json.decode(event)
    values: dict[str, str] = {}
    for path in paths:
        key = _key(look_up(body, tuple(_PATHS.decode(path))))
        if key is not None:
            values[path] = key
    return values
