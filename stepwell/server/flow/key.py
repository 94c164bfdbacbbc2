"""Key expressions: what groups events under one limit, as text. The only place that says what a
value that is missing, false or cannot be had means for which control."""

import hashlib
from collections.abc import Callable
from typing import TypeAlias
from zlib import crc32

import msgspec

from stepwell.expr.dialect import EvaluationError, ExpressionError, Program, compile_expression
from stepwell.expr.value import JSON

Evaluate: TypeAlias = Callable[[Program], JSON]
"""The value of an expression for one event. Raises EvaluationError."""

VALUE_CHARS_MAX = 80
"""Longer values are told by a digest: keys are indexed."""

INVALID = "<invalid>"

_encode = msgspec.json.Encoder(order="deterministic").encode


class Key(msgspec.Struct, frozen=True):
    """A key expression. `mark` tells expressions apart in ids; without one, it is empty."""

    source: str = ""
    program: Program | None = None
    mark: str = ""


NO_KEY = Key()


def key_of(source: str) -> Key:
    """An expression, compiled. One stored by an older version that cannot be is as if missing."""
    if not source:
        return NO_KEY
    mark = f"{crc32(source.encode()):08x}"
    try:
        return Key(source, compile_expression(source), mark)
    except ExpressionError:
        return Key(source, compile_expression("false"), mark)


def shared(key: Key, evaluate: Evaluate) -> str:
    """The value as text; whatever has none shares one."""
    if key.program is None:
        return ""
    try:
        return text_of(evaluate(key.program))
    except EvaluationError:
        return ""


def selective(key: Key, evaluate: Evaluate) -> str | None:
    """The value as text; None, so that the control does not apply, if it is false or missing."""
    if key.program is None:
        return ""
    try:
        value = evaluate(key.program)
    except EvaluationError:
        return None
    return None if value is False else text_of(value)


def strict(key: Key, evaluate: Evaluate) -> str | None:
    """The value as text; None if it cannot be had."""
    if key.program is None:
        return ""
    try:
        return text_of(evaluate(key.program))
    except EvaluationError:
        return None


def text_of(value: object) -> str:
    """The value of a key as text: its JSON, or a digest of it if that is long."""
    text = _encode(value).decode()
    if len(text) <= VALUE_CHARS_MAX:
        return text
    return f"{text[:16]}…{hashlib.sha256(text.encode()).hexdigest()[:32]}"
