"""What is wrong with a model that was built, as one sentence a field: path, value and fix.

The exception stays pydantic's, as the official SDK's programs catch it.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Self, TypeAlias, TypedDict, cast

import pydantic
from pydantic_core import InitErrorDetails, PydanticCustomError

_SHOWN_CHARS = 60
_SHOULD = "Input should be "
_OURS = __name__.partition(".")[0]
_FIXES = {
    "name": 'give text, such as "shop/order.paid"',
    "data": 'give an object, such as {"order": 1}',
    "id": 'give text, such as "order-1", or leave it out',
    "ts": "give milliseconds since 1970, or a datetime with a zone",
    "v": 'give text, such as "2"',
    "user": 'give an object, such as {"id": 1}',
    "meta": 'give an object, such as {"sessions": {}}',
}


Place: TypeAlias = tuple[int | str, ...]
"""Where something is wrong, as pydantic tells it."""


class Problem(TypedDict):
    """One thing that is wrong, as pydantic tells it."""

    type: str
    loc: Place
    msg: str
    input: Any


class Clear(pydantic.BaseModel):
    """A model that tells what is wrong with it in one sentence each."""

    # Built when it is first used: `import stepwell` and most commands use none of them.
    model_config = pydantic.ConfigDict(defer_build=True)

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def _refuse_clearly(
        cls, given: object, judge: pydantic.ModelWrapValidatorHandler[Self]
    ) -> Self:
        try:
            return judge(given)
        except pydantic.ValidationError as error:
            raise told(cls, given, error) from None


def told(
    kind: type[pydantic.BaseModel], given: object, error: pydantic.ValidationError
) -> pydantic.ValidationError:
    """The same errors in our words. What a user's own schema says stays as it is, but for the
    alternatives of a union, which become one."""
    return pydantic.ValidationError.from_exception_data(
        error.title,
        [
            InitErrorDetails(
                type=PydanticCustomError(
                    cast(Any, one["type"]), "{told}", {"told": _words(kind, given, one)}
                ),
                loc=one["loc"],
                input=one["input"],
            )
            for one in without_alternatives(given, pydantic_problems(error))
        ],
    )


def pydantic_problems(error: pydantic.ValidationError) -> list[Problem]:
    """Everything pydantic complains of."""
    return cast("list[Problem]", error.errors(include_url=False, include_context=False))


def without_alternatives(given: object, problems: Iterable[Problem]) -> list[Problem]:
    """The same, with one problem where no type of a union fits, instead of one for each of them."""
    groups: dict[tuple[bool, Place], list[tuple[Problem, Place]]] = {}
    for number, one in enumerate(problems):
        place, rest = _followed(given, one["loc"])
        alone = not rest or (one["type"] == "missing" and len(rest) == 1)
        groups.setdefault((alone, (number,) if alone else place), []).append((one, rest))
    return [
        _joined(given, place, group) if len(group) > 1 else group[0][0]
        for (_, place), group in groups.items()
    ]


def _joined(given: object, place: Place, group: Sequence[tuple[Problem, Place]]) -> Problem:
    value = given
    for part in place:
        value = _part(value, part)
    if all(len(rest) == 1 and one["msg"].startswith(_SHOULD) for one, rest in group):
        wanted = [one["msg"].removeprefix(_SHOULD) for one, _ in group]
        words = f"{_SHOULD}{', '.join(wanted[:-1])} or {wanted[-1]}"
    else:
        each = (f"{'.'.join(map(str, rest))}: {one['msg']}" for one, rest in group)
        words = f"{_SHOULD}of one of its types ({'; '.join(each)})"
    return {"type": "union_type", "loc": place, "msg": words, "input": value}


_NOTHING = object()


def _followed(given: object, loc: Place) -> tuple[Place, Place]:
    """How far a place leads into what was given, and the rest of it: the type of a union, say."""
    value = given
    for depth, part in enumerate(loc):
        value = _part(value, part)
        if value is _NOTHING:
            return loc[:depth], loc[depth:]
    return loc, ()


def _part(value: object, part: int | str) -> object:
    if isinstance(value, Mapping):
        return cast("Mapping[Any, object]", value).get(part, _NOTHING)
    if isinstance(value, list | tuple) and isinstance(part, int):
        several = cast("list[object]", value)
        return several[part] if part < len(several) else _NOTHING
    return (
        getattr(value, str(part), _NOTHING) if isinstance(value, pydantic.BaseModel) else _NOTHING
    )


def _words(kind: type[pydantic.BaseModel], given: object, one: Problem) -> str:
    name, place, words = kind.__name__.partition("[")[0], one["loc"], one["msg"]
    if one["type"] == "value_error":
        said = words.removeprefix("Value error, ")
        return said if place[:1] == ("data",) else f"{name}.{'.'.join(map(str, place))}: {said}"
    if len(place) != 1 or not _is_ours(kind, str(place[0])):
        return words
    field = str(place[0])
    if one["type"] == "missing":
        fix = _FIXES.get(field, "give it a value")
        return f"{name}.{field} is missing{_meant(field, given)}: {fix}"
    fix = _FIXES.get(field) or words.replace(_SHOULD, "give ")
    return f"{name}.{field} = {repr(one['input'])[:_SHOWN_CHARS]}: {fix}"


def _is_ours(kind: type[pydantic.BaseModel], field: str) -> bool:
    """Is a field one of a class of this package, rather than of a user's own schema?"""
    names = {field, *(n for n, f in kind.model_fields.items() if f.alias == field)}
    return any(
        one.__module__.partition(".")[0] == _OURS and names & one.model_fields.keys()
        for one in kind.__mro__
        if issubclass(one, pydantic.BaseModel)
    )


def _meant(field: str, given: object) -> str:
    """Whether another name was given that is nearly this one."""
    if not isinstance(given, Mapping):
        return ""
    others = [str(name) for name in cast("Mapping[object, object]", given) if name not in _FIXES]
    near = get_close_matches(field, others, 1)
    return f" (is {near[0]} meant for it?)" if near else ""
