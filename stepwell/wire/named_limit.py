"""The only place that knows a named limit as it travels: its numbers, and what stands under it.

A named limit counts one of two things: how much is under way at once (`concurrency`), or how much
begins per `period` (`rate`). Functions and steps that name it share it. The official server knows
none of this and ignores the fields.
"""

import re
from collections.abc import Iterator

import msgspec

from stepwell.wire import limit
from stepwell.wire.duration import DurationError, format_duration, parse_duration_ms

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NAME_FIX = "use up to 100 letters, digits, dots, dashes and underscores, as in openai-tpm"


class FunctionLimit(msgspec.Struct, frozen=True, omit_defaults=True):
    """The calls of a function stand under a limit. `key` and `weight` are expressions; what gives
    no number of at least 1 weighs 1. Numbers that are 0 are not said here."""

    name: str = ""
    key: str = ""
    weight: str = ""
    concurrency: int = 0
    rate: int = 0
    period: str = ""


class StepLimit(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step stands under a limit: with `weight`, for a `key`, which is JSON text. Without a name
    it is a limit of that step alone."""

    name: str = ""
    key: str = ""
    weight: int = 1
    concurrency: int = 0
    rate: int = 0
    period: str = ""


class LimitUsed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step used `by` more of a limit than it had taken, or less; named as it took it."""

    name: str = ""
    key: str = ""
    by: int = 0


def number_problems(field: str, concurrency: int, rate: int, period: str) -> Iterator[str]:
    """What is wrong with the numbers of a limit, each naming field, value and fix. `field` is what
    stands before their names, such as `limits[0].`."""
    for name, given, most in (
        ("concurrency", concurrency, limit.NAMED_CONCURRENCY_MAX),
        ("rate", rate, limit.NAMED_RATE_MAX),
    ):
        if not 0 <= given <= most:
            yield f"{field}{name} {given} is no limit: use 1 to {most}"
    if concurrency and (rate or period):
        yield (
            f"{field}concurrency {concurrency} cannot stand beside {field}rate or {field}period:"
            " a limit counts what is under way at once, or what begins per period; make it two"
        )
    elif bool(rate) != bool(period):
        missing, there = ("period", "rate") if rate else ("rate", "period")
        yield f"{field}{missing} is missing: {field}{there} needs it, as in rate 500 per period 1m"
    elif period:
        yield from _period_problems(f"{field}period", period)


def _period_problems(field: str, period: str) -> Iterator[str]:
    least, most = limit.NAMED_PERIOD_MS_MIN, limit.NAMED_PERIOD_MS_MAX
    try:
        length_ms = parse_duration_ms(period)
    except DurationError as problem:
        yield f"{field}: {problem}"
        return
    if not least <= length_ms <= most:
        bounds = f"{format_duration(least)} to {format_duration(most)}"
        yield f"{field} {period!r} is too {'short' if length_ms < least else 'long'}: use {bounds}"


def name_problems(field: str, name: str) -> Iterator[str]:
    """What is wrong with a name."""
    if not NAME.fullmatch(name):
        yield f"{field} {name[:120]!r} is no name of a limit: {NAME_FIX}"


def key_problems(field: str, key: str) -> Iterator[str]:
    """What is wrong with the key of a step's limit, which may be empty."""
    try:
        if key:
            msgspec.json.decode(key)
    except (msgspec.DecodeError, UnicodeEncodeError):
        yield f"{field} {key[:80]!r} is no JSON: write the text amy as '\"amy\"'"


def step_problems(field: str, given: StepLimit) -> Iterator[str]:
    """What is wrong with what a step says of a limit."""
    if given.name:
        yield from name_problems(f"{field}name", given.name)
    elif not (given.concurrency or given.rate):
        yield (
            f"{field}name is missing: name a limit, or give the step one of its own with"
            f" {field}concurrency, or {field}rate and {field}period"
        )
    yield from key_problems(f"{field}key", given.key)
    if not 1 <= given.weight <= limit.NAMED_WEIGHT_MAX:
        yield f"{field}weight {given.weight} is no weight: use 1 to {limit.NAMED_WEIGHT_MAX}"
    yield from number_problems(field, given.concurrency, given.rate, given.period)
