"""How declared options are checked: strict models whose refusals name field, value and fix.

The only place that turns the durations users write into milliseconds. Source: features C.3.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, cast

import pydantic

from stepwell.sdk.errors import FunctionConfigInvalidError
from stepwell.wire.duration import format_duration, parse_duration_ms

Duration = int | dt.timedelta | str
"""Milliseconds, a timedelta, or text such as "1h30m"."""

_SECOND_MS = 1000
_VALUE_CHARS = 60


def duration_ms(value: object) -> int:
    """A length of time in milliseconds, a fraction of one rounded up. Raises ValueError."""
    if isinstance(value, dt.timedelta):
        return -((-value) // dt.timedelta(milliseconds=1))
    if isinstance(value, str):
        return parse_duration_ms(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("write milliseconds, a timedelta, or text such as 1h30m")  # noqa: TRY004
    return value


def whole_seconds(value: Duration | None) -> str | None:
    """A configured period as the wire writes it: whole seconds, at least one, such as `90s`.

    The single largest unit that divides evenly is used. Raises ValueError.
    """
    if value is None:
        return None
    given_ms = duration_ms(value)
    if given_ms < _SECOND_MS or given_ms % _SECOND_MS:
        raise ValueError(
            f"must be whole seconds and at least 1 s, got {format_duration(max(given_ms, 0))}"
        )
    seconds = given_ms // _SECOND_MS
    for unit, length in (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _refusal(name: str, given: Mapping[str, object], error: pydantic.ValidationError) -> str:
    problems: list[str] = []
    for problem in error.errors(include_url=False, include_context=False):
        field = ".".join(str(part) for part in problem["loc"])
        words = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            problems.append(f"{name}.{field} is missing: give it a value")
        elif problem["type"] == "extra_forbidden":
            problems.append(f"{name} has no option {field}: remove it or mend its name")
        else:
            problems.append(f"{name}.{field} = {repr(problem['input'])[:_VALUE_CHARS]}: {words}")
    return "; ".join(problems) or f"{name} is invalid: {given!r}"


class Declaration(pydantic.BaseModel):
    """What every option class is: strict, immutable, refused with FunctionConfigInvalidError."""

    model_config = pydantic.ConfigDict(
        strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True
    )

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def _refuse_clearly(
        cls, data: Any, handler: pydantic.ModelWrapValidatorHandler["Declaration"]
    ) -> "Declaration":
        try:
            return handler(data)
        except pydantic.ValidationError as error:
            raise FunctionConfigInvalidError(_refusal(cls.__name__, data, error)) from None


def check_period(value: Any) -> Duration:
    """A field validator for periods: unchanged if the wire can carry it. Raises ValueError."""
    whole_seconds(value)
    return cast(Duration, value)
