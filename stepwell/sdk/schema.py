"""What user code holds when it sends or receives an event, and the way from there to the wire.

The only place for the public `Event` and the alias `JSON`. Source: features C.4, E-96, E-106.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import pydantic
from typing_extensions import TypeAliasType

from stepwell.wire import event as wire_event

JSON = TypeAliasType(
    "JSON", bool | int | float | str | Mapping[str, object] | Sequence[object] | None
)

_ENCODER = msgspec.json.Encoder()
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class Event(pydantic.BaseModel):
    """Something that happened: sent by producers, received by functions (features C.4).

    `ts` is milliseconds since 1970, 0 means now; `id` makes the event happen once in 24 hours.
    Further fields are kept as they are.
    """

    model_config = pydantic.ConfigDict(strict=True, extra="allow")

    name: str
    data: Mapping[str, JSON] = pydantic.Field(default_factory=dict[str, JSON])
    id: str = ""
    ts: int = 0
    v: str | None = None
    user: Mapping[str, object] | None = None
    meta: Mapping[str, object] | None = None

    @pydantic.field_validator("data", mode="before")
    @classmethod
    def _no_data_is_empty(cls, value: object) -> object:
        return {} if value is None else value


def event_from_wire(event: wire_event.Event) -> Event:
    """The public form of an event the server sent; it was judged when it was accepted."""
    return Event.model_construct(
        _fields_set=None,
        name=event.name,
        data=_OBJECT.decode(event.data),
        id=event.id,
        ts=event.ts,
        v=event.v,
        user=None if event.user is None else _OBJECT.decode(event.user),
        meta=None if event.meta is None else _OBJECT.decode(event.meta),
    )


def event_to_wire(event: Event) -> wire_event.Event:
    """An event as it is sent. Raises ValueError naming the field that is no JSON."""
    return wire_event.Event(
        event.name,
        _raw(event, "data", event.data),
        event.id,
        event.ts,
        event.v,
        None if event.user is None else _raw(event, "user", event.user),
        None if event.meta is None else _raw(event, "meta", event.meta),
    )


def _raw(event: Event, field: str, value: object) -> msgspec.Raw:
    try:
        return msgspec.Raw(_ENCODER.encode(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f'event "{event.name}": {field} cannot be written as JSON ({error}):'
            " use dicts with text keys, lists, text, numbers, booleans and None"
        ) from None


def json_object(value: Mapping[str, object] | None) -> dict[str, JSON]:
    """A mapping as plain JSON values: what a receiver will see of it. None is empty."""
    return cast(dict[str, JSON], msgspec.to_builtins(value or {}))
