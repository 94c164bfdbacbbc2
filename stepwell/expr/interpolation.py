"""The only place that puts an event's values into the text of an expression."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TypeGuard

import msgspec

from stepwell.expr.tree import Call, Const, Fold, Ident, Node, Select, children
from stepwell.expr.value import MISSING, Long, Segment, field, is_list, is_map, is_number, taken

_VARIABLE = "event"
_LIST_ITEMS_MAX = 20
_SPACE = r"(?:[\s]|//[^\n]*\n)*"
_DOT = re.compile(rf"{_SPACE}\.{_SPACE}(?:`[^`]*`|\w+)")
_INDEX = re.compile(
    rf"""{_SPACE}\[{_SPACE}(?:-?\w+|[rRbB]?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")){_SPACE}\]"""
)
_MORE = re.compile(rf"{_SPACE}[.\[]")
_NAME = re.compile(rf"\.?{_VARIABLE}")


class _Chain(msgspec.Struct, frozen=True):
    """A way into the event as it stands in the source."""

    offset: int
    segments: tuple[Segment, ...]


def chain_of(node: Node) -> tuple[Ident, tuple[Segment, ...]] | None:
    """A name with the constant fields and indices after it; None if `node` is something else."""
    if isinstance(node, Ident):
        return node, ()
    below: tuple[Ident, tuple[Segment, ...]] | None = None
    if isinstance(node, Select) and not node.test:
        below = chain_of(node.operand)
        return None if below is None else (below[0], (*below[1], node.field))
    if isinstance(node, Call) and node.function == "_[_]" and isinstance(node.args[1], Const):
        key = node.args[1].value
        if isinstance(key, str | int) and not isinstance(key, bool):
            below = chain_of(node.args[0])
            return None if below is None else (below[0], (*below[1], key))
    return None


def _chains(node: Node, hidden: frozenset[str]) -> Iterator[_Chain]:
    found = chain_of(node)
    if found is not None:
        if found[0].name == _VARIABLE and _VARIABLE not in hidden:
            yield _Chain(found[0].offset, found[1])
        return
    if isinstance(node, Fold):
        yield from _chains(node.range, hidden)
        inner = hidden | {node.variable}
        for child in (node.condition, node.step, node.result):
            yield from _chains(child, inner)
        return
    for child in children(node):
        yield from _chains(child, hidden)


def look_up(value: object, segments: tuple[Segment, ...]) -> object:
    """What stands at a path, MISSING if nothing does."""
    for segment in segments:
        value = field(value, segment)
    return value


def _literal(value: object) -> str:
    """An expression for a JSON value, its numbers doubles but for those none may hold."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    value = taken(value)
    if isinstance(value, Long):
        return f"json_parse({_quoted(str(value))})"
    if is_number(value):
        written = repr(float(value))
        return f"double('{written}')" if "inf" in written else written
    if isinstance(value, str):
        return _quoted(value)
    if _is_short_list(value):
        return f"[{', '.join(_literal(item) for item in value)}]"
    return f"json_parse({_quoted(json.dumps(value, ensure_ascii=False))})"


def _is_short_list(value: object) -> TypeGuard[list[object]]:
    """Whether a list is written as one: each of its items takes long to parse."""
    if not is_list(value) or len(value) > _LIST_ITEMS_MAX:
        return False
    return not any(is_list(item) or is_map(item) for item in value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _end(source: str, chain: _Chain) -> int | None:
    """Where a chain ends in the source; None if its text is not what is expected."""
    found = _NAME.match(source, chain.offset)
    for segment in chain.segments:
        if found is None:
            return None
        after = found.end()
        named = _DOT.match(source, after) if isinstance(segment, str) else None
        found = named or _INDEX.match(source, after)
    return None if found is None else found.end()


def interpolated(source: str, tree: Node, event: Mapping[str, object]) -> str:
    """`source` with the values of `event` in place of the ways to them.

    What is missing, and what stands inside a macro under a variable of the same name, stays.
    """
    cuts: dict[tuple[int, int], str] = {}
    for chain in set(_chains(tree, frozenset())):
        value = look_up(dict(event), chain.segments)
        end = None if value is MISSING else _end(source, chain)
        if end is not None:
            written = _literal(value)
            alone = not written.startswith("-") and _MORE.match(source, end) is None
            cuts[chain.offset, end] = written if alone else f"({written})"
    places = sorted(cuts)
    pieces, position = list[str](), 0
    for start, end in places:
        pieces += [source[position:start], cuts[start, end]]
        position = end
    assert all(before[1] <= after[0] for before, after in pairwise(places))
    return "".join([*pieces, source[position:]])
