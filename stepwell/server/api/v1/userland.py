"""`POST /v1/traces/userland`: spans of user code, which belong to runs and are shown with them."""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, as_json, body_of
from stepwell.server.api.v1.otlp_protobuf import PROTOBUF, decode_protobuf, encode_answer
from stepwell.server.engine.message.input import Done, RunAnnotated, Verdict
from stepwell.server.engine.row.annotation import Annotation, AnnotationKind, AnnotationUpdate
from stepwell.server.query.annotation import UserSpan
from stepwell.wire import header, otlp
from stepwell.wire.identifier import is_ulid
from stepwell.wire.limit import (
    USER_SPANS_REQUEST_BYTES_MAX,
    USER_SPANS_REQUEST_MAX,
    USER_SPANS_VALUES_MAX,
)
from stepwell.wire.metadata import NAME_BYTES_MAX, hashed_step
from stepwell.wire.outside import has_more_values

_RUN = ("sdk.run.id", "inngest.run.id")
"""Where SDKs write which run a span belongs to."""
_STEP_HASH, _STEP_ID, _STEP_INDEX = "inngest.step.hash", "inngest.step.id", "inngest.step.index"
_NS_IN_MS = 1_000_000
_GZIP = b"\x1f\x8b"


class _Home(NamedTuple):
    """The run and the step a span belongs to."""

    run_id: str = ""
    step_id: str = ""


class _Found(NamedTuple):
    """A span with who made it."""

    span: otlp.OtlpSpan
    scope: otlp.Scope
    resource: Mapping[str, object]
    attributes: Mapping[str, object]


async def take(deps: ApiDeps, request: Request) -> Response:
    """Keep spans of user code with the runs they name (`sdk.run.id` or `inngest.run.id`, and the
    step, among their attributes), or that a span above them names in the same request. The body is
    OTLP in JSON or in protobuf, and so is the answer. Spans of no run are refused, and counted in
    the answer."""
    body, kind = await body_of(request, USER_SPANS_REQUEST_BYTES_MAX), _kind(request)
    kept, rejected = await deps.searched(lambda: _sorted_out(_read(body, kind)))
    said = "spans that name no run" if rejected else ""
    for run_id, updates in kept.items():
        answer = await deps.ledger.submit(RunAnnotated(run_id, tuple(updates)))
        assert isinstance(answer, Done)
        if answer.verdict is not Verdict.APPLIED:
            rejected += len(updates)
            said = f"run {run_id}: {answer.reason}"
    if kind == PROTOBUF:
        return Response(encode_answer(rejected, said), media_type=PROTOBUF)
    if not rejected:
        return as_json({})
    return as_json({"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": said}})


def _sorted_out(export: otlp.Export) -> tuple[dict[str, list[AnnotationUpdate]], int]:
    """What is kept with which run, and how many spans name none."""
    found = {one.span.span_id: one for one in _spans(export)}
    homes = _homes(found)
    kept: defaultdict[str, list[AnnotationUpdate]] = defaultdict(list)
    rejected = 0
    for span_id, one in found.items():
        home = homes[span_id]
        if not is_ulid(home.run_id) or not 0 < len(span_id) <= NAME_BYTES_MAX:
            rejected += 1
            continue
        kept[home.run_id].append(_update(one, home))
    return kept, rejected


def _read(body: bytes, kind: str) -> otlp.Export:
    if kind not in (header.JSON, PROTOBUF):
        told = f"content-type {kind!r} is not read here: send OTLP as {header.JSON} or {PROTOBUF}"
        raise Problem(415, f"{told}, as the exporters of OpenTelemetry for HTTP do")
    read = decode_protobuf if kind == PROTOBUF else otlp.decode_export
    try:
        text = _unpacked(body)
        if kind == header.JSON and has_more_values(text, USER_SPANS_VALUES_MAX):
            told = f"the spans hold over {USER_SPANS_VALUES_MAX} values: send fewer at once"
            raise Problem(413, told)
        return read(text)
    except (msgspec.DecodeError, ValueError, OSError, EOFError, zlib.error) as error:
        raise Problem(400, f"the spans cannot be read: {error}; send OTLP as {kind}") from None


def _kind(request: Request) -> str:
    return request.headers.get(header.CONTENT_TYPE, "").partition(";")[0].strip()


def _unpacked(body: bytes) -> bytes:
    if not body.startswith(_GZIP):
        return body
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    text = unpacker.decompress(body, USER_SPANS_REQUEST_BYTES_MAX)
    if unpacker.unconsumed_tail:
        raise Problem(413, f"the spans are over {USER_SPANS_REQUEST_BYTES_MAX} bytes: send fewer")
    return text


def _spans(export: otlp.Export) -> Iterator[_Found]:
    count = sum(len(scope.spans) for one in export.resource_spans for scope in one.scope_spans)
    if count > USER_SPANS_REQUEST_MAX:
        raise Problem(413, f"{count} spans: send at most {USER_SPANS_REQUEST_MAX} at once")
    for resource in export.resource_spans:
        about = otlp.plain(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _Found(span, scope.scope, about, otlp.plain(span.attributes))


def _homes(found: Mapping[str, _Found]) -> dict[str, _Home]:
    """The run and step each span names, or the nearest span above it does. Each is looked at once,
    however long the chains are."""
    homes: dict[str, _Home] = {}
    for begin in found:
        path: list[str] = []
        span_id = begin
        while span_id in found and span_id not in homes:
            path.append(span_id)
            homes[span_id] = _named(found[span_id])
            if homes[span_id].run_id:
                break
            span_id = found[span_id].span.parent_span_id
        home = homes.get(span_id) or (homes[path[-1]] if path else _Home())
        for one in path:
            homes[one] = home
    return homes


def _named(one: _Found) -> _Home:
    told = one.attributes
    run_id = next((str(told[name]) for name in _RUN if told.get(name)), "")
    step = str(told.get(_STEP_HASH) or "")
    if not step and told.get(_STEP_ID):
        index = told.get(_STEP_INDEX)
        step = hashed_step(str(told[_STEP_ID]), index if isinstance(index, int) else 0)
    return _Home(run_id, step)


def _update(one: _Found, home: _Home) -> AnnotationUpdate:
    span = one.span
    begun_ns, ended_ns = (
        otlp.number(span.start_time_unix_nano),
        otlp.number(span.end_time_unix_nano),
    )
    kept = UserSpan(
        id=span.span_id,
        parent=span.parent_span_id,
        name=span.name,
        kind=otlp.kind_of(span.kind),
        begun_ms=max(begun_ns // _NS_IN_MS, 0),
        ended_ms=max(ended_ns // _NS_IN_MS, 0),
        failed=otlp.is_error(span.status),
        message=span.status.message,
        service=str(one.resource.get("service.name") or ""),
        scope=one.scope.name,
        scope_version=one.scope.version,
        attributes=msgspec.Raw(msgspec.json.encode(one.attributes)),
        resource=msgspec.Raw(msgspec.json.encode(one.resource)),
    )
    kind, body = AnnotationKind.SPAN, msgspec.json.encode(kept)
    row = Annotation(home.run_id, kind, home.step_id, "", span.span_id, kept.begun_ms, body)
    return AnnotationUpdate(row)
