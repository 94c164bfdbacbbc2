"""How declared options are checked: strict models whose refusals name field, value and fix."""

from collections.abc import Mapping
from typing import Any, cast

import pydantic

from stepwell.sdk.errors import FunctionConfigInvalidError
from stepwell.sdk.events.refusal import pydantic_problems, without_alternatives
from stepwell.sdk.value.duration import Duration, whole_seconds

_VALUE_CHARS = 60


def _refusal(name: str, given: Mapping[str, object], error: pydantic.ValidationError) -> str:
    problems: list[str] = []
    for problem in without_alternatives(given, pydantic_problems(error)):
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
        defer_build=True, strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True
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
