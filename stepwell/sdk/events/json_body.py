"""Payloads as JSON: the only place that says how Python values of users' data are written.

datetimes become ISO 8601 in UTC, Decimal and UUID text, Enum its value, bytes base64, sets and
tuples lists; models of Pydantic, msgspec, attrs and dataclasses objects.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import cast

import msgspec
import pydantic

from stepwell.sdk.errors import NaiveDatetimeWarning, warn


def encode_json(value: object) -> bytes:
    """A payload as JSON. What is no finite number becomes null.

    Raises TypeError, ValueError or RecursionError for what JSON cannot carry.
    """
    body = _ENCODER.encode(value)
    if _TIME_OF_DAY.search(body) is None:
        return body
    kept = msgspec.to_builtins(
        value, builtin_types=(dt.datetime,), str_keys=True, enc_hook=_in_json_terms
    )
    return _ENCODER.encode(_in_utc(kept))


def _in_utc(value: object) -> object:
    """The value with its datetimes in UTC; one without a zone is local time, and a mistake."""
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            told = (
                f"{value.isoformat()} has no time zone and is sent as local time: use"
                " datetime.now(UTC), or a zone of your own"
            )
            warn(NaiveDatetimeWarning(told))
        return value.astimezone(dt.UTC)
    if isinstance(value, dict):
        return {key: _in_utc(one) for key, one in cast("dict[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_in_utc(one) for one in cast("Sequence[object]", value)]
    return value


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


_TIME_OF_DAY = re.compile(rb"T\d\d:\d\d:")
_ENCODER = msgspec.json.Encoder(enc_hook=_in_json_terms)
