"""Spans of calls, steps and sends, with the real SDK of OpenTelemetry: rows B-90, D-60, F-56."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from stepwell.embedded import Engine
from stepwell.opentelemetry import OpenTelemetryMiddleware, TraceFilter, add_trace
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import NonRetriableError
from stepwell.sdk.events.event import Event
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.send.delivery import EventBatch, HttpEventPort
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sdk.tracing import arrived
from tests.fake_server import payload
from tests.replay.stage import Client, Stage

SERVER_TRACE = "0af7651916cd43dd8448eb211c80319c"
SERVER_PARENT = f"00-{SERVER_TRACE}-b7ad6b7169203331-01"


class Spans:
    """Everything that was traced."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.middleware = OpenTelemetryMiddleware.factory(tracer_provider=self.provider)

    def all(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name]

    def only(self, name: str) -> Any:
        (found,) = self.named(name)
        return found


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return format(span.context.trace_id, "032x")


@pytest.fixture
def spans() -> Iterator[Spans]:
    found = Spans()
    yield found
    found.provider.shutdown()


async def two_steps(ctx: Context[Any]) -> str:
    async def work() -> int:
        return 1

    await ctx.step.run("first", work)
    await ctx.step.run("second", work)
    return "done"


def two_steps_sync(ctx: ContextSync[Any]) -> str:
    ctx.step.run("first", lambda: 1)
    ctx.step.run("second", lambda: 2)
    return "done"


@pytest.mark.parametrize("handler", [two_steps, two_steps_sync])
async def test_d60_a_span_for_each_call_and_each_step_that_runs(spans: Spans, handler: Any) -> None:
    stage = Stage(handler, client=Client(middleware=[spans.middleware]))
    assert await stage.play() == "done"
    calls = spans.named(handler.__name__)
    assert len(calls) == 3  # each step ended a call; known steps have no spans
    first, second = spans.only("first"), spans.only("second")
    assert first.parent.span_id == calls[0].context.span_id  # type: ignore[union-attr]
    assert second.parent.span_id == calls[1].context.span_id  # type: ignore[union-attr]
    assert {call.kind for call in calls} == {SpanKind.CONSUMER}
    assert len({trace_of(span) for span in spans.all()}) == 1  # a run is one trace
    assert calls[0].attributes["inngest.run.id"] == "01M82BFDSEAXH732SHZM7R2J1X"  # type: ignore[index]
    assert first.attributes["inngest.step.id"] == "first"
    assert all(span.status.status_code is StatusCode.UNSET for span in spans.all())


@pytest.mark.parametrize("blocking", [False, True])
async def test_d60_errors_are_recorded_where_they_are_raised(spans: Spans, blocking: bool) -> None:
    def broken() -> None:
        raise NonRetriableError("no stock")

    async def handler(ctx: Context[Any]) -> None:
        await ctx.step.run("reserve", broken)

    def handler_sync(ctx: ContextSync[Any]) -> None:
        ctx.step.run("reserve", broken)

    work = handler_sync if blocking else handler
    stage = Stage(work, client=Client(middleware=[spans.middleware]))
    assert (await stage.play())["message"] == "no stock"
    step = spans.only("reserve")
    assert step.status.description == "NonRetriableError: no stock"
    assert step.events[0].attributes["exception.message"] == "no stock"
    first, second = spans.named(work.__name__)
    assert first.status.status_code is StatusCode.UNSET  # it only ended at the step
    assert second.status.status_code is StatusCode.ERROR


async def test_d60_one_trace_from_the_sender_to_the_step_on_an_engine(spans: Spans) -> None:
    client = Inngest(app_id="shop", is_production=False, middleware=[spans.middleware])

    @client.create_function(fn_id="ship", trigger=TriggerEvent(event="order/paid"))
    async def ship(ctx: Context[Any]) -> str:
        async def pack() -> str:
            return "packed"

        return await ctx.step.run("pack", pack)

    async with Engine(client, [ship], database=":memory:"):
        tracer = spans.provider.get_tracer("test")
        with tracer.start_as_current_span("web request"):
            (event_id,) = await client.send(Event(name="order/paid", data={}))
        await _until(lambda: bool(spans.named("pack")) and bool(spans.named("ship")))
    assert event_id
    send = spans.only("send order/paid")
    assert send.kind is SpanKind.PRODUCER
    assert send.parent.span_id == spans.only("web request").context.span_id
    assert spans.named("ship")[0].parent.span_id == send.context.span_id  # type: ignore[union-attr]
    assert len({trace_of(span) for span in spans.all()}) == 1


async def _until(true: Any) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("blocking", [False, True])
async def test_f56_calls_go_on_from_the_servers_trace_over_http(
    spans: Spans, blocking: bool
) -> None:
    client = Inngest(app_id="app", is_production=False, middleware=[spans.middleware])
    trigger = TriggerEvent(event="test/event")
    declare = client.create_function(fn_id="fn", trigger=trigger)
    fn = declare(two_steps_sync) if blocking else declare(two_steps)
    handler = ServeHandler(client, [fn], framework="test")
    headers = {"traceparent": SERVER_PARENT, "x-inngest-server-kind": "dev"}
    request = ServeRequest(
        method="POST",
        url="http://app/api/inngest?fnId=app-fn&stepId=step",
        headers=headers,
        query={"fnId": "app-fn", "stepId": "step"},
        body=payload(),
    )
    answered = handler.handle_sync(request) if blocking else await handler.handle(request)
    assert answered.status == 206
    (call,) = spans.named("fn")
    assert trace_of(call) == SERVER_TRACE
    assert call.parent is not None
    assert format(call.parent.span_id, "016x") == "b7ad6b7169203331"
    assert trace_of(spans.only("first")) == SERVER_TRACE
    assert answered.headers["traceparent"] == SERVER_PARENT


class Http:
    """Takes every request."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.events: list[dict[str, Any]] = []

    def request_sync(self, method: str, url: str, **given: Any) -> HttpReply:
        self.headers.append(dict(given["headers"]))
        self.events += json.loads(given["body"])
        return HttpReply(200, {}, b'{"ids":["1"],"status":200}')

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        return self.request_sync(method, url, **given)


@pytest.mark.parametrize("blocking", [False, True])
async def test_f56_the_trace_leaves_with_events_and_their_request(
    spans: Spans, blocking: bool
) -> None:
    http: Any = Http()
    client = Inngest(app_id="app", is_production=False, middleware=[spans.middleware])
    client.event_port = HttpEventPort(lambda: http, "http://server/e/key", {}, 1)
    mine = Event(name="a/b", data={}, meta={"sessions": {"user": "1"}})
    if blocking:
        client.send_sync(mine)
    else:
        await client.send(mine)
    send = spans.only("send a/b")
    told = f"00-{trace_of(send)}-{send.context.span_id:016x}-{send.context.trace_flags:02x}"
    assert http.headers[0]["traceparent"] == told
    assert http.events[0]["meta"] == {"sessions": {"user": "1"}, "traceparent": told}
    assert mine.meta == {"sessions": {"user": "1"}}  # the caller's event stays as it is
    await client.event_port.deliver(EventBatch(b"[]", 0, "seed"))
    assert "traceparent" not in http.headers[1]


async def test_d60_other_causes_of_a_call_are_links(spans: Spans) -> None:
    client = Client(middleware=[spans.middleware])
    sender = "00-11111111111111111111111111111111-2222222222222222-01"
    event = {"name": "test/start", "data": {}, "meta": {"traceparent": sender}}
    stage = Stage(two_steps, client=client, event=event)
    with arrived({"traceparent": SERVER_PARENT}):
        await stage.call()
    (call,) = spans.named("two_steps")
    assert trace_of(call) == "1" * 32
    (link,) = call.links
    assert format(link.context.trace_id, "032x") == SERVER_TRACE


@pytest.mark.parametrize("value", ["", "nonsense", "00-0-0-00"])
async def test_f56_a_broken_trace_context_harms_nobody(spans: Spans, value: str) -> None:
    stage = Stage(two_steps, client=Client(middleware=[spans.middleware]))
    with arrived({"traceparent": value}):
        assert await stage.play() == "done"


async def test_d60_logs_correlate_with_spans(
    spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.handler.addFilter(TraceFilter())
    lines: list[Any] = []

    async def handler(ctx: Context[Any]) -> None:
        ctx.logger.info("in the function")

        async def work() -> None:
            ctx.logger.info("in the step")
            lines.append(add_trace(None, "info", {"event": "x"}))

        await ctx.step.run("work", work)

    client = Client(middleware=[spans.middleware], logger=logging.getLogger("shop"))
    await Stage(handler, client=client).call()
    logging.getLogger("shop").info("outside")
    found = {r.message: (getattr(r, "trace_id"), getattr(r, "span_id")) for r in caplog.records}  # noqa: B009
    call, step = spans.only("handler"), spans.only("work")
    assert found["in the function"] == (trace_of(call), f"{call.context.span_id:016x}")
    assert found["in the step"] == (trace_of(step), f"{step.context.span_id:016x}")
    assert found["outside"] == ("", "")
    assert lines[0]["span_id"] == f"{step.context.span_id:016x}"
    assert structlog.contextvars.merge_contextvars(None, "info", {}) == {}
    assert add_trace(None, "info", {"event": "x"}) == {"event": "x"}
