"""What is wrong with an event that was built, as one sentence a field: path, value and fix.

The exception stays pydantic's, as the official SDK's programs catch it.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, cast

import pydantic
from pydantic_core import InitErrorDetails, PydanticCustomError

_SHOWN_CHARS = 60
_FIXES = {
    "name": 'give text, such as "shop/order.paid"',
    "data": 'give an object, such as {"order": 1}',
    "id": 'give text, such as "order-1", or leave it out',
    "ts": "give milliseconds since 1970, or a datetime with a zone",
    "v": 'give text, such as "2"',
    "user": 'give an object, such as {"id": 1}',
    "meta": 'give an object, such as {"sessions": {}}',
}


def told(kind: str, given: object, error: pydantic.ValidationError) -> pydantic.ValidationError:
    """The same errors in our words. What the event's own schema says of its data stays as it is."""
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
            for one in error.errors(include_url=False)
        ],
    )


def _words(kind: str, given: object, one: Mapping[str, object]) -> str:
    place = cast("tuple[object, ...]", one["loc"])
    words = str(one["msg"])
    if one["type"] == "value_error":
        said = words.removeprefix("Value error, ")
        return said if place[:1] == ("data",) else f"{kind}.{'.'.join(map(str, place))}: {said}"
    if len(place) != 1 or place[0] not in _FIXES:
        return words
    field = str(place[0])
    if one["type"] == "missing":
        return f"{kind}.{field} is missing{_meant(field, given)}: {_FIXES[field]}"
    return f"{kind}.{field} = {repr(one['input'])[:_SHOWN_CHARS]}: {_FIXES[field]}"


def _meant(field: str, given: object) -> str:
    """Whether another name was given that is nearly this one."""
    if not isinstance(given, Mapping):
        return ""
    others = [str(name) for name in cast("Mapping[object, object]", given) if name not in _FIXES]
    near = get_close_matches(field, others, 1)
    return f" (is {near[0]} meant for it?)" if near else ""
