"""Spans as the OpenTelemetry protocol has them in JSON, and their attributes as plain JSON. Pure.

Source: OTLP 1.x, its JSON encoding: ids are hexadecimal, 64-bit numbers may be texts.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from stepwell.wire.outside import decode

USER_SPANS_PATH = "/v1/traces/userland"
"""Where programs send spans of runs."""
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
OK, ERROR = 1, 2
Plain: TypeAlias = str | int | float | bool | tuple[str | int | float | bool, ...]
"""What an attribute is made of here."""
_DEPTH_MAX = 20


class ListValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """Several values."""

    values: tuple["AnyValue", ...] = ()


class KeyValueList(msgspec.Struct, frozen=True, omit_defaults=True):
    """Several values with names."""

    values: tuple["KeyValue", ...] = ()


class AnyValue(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A value of one kind; none of them stands for nothing."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: ListValue | None = None
    kvlist_value: KeyValueList | None = None
    bytes_value: str | None = None


NOTHING = AnyValue()


class KeyValue(msgspec.Struct, frozen=True):
    """A value and its name."""

    key: str
    value: AnyValue = NOTHING


class SpanStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """How it went: 0 nobody said, 1 well, 2 not."""

    code: int | str = 0
    message: str = ""


class OtlpSpan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A span. Times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_span_id: str = ""
    name: str = ""
    kind: int | str = 0
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: tuple[KeyValue, ...] = ()
    status: SpanStatus = SpanStatus()


class Scope(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who made spans: a library, and its version."""

    name: str = ""
    version: str = ""


class ScopeSpans(msgspec.Struct, frozen=True, rename="camel"):
    """The spans of one scope."""

    scope: Scope = Scope()
    spans: tuple[OtlpSpan, ...] = ()


class Resource(msgspec.Struct, frozen=True):
    """What the spans come from."""

    attributes: tuple[KeyValue, ...] = ()


class ResourceSpans(msgspec.Struct, frozen=True, rename="camel"):
    """The spans of one resource."""

    resource: Resource = Resource()
    scope_spans: tuple[ScopeSpans, ...] = ()


class Export(msgspec.Struct, frozen=True, rename="camel"):
    """What an exporter sends."""

    resource_spans: tuple[ResourceSpans, ...] = ()


_EXPORT = msgspec.json.Decoder(Export)


def decode_export(body: bytes) -> Export:
    """What an exporter sent as JSON. Raises msgspec.DecodeError and UnicodeDecodeError."""
    return decode(body, _EXPORT)


def encode_export(export: Export) -> bytes:
    """What an exporter sends."""
    return msgspec.json.encode(export)


def attributes(values: Mapping[str, Plain]) -> tuple[KeyValue, ...]:
    """Plain values, or several of them, as attributes; empty texts are left out."""
    return tuple(KeyValue(key, _value(value)) for key, value in values.items() if value != "")


def _value(value: Plain) -> AnyValue:
    if isinstance(value, tuple):
        return AnyValue(array_value=ListValue(tuple(_value(one) for one in value)))
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=str(value))
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=value)


def plain(values: Iterable[KeyValue]) -> dict[str, object]:
    """Attributes as JSON."""
    return {one.key: _plain(one.value, 0) for one in values}


def _plain(value: AnyValue, depth: int) -> object:
    if depth > _DEPTH_MAX:
        return None
    if value.array_value is not None:
        return [_plain(one, depth + 1) for one in value.array_value.values]
    if value.kvlist_value is not None:
        return {one.key: _plain(one.value, depth + 1) for one in value.kvlist_value.values}
    if value.int_value is not None:
        return number(value.int_value)
    for known in (value.string_value, value.bool_value, value.double_value, value.bytes_value):
        if known is not None:
            return known
    return None


def number(value: int | str) -> int:
    """A 64-bit number; 0 for what is none."""
    if isinstance(value, int):
        return value
    text = value.removeprefix("-")
    return int(value) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


def kind_of(value: int | str) -> str:
    """What kind of span it is, as a word."""
    if isinstance(value, str):
        return value.removeprefix("SPAN_KIND_")
    return KINDS[value] if 0 <= value < len(KINDS) else KINDS[0]


def is_error(status: SpanStatus) -> bool:
    """Whether a span says that it went wrong."""
    return status.code in (ERROR, "STATUS_CODE_ERROR")
