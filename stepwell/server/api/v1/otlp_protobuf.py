"""Spans as exporters send them in protobuf, as the same values that those in JSON are read into.

Source: OTLP 1.x, by the messages of the package `opentelemetry-proto`.
"""

import base64
from collections.abc import Iterable
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from stepwell.wire import otlp
from stepwell.wire.limit import USER_SPANS_REQUEST_MAX

PROTOBUF: Final = "application/x-protobuf"


class MalformedSpans(ValueError):
    """A body that is no export. The text says why."""


def decode_protobuf(body: bytes) -> otlp.Export:
    """What an exporter sent as protobuf. Raises MalformedSpans."""
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
