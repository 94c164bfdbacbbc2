"""Runs as traces: what a collector is told, and that nobody waits for one that is away."""

import asyncio
import logging

import msgspec
import pytest
from aiohttp import web

from stepwell.server.engine.row.run import Note, Run, RunStatus, Step
from stepwell.server.query.timeline import Rows, timeline
from stepwell.server.query.v2.run_trace import trace_v2
from stepwell.server.telemetry import exporter as exporter_module
from stepwell.server.telemetry.exporter import Exporter
from stepwell.server.telemetry.run_spans import spans_of
from stepwell.wire import otlp
from tests.unit.server.api.harness import function, serving
from tests.unit.server.api.test_annotations import begun, charged

NOW = 1_743_130_137_000
RUN = Run(
    *("01RUN", "shop-a", "shop", ("E1",), NOW, RunStatus.COMPLETED, NOW + 10, NOW + 100, b"1")
)
SENDER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def told(run: Run = RUN, traceparent: str = "") -> list[otlp.OtlpSpan]:
    steps = [Step("01RUN", "hash-pay", 1, "StepRun", "pay", b'{"data":1}', NOW + 20, NOW + 40, 1)]
    notes = [Note("01RUN", 1, NOW + 15, "retry", "hash-pay", "pay", 0, b'{"message":"bad"}')]
    root = timeline(Rows(run, steps, notes))
    trace = trace_v2(run.id, root, NOW + 100, with_output=False)
    return [*spans_of(run, trace, traceparent)]


def test_a_run_is_a_trace_with_its_queue_steps_and_attempts() -> None:
    run, queue, pay, attempt = told()
    assert (run.name, queue.name, pay.name, attempt.name) == ("shop-a", "queue", "pay", "pay")
    assert {one.trace_id for one in (run, queue, pay, attempt)} == {run.trace_id}
    assert (queue.parent_span_id, pay.parent_span_id) == (run.span_id, run.span_id)
    assert (run.parent_span_id, attempt.parent_span_id) == ("", pay.span_id)
    assert (len(run.trace_id), len(run.span_id), len(pay.span_id)) == (32, 16, 16)
    assert run.start_time_unix_nano == f"{NOW}000000"
    assert queue.end_time_unix_nano == f"{NOW + 10}000000"
    assert pay.end_time_unix_nano == f"{NOW + 40}000000"
    assert otlp.is_error(attempt.status)
    assert attempt.status.message == "Error: bad"
    assert otlp.plain(run.attributes)["inngest.run.status"] == "Completed"
    assert otlp.plain(pay.attributes)["inngest.step.attempt"] == 1
    assert [one.span_id for one in told()] == [one.span_id for one in (run, queue, pay, attempt)]


def test_the_trace_is_that_of_the_sender_or_the_one_the_sdk_makes_of_the_run() -> None:
    from stepwell.opentelemetry import _of_run

    alone = told()[0]
    made = _of_run(RUN.id)
    assert (alone.trace_id, alone.span_id) == (f"{made.trace_id:032x}", f"{made.span_id:016x}")
    sent = told(traceparent=SENDER)[0]
    assert (sent.trace_id, sent.parent_span_id) == tuple(SENDER.split("-")[1:3])
    for bad in ("00-1-2-01", "", f"00-{'0' * 32}-b7ad6b7169203331-01"):
        assert told(traceparent=bad)[0].trace_id == alone.trace_id


def test_a_run_that_failed_says_with_what() -> None:
    output = b'{"name":"E","message":"no"}'
    failed = msgspec.structs.replace(RUN, status=RunStatus.FAILED, output=output)
    run = told(failed)[0]
    assert run.status == otlp.SpanStatus(otlp.ERROR, "E: no")


async def test_a_collector_is_told_of_runs_with_the_trace_of_their_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporter_module, "GATHER_S", 0.0)
    bodies: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        assert request.content_type == "application/json"
        bodies.put_nowait(await request.read())
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with serving() as api:
        await api.register(function("a", event="x"))
        event = {"name": "x", "meta": {"traceparent": SENDER}}
        await api.http.post("/e/k1", json=event)
        (job,) = await api.jobs()
        await api.answer(job, charged())
        exporter = Exporter(api.deps.reader, api.clock, f"http://127.0.0.1:{port}/v1/traces")
        exporter.start()
        exporter.hear(job.run.id)
        export = otlp.decode_export(await asyncio.wait_for(bodies.get(), 20))
        # What has ended is told before the server ends.
        exporter.hear(job.run.id)
        exporter.hear("01JQDAE4RQ0000000000000009")
        await exporter.stop()
        assert bodies.qsize() == 1
    await runner.cleanup()
    (resource,) = export.resource_spans
    assert otlp.plain(resource.resource.attributes) == {"service.name": "stepwell"}
    spans = resource.scope_spans[0].spans
    assert [one.name for one in spans[:3]] == ["shop-a", "queue", "charge"]
    assert spans[0].trace_id == SENDER.split("-")[1]


async def test_nobody_waits_for_a_collector_that_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exporter_module, "GATHER_S", 0.0)
    monkeypatch.setattr(exporter_module, "WAITING_MAX", 2)
    async with serving() as api:
        await api.register(function("a", event="x"))
        job = await begun(api)
        exporter = Exporter(api.deps.reader, api.clock, "http://127.0.0.1:1/v1/traces")
        for _ in range(3):
            exporter.hear(job.run.id)
        exporter.start()
        await exporter.stop()
    (record,) = [one for one in caplog.records if "traces of runs are lost" in one.getMessage()]
    assert record.levelno == logging.WARNING
    assert "over 2 runs wait to be exported; see --system-trace-endpoint" in record.getMessage()
