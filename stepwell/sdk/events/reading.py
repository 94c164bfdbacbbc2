"""Typed events of untyped ones: how an event that arrived becomes what a handler asked for.

The only place that builds `Event[Data]` and instances of event classes. It knows nothing of
functions; which events are judged, and by what, is in `incoming.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pydantic

from stepwell.sdk.events.json_body import encode_json
from stepwell.sdk.events.type_facts import literals
from stepwell.sdk.events.validator import Unfit, Validator, problems_of, validator_of_object

Reader: TypeAlias = Callable[[Any], Any]
"""Makes the typed event of an untyped one. Raises Unfit."""
Upcast: TypeAlias = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Makes data of a later version of an earlier one's."""


class Upcasts:
    """How the data of older events becomes that of newer ones."""

    def __init__(self) -> None:
        self._known: dict[str | None, tuple[Upcast, str | None]] = {}

    def add(self, upcast: Upcast, from_version: str | None, to_version: str | None) -> None:
        """Lift events of a version. Raises ValueError if that would go round in circles."""
        version, seen = to_version, {from_version}
        while version in self._known and version not in seen:
            seen.add(version)
            version = self._known[version][1]
        if version in seen:
            raise ValueError(f"upcasts from version {from_version!r} lead back to it")
        self._known[from_version] = (upcast, to_version)

    def lift(self, event: Any) -> Any:
        """The event as its newest version, step by step; events of others stay. Raises Unfit."""
        while event.v in self._known:
            upcast, version = self._known[event.v]
            try:
                data = dict(upcast(dict(event.data)))
            except Exception as error:  # noqa: BLE001 - user code
                told = f"cannot be lifted from version {event.v!r}: {type(error).__name__}: {error}"
                raise Unfit([("data", told)]) from None
            event = event.model_copy(update={"data": data, "v": version})
        return event


def reader_of_data(schema: object, validate: bool, upcasts: Upcasts | None = None) -> Reader:
    """The reader of events whose data is of this type; unchanged where nothing is to be judged."""
    validator = validator_of_object(schema, "data") if validate else None

    def read(event: Any) -> Any:
        event = event if upcasts is None else upcasts.lift(event)
        return event if validator is None else _with_data(event, _load(validator, event))

    return read


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
            raise Unfit(problems_of(fields, error)) from None

    return read
