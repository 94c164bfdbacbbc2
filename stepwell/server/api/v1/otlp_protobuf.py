"""Spans as exporters send them in protobuf, as the same values that those in JSON are read into.

Source: OTLP 1.x, by the messages of the package `opentelemetry-proto`.
"""

import base64
from collections.abc import Iterable
from typing import Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from stepwell.wire import otlp
from stepwell.wire.limit import USER_SPANS_REQUEST_MAX, USER_SPANS_VALUES_MAX

PROTOBUF: Final = "application/x-protobuf"
FIELDS_MAX: Final = 4 * USER_SPANS_VALUES_MAX
"""An attribute has up to four fields, with all that is in it."""
UNCOUNTED_BYTES_MAX: Final = 768 * 1024
"""A body so short is read within 50 ms, whatever it holds: two bytes are the shortest field."""


class MalformedSpans(ValueError):
    """A body that is no export. The text says why."""


def decode_protobuf(body: bytes) -> otlp.Export:
    """What an exporter sent as protobuf. Raises MalformedSpans."""
    if len(body) > UNCOUNTED_BYTES_MAX and _has_more_fields(body, FIELDS_MAX):
        raise MalformedSpans(f"over {FIELDS_MAX} fields in the spans: send fewer at once")
    try:
        found = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise MalformedSpans(str(error)) from None
    count = sum(len(scope.spans) for one in found.resource_spans for scope in one.scope_spans)
    if count > USER_SPANS_REQUEST_MAX:
        raise MalformedSpans(f"{count} spans, at most {USER_SPANS_REQUEST_MAX} go at once")
    return otlp.Export(tuple(_resource(one) for one in found.resource_spans))


def encode_answer(rejected: int, said: str) -> bytes:
    """The answer to an export: how many spans were not kept, and why."""
    answer = ExportTraceServiceResponse()
    if rejected:
        partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message=said)
        answer.partial_success.CopyFrom(partial)
    return answer.SerializeToString()


def _has_more_fields(body: bytes, limit: int) -> bool:
    """Whether an export has more fields than that, counted without reading them. The decoder keeps
    the interpreter to itself until it is done; this does not. What is malformed is not judged."""
    open_ends: list[tuple[int, int, Descriptor]] = []
    open_ends.append((0, len(body), ExportTraceServiceRequest.DESCRIPTOR))
    count = 0
    while open_ends:
        at, end, message = open_ends.pop()
        inside = {number: field.message_type for number, field in message.fields_by_number.items()}
        while at < end:
            count += 1
            if count > limit:
                return True
            tag, at = _varint(body, at)
            match tag & 7:
                case 0:
                    _, at = _varint(body, at)
                case 1:
                    at += 8
                case 2:
                    length, at = _varint(body, at)
                    if (found := inside.get(tag >> 3)) is not None:
                        open_ends.append((at, min(at + length, end), found))
                    at += length
                case 5:
                    at += 4
                case _:
                    return False
    return False


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A number of up to ten bytes, and where the next thing begins."""
    number = 0
    for place, byte in enumerate(body[at : at + 10]):
        number |= (byte & 127) << (7 * place)
        if byte < 128:
            return number, at + place + 1
    return number, at + 10


def _resource(given: trace_pb2.ResourceSpans) -> otlp.ResourceSpans:
    return otlp.ResourceSpans(
        otlp.Resource(_attributes(given.resource.attributes)),
        tuple(
            otlp.ScopeSpans(
                otlp.Scope(one.scope.name, one.scope.version),
                tuple(_span(span) for span in one.spans),
            )
            for one in given.scope_spans
        ),
    )


def _span(given: trace_pb2.Span) -> otlp.OtlpSpan:
    return otlp.OtlpSpan(
        trace_id=given.trace_id.hex(),
        span_id=given.span_id.hex(),
        parent_span_id=given.parent_span_id.hex(),
        name=given.name,
        kind=int(given.kind),
        start_time_unix_nano=given.start_time_unix_nano,
        end_time_unix_nano=given.end_time_unix_nano,
        attributes=_attributes(given.attributes),
        status=otlp.SpanStatus(int(given.status.code), given.status.message),
    )


def _attributes(given: Iterable[common_pb2.KeyValue]) -> tuple[otlp.KeyValue, ...]:
    return tuple(otlp.KeyValue(one.key, _value(one.value)) for one in given)


def _value(given: common_pb2.AnyValue) -> otlp.AnyValue:
    match given.WhichOneof("value"):
        case "string_value":
            return otlp.AnyValue(string_value=given.string_value)
        case "bool_value":
            return otlp.AnyValue(bool_value=given.bool_value)
        case "int_value":
            return otlp.AnyValue(int_value=given.int_value)
        case "double_value":
            return otlp.AnyValue(double_value=given.double_value)
        case "array_value":
            values = tuple(_value(one) for one in given.array_value.values)
            return otlp.AnyValue(array_value=otlp.ListValue(values))
        case "kvlist_value":
            named = _attributes(given.kvlist_value.values)
            return otlp.AnyValue(kvlist_value=otlp.KeyValueList(named))
        case "bytes_value":
            text = base64.b64encode(given.bytes_value).decode()
            return otlp.AnyValue(bytes_value=text)
        case _:
            return otlp.NOTHING
