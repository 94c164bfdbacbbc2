"""Payloads as JSON: the only place that says how Python values of users' data are written (E-79).

datetimes become ISO 8601, Decimal and UUID text, Enum its value, bytes base64, sets and tuples
lists; models of Pydantic, msgspec, attrs and dataclasses objects.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import cast

import msgspec
import pydantic


def encode_json(value: object) -> bytes:
    """A payload as JSON. What is no finite number becomes null.

    Raises TypeError, ValueError or RecursionError for what JSON cannot carry.
    """
    return _ENCODER.encode(value)


def _in_json_terms(value: object) -> object:
    """What the encoder cannot write by itself."""
    if isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return dict(cast(Mapping[object, object], value))
    if isinstance(value, memoryview):
        return bytes(cast("memoryview[int]", value))
    if isinstance(value, AbstractSet | Sequence):
        return list(cast(Iterable[object], value))
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_ENCODER = msgspec.json.Encoder(enc_hook=_in_json_terms)
