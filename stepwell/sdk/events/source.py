"""What may stand wherever an event type is named: as a trigger, in a wait, in a cancellation.

The only place for the protocol `EventSource` and what it gives. Event types, event classes and
triggers fulfil it, so that one object serves everywhere and checkers know the event it stands for.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, runtime_checkable

import msgspec
import pydantic
from typing_extensions import TypeVar


@runtime_checkable
class DataclassLike(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@runtime_checkable
class AttrsLike(Protocol):
    """An instance of an attrs class."""

    __attrs_attrs__: ClassVar[Any]


ObjectLike: TypeAlias = (
    Mapping[str, object] | pydantic.BaseModel | msgspec.Struct | DataclassLike | AttrsLike
)
"""What can be the data of an event: something that travels as a JSON object."""


def is_model(value: object) -> bool:
    """Is this an instance of a class whose fields are known, of whatever library?"""
    kind = type(value)
    return (
        issubclass(kind, pydantic.BaseModel | msgspec.Struct)
        or hasattr(kind, "__dataclass_fields__")
        or hasattr(kind, "__attrs_attrs__")
    )


E_co = TypeVar("E_co", covariant=True)
D_co = TypeVar("D_co", covariant=True)


class NoData:
    """The data of what nobody invokes with data: a function that only a clock starts."""


class EventKind(Generic[E_co, D_co]):
    """An event type, as the machinery sees it.

    `name` is what triggers match; `version` goes into `v`; `schema` is what data is judged by, None
    if by nothing. `read` makes the typed event of an untyped one and raises `Unfit`; without it
    events stay untyped.
    """

    __slots__ = ("name", "read", "schema", "version")

    def __init__(
        self,
        name: str,
        *,
        version: str | None = None,
        schema: object = None,
        read: Callable[[Any], E_co] | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.schema = schema
        self.read = read


class EventSource(Protocol[E_co, D_co]):
    """Whatever stands for one event type."""

    def __event_kind__(self) -> EventKind[E_co, D_co]:
        """The event type it stands for."""
        ...


def kind_of(given: object) -> EventKind[Any, Any] | None:
    """The event type something stands for; None if it stands for none, as a name does."""
    found = getattr(given, "__event_kind__", None)
    return None if found is None else found()


def name_of_source(given: "str | EventSource[Any, Any]") -> str:
    """The event name of a name or an event type."""
    if isinstance(given, str):
        return given
    kind = kind_of(given)
    if kind is None:
        raise TypeError(
            f"{given!r} stands for no event: give a name such as 'shop/paid', or an event type"
        )
    return kind.name
