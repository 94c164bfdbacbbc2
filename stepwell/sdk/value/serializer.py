"""The serializer users may plug in, and the default one of the official SDK.

Used only where `output_type` is named; annotations are read by `codec.py`.
"""

from typing import Any, Protocol, runtime_checkable

import pydantic

from stepwell.sdk.value.kept import KeptByType


@runtime_checkable
class Serializer(Protocol):
    """Turns values of a type into plain JSON values and back."""

    def serialize(self, obj: object, typ: object) -> object:
        """`obj`, which is of type `typ`, as plain JSON values."""
        ...

    def deserialize(self, obj: object, typ: object) -> object:
        """Plain JSON values as a value of type `typ`."""
        ...


_adapters: KeptByType[pydantic.TypeAdapter[object]] = KeptByType()


def _adapter(typ: Any) -> pydantic.TypeAdapter[object]:
    return _adapters.get(typ, pydantic.TypeAdapter)


class PydanticSerializer(Serializer):
    """Serialises whatever Pydantic understands."""

    def serialize(self, obj: object, typ: object) -> object:
        """`obj` as plain JSON values, by Pydantic's rules for `typ`."""
        return _adapter(typ).dump_python(obj, mode="json")

    def deserialize(self, obj: object, typ: object) -> object:
        """A validated value of `typ`."""
        return _adapter(typ).validate_python(obj)
