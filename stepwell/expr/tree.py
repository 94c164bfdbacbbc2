"""The only place that talks to the CEL library: it parses, and this file reads the tree it gives.

The library hands its tree over as a serialised message (`cel.expr.ParsedExpr`); the few fields that
matter are read here, so that the dialect can walk the tree by its own rules.
"""

import re
import struct
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import TypeAlias

import msgspec
from cel_expr_python import cel  # type: ignore[import-untyped] # pyright: ignore[reportMissingTypeStubs]

_ENV = cel.NewEnv(variables={"a": cel.Type.DYN, "b": cel.Type.DYN})
_MATCHES = _ENV.compile("a.matches(b)", disable_check=True)
_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)", re.DOTALL)
_PLACED = "event"
SOURCE_CHARS_MAX = 100_000
WORDS_MAX = 5_000
"""Words and signs of an expression, a text for one: each takes 5 to 10 µs."""
_WORD = re.compile(
    r"""//[^\n]*|[bB]?[rR][bB]?(?:\"{3}(?s:.*?)\"{3}|'{3}(?s:.*?)'{3}|"[^"\n]*"|'[^'\n]*')"""
    r"""|\"{3}(?s:\\.|[^\\])*?\"{3}|'{3}(?s:\\.|[^\\])*?'{3}"""
    r"""|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\w+|[^\w\s]"""
)


class ExpressionError(ValueError):
    """An expression that cannot be understood. `line` and `column` count from 1; 0 is unknown."""

    def __init__(self, source: str, message: str, line: int = 0, column: int = 0) -> None:
        where = f" (line {line}, column {column})" if line else ""
        super().__init__(message + where)
        self.source = source
        self.message = message
        self.line = line
        self.column = column


class EvaluationError(ValueError):
    """An expression that makes no sense for the values it was given."""


class Const(msgspec.Struct, frozen=True):
    """A literal: null, bool, int, float, text or bytes."""

    value: bool | int | float | str | bytes | None


class Ident(msgspec.Struct, frozen=True):
    """A name. `offset` is where `event` stands in the source, in characters; -1 for others."""

    name: str
    offset: int


class Select(msgspec.Struct, frozen=True):
    """`operand.field`; with `test` it is `has(operand.field)`."""

    operand: "Node"
    field: str
    test: bool = False


class Call(msgspec.Struct, frozen=True):
    """An operator or function; a method's target is in `target`."""

    function: str
    args: tuple["Node", ...]
    target: "Node | None" = None


class ListOf(msgspec.Struct, frozen=True):
    """A list literal."""

    items: tuple["Node", ...]


class MapOf(msgspec.Struct, frozen=True):
    """A map literal."""

    entries: tuple[tuple["Node", "Node"], ...]


class Fold(msgspec.Struct, frozen=True):
    """A macro, expanded: run over `range` with `variable`, changing `accumulator`."""

    variable: str
    range: "Node"
    accumulator: str
    initial: "Node"
    condition: "Node"
    step: "Node"
    result: "Node"


Node: TypeAlias = Const | Ident | Select | Call | ListOf | MapOf | Fold

_Fields: TypeAlias = dict[int, list[int | bytes]]


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _fields(raw: bytes) -> _Fields:
    """A serialised message as field number to values: integers as they are, the rest as bytes."""
    found: _Fields = {}
    position, end = 0, len(raw)
    while position < end:
        # All field numbers are below 16, so a tag is one byte; most lengths are too.
        tag = raw[position]
        position += 1
        kind, number = tag & 7, 8
        if kind in (0, 2):
            number = raw[position]
            position += 1
            if number >= 0x80:
                number, position = _varint(raw, position - 1)
        if kind == 0:
            found.setdefault(tag >> 3, []).append(number)
            continue
        found.setdefault(tag >> 3, []).append(raw[position : position + number])
        position += number
    return found


def _bytes(fields: _Fields, number: int) -> bytes:
    value = fields.get(number, [b""])[-1]
    return value if isinstance(value, bytes) else b""


def _all(fields: _Fields, number: int) -> Iterator[bytes]:
    return (value for value in fields.get(number, []) if isinstance(value, bytes))


def _text(fields: _Fields, number: int) -> str:
    return _bytes(fields, number).decode()


def _int(fields: _Fields, number: int) -> int:
    value = fields.get(number, [0])[-1]
    return value if isinstance(value, int) else 0


class _Reader:
    """Turns one serialised tree into nodes, with the places of names in the source."""

    def __init__(self, source: str, source_info: bytes) -> None:
        self.source = source
        self.source_info = source_info

    @cached_property
    def offsets(self) -> dict[int, int]:
        """Where each node begins, in characters, by the node's number."""
        pairs = [_fields(entry) for entry in _all(_fields(self.source_info), 4)]
        return {_int(pair, 1): _int(pair, 2) for pair in pairs}

    def node(self, raw: bytes) -> Node:
        fields = _fields(raw)
        # Beside its number (2) a node has one field, which tells its kind.
        for number in fields:
            if number != 2:
                return _KINDS[number](self, _fields(_bytes(fields, number)), _int(fields, 2))
        return Const(None)

    def const(self, fields: _Fields, ident: int) -> Node:
        if 2 in fields:
            return Const(bool(_int(fields, 2)))
        if 3 in fields:
            value = _int(fields, 3)
            return Const(value - 2**64 if value >= 2**63 else value)
        if 4 in fields:
            return Const(_int(fields, 4))
        if 5 in fields:
            (double,) = struct.unpack("<d", _bytes(fields, 5))
            return Const(float(double))
        if 6 in fields:
            return Const(_text(fields, 6))
        return Const(_bytes(fields, 7) if 7 in fields else None)

    def ident(self, fields: _Fields, ident: int) -> Node:
        name = _text(fields, 1)
        return Ident(name, self.offsets.get(ident, 0) if name == _PLACED else -1)

    def select(self, fields: _Fields, ident: int) -> Node:
        return Select(self.node(_bytes(fields, 1)), _text(fields, 2), bool(_int(fields, 3)))

    def call(self, fields: _Fields, ident: int) -> Node:
        args = tuple(self.node(arg) for arg in _all(fields, 3))
        target = self.node(_bytes(fields, 1)) if 1 in fields else None
        return Call(_text(fields, 2), args, target)

    def list_of(self, fields: _Fields, ident: int) -> Node:
        return ListOf(tuple(self.node(item) for item in _all(fields, 1)))

    def map_of(self, fields: _Fields, ident: int) -> Node:
        if 1 in fields:
            raise ExpressionError(self.source, f"there are no messages such as {_text(fields, 1)}")
        entries = [_fields(entry) for entry in _all(fields, 2)]
        return MapOf(tuple((self.node(_bytes(e, 3)), self.node(_bytes(e, 4))) for e in entries))

    def fold(self, fields: _Fields, ident: int) -> Node:
        return Fold(
            _text(fields, 1),
            self.node(_bytes(fields, 2)),
            _text(fields, 3),
            self.node(_bytes(fields, 4)),
            self.node(_bytes(fields, 5)),
            self.node(_bytes(fields, 6)),
            self.node(_bytes(fields, 7)),
        )


_KINDS = {
    3: _Reader.const,
    4: _Reader.ident,
    5: _Reader.select,
    6: _Reader.call,
    7: _Reader.list_of,
    8: _Reader.map_of,
    9: _Reader.fold,
}


def _syntax_error(source: str, problem: str) -> ExpressionError:
    if "recursion" in problem:
        return ExpressionError(source, "the expression is nested too deeply: simplify it")
    found = _PLACE.search(problem)
    if found is None:
        return ExpressionError(source, problem)
    message = found.group(3).split("\n")[0].removesuffix(" [INVALID_ARGUMENT]")
    line, column = int(found.group(1)), int(found.group(2))
    return ExpressionError(source, message, line if line < 2**31 else 0, column)


def parse(source: str) -> Node:
    """The tree of a CEL expression, macros expanded. Raises ExpressionError."""
    if len(source) > SOURCE_CHARS_MAX:
        raise ExpressionError(source[:80], f"the expression is over {SOURCE_CHARS_MAX} characters")
    if len(source) > WORDS_MAX and _has_more_words(source, WORDS_MAX):
        raise ExpressionError(
            source[:80], f"the expression has over {WORDS_MAX} words and signs: shorten its lists"
        )
    try:
        whole = _ENV.compile(source, disable_check=True).serialize()
    except (RuntimeError, UnicodeEncodeError) as problem:
        raise _syntax_error(source, str(problem)) from None
    parsed = _fields(_bytes(_fields(whole), 2))
    return _Reader(source, _bytes(parsed, 3)).node(_bytes(parsed, 2))


def _has_more_words(source: str, most: int) -> bool:
    return next(islice(_WORD.finditer(source), most, None), None) is not None


def matches(text: str, pattern: str) -> bool:
    """Whether a regular expression (RE2, in linear time) is found in `text`."""
    found: object = _MATCHES.eval(data={"a": text, "b": pattern}).plain_value()
    if not isinstance(found, bool):
        raise EvaluationError(f"the pattern {pattern[:80]!r} is no regular expression: {found}")
    return found


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below one."""
    match node:
        case Const() | Ident():
            return
        case Select():
            yield node.operand
        case Call():
            if node.target is not None:
                yield node.target
            yield from node.args
        case ListOf():
            yield from node.items
        case MapOf():
            for key, value in node.entries:
                yield key
                yield value
        case Fold():
            yield from (node.range, node.initial, node.condition, node.step, node.result)
