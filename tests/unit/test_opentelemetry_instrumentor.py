"""`opentelemetry-instrument` finds an instrumentor, which makes every client trace: row B-91."""

import asyncio
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any, cast

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import stepwell
from stepwell.opentelemetry import OpenTelemetryMiddleware, RunSpanProcessor
from stepwell.opentelemetry_instrumentor import StepwellInstrumentor
from tests.replay.stage import Stage


class Traced:
    """A program that is instrumented."""

    def __init__(self) -> None:
        self.provider = TracerProvider()
        self.spans = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.added: list[Any] = []
        self.provider.add_span_processor = self.added.append  # type: ignore[method-assign]
        self.instrumentor = StepwellInstrumentor()
        self.instrumentor.instrument(tracer_provider=self.provider)


@pytest.fixture
def traced() -> Iterator[Traced]:
    made = Traced()
    yield made
    if made.instrumentor.is_instrumented_by_opentelemetry:
        made.instrumentor.uninstrument()
    for processor in made.added:
        processor.shutdown()


def client(**options: Any) -> stepwell.Inngest:
    return stepwell.Inngest(app_id="shop", is_production=False, **options)


def test_it_is_found_by_its_entry_point() -> None:
    (found,) = entry_points(group="opentelemetry_instrumentor", name="stepwell")
    assert found.load() is StepwellInstrumentor


@pytest.mark.parametrize("kind", [list, tuple])
def test_clients_trace_from_then_on(traced: Traced, kind: type[Any]) -> None:
    class Other(stepwell.Middleware):
        pass

    made = client(middleware=kind([Other]))
    traces, other = made.middleware
    assert issubclass(traces, OpenTelemetryMiddleware)  # type: ignore[arg-type]
    assert other is Other
    client()
    (processor,) = traced.added  # one, however many clients there are
    assert isinstance(processor, RunSpanProcessor)

    def handler(ctx: stepwell.ContextSync) -> str:
        return ctx.step.run("charge", lambda: "charged")

    asyncio.run(Stage(handler, client=cast(Any, made)).call())
    names = {span.name for span in traced.spans.get_finished_spans()}
    assert "charge" in names


def test_who_traces_already_is_left_alone(traced: Traced) -> None:
    own = OpenTelemetryMiddleware.factory()
    assert client(middleware=[own]).middleware == [own]
    with pytest.raises(stepwell.Error, match="middleware"):
        client(middleware="no")


def test_after_the_end_clients_are_made_as_ever(traced: Traced) -> None:
    traced.instrumentor.uninstrument()
    assert client().middleware == []


def test_spans_are_shown_once_however_often_one_instruments(traced: Traced) -> None:
    client()
    traced.instrumentor.uninstrument()
    traced.instrumentor.instrument(tracer_provider=traced.provider)
    client()
    assert len(traced.added) == 1
