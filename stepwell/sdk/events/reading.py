"""Typed events of untyped ones: how an event that arrived becomes what a handler asked for.

The only place that builds `Event[Data]` and instances of event classes. It knows nothing of
functions; which events are judged, and by what, is in `incoming.py`.
Source: features E-30, E-96, E-112, D-1, D-2.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import pydantic

from stepwell.sdk.events.json_body import encode_json
from stepwell.sdk.events.type_facts import literals
from stepwell.sdk.events.validator import Unfit, Validator, problems_of, validator_of_object

Reader: TypeAlias = Callable[[Any], Any]
"""Makes the typed event of an untyped one. Raises Unfit."""


def reader_of_data(schema: object, validate: bool) -> Reader:
    """The reader of events whose data is of this type; unchanged where nothing is to be judged."""
    validator = validator_of_object(schema, "data") if validate else None
    if validator is None:
        return _unchanged

    def read(event: Any) -> Any:
        return _with_data(event, _load(validator, event))

    return read


def _unchanged(event: Any) -> Any:
    return event


def _load(validator: Validator, event: Any) -> Any:
    try:
        return validator.load(encode_json(event.data))
    except Unfit as error:
        raise error.below("data") from None


def _with_data(event: Any, data: Any) -> Any:
    made = event.model_copy()
    made.__dict__["data"] = data
    return made


def reader_of_class(made: type[pydantic.BaseModel], data: Any) -> Reader:
    """The reader of a class of whole events, whose field `data` is of the type `data`.

    An invocation has no name of its own: it is read as the event whose data it carries.
    """
    validator = None if data is Any else validator_of_object(data, f"{made.__name__}.data")
    names = literals(made.model_fields["name"].annotation)

    def read(event: Any) -> Any:
        loaded = event.data if validator is None else _load(validator, event)
        fields: dict[str, Any] = {**event.__dict__, **(event.model_extra or {}), "data": loaded}
        if names and event.name not in names:
            fields["name"] = names[0]
        if not event.id:
            del fields["id"]
        try:
            return made.model_validate(fields)
        except pydantic.ValidationError as error:
            raise Unfit(problems_of(error)) from None

    return read
