"""Everything that is built in, in one app: row B-76. Each does its part, none harms another."""

import json
import logging
from typing import Annotated, Any

import pydantic
import pytest
import sentry_sdk
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from stepwell.encryption import EncryptionMiddleware
from stepwell.opentelemetry import OpenTelemetryMiddleware
from stepwell.sdk.errors import NonRetriableError
from stepwell.sdk.events.schemas import EventSchemas
from stepwell.sdk.function.dependency import Depends
from stepwell.sdk.middleware.inject import dependency_injection_middleware
from stepwell.sdk.middleware.validation import ValidationMiddleware
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sentry import SentryMiddleware
from tests.replay.stage import Client, Stage

KEY = b"00" * 32


class Order(pydantic.BaseModel):
    n: int


def limit() -> int:
    return 5


async def handler(ctx: Any, most: Annotated[int, Depends(limit)]) -> dict[str, Any]:
    assert isinstance(ctx, Context)
    ctx.logger.info("counting")
    counted = await ctx.step.run("count", lambda: ctx.event.data["n"] + ctx.tax)  # type: ignore[attr-defined]
    if counted > most:
        raise NonRetriableError("too many")
    return {"counted": counted}


def handler_sync(ctx: Any, most: Annotated[int, Depends(limit)]) -> dict[str, Any]:
    assert isinstance(ctx, ContextSync)
    ctx.logger.info("counting")
    counted = ctx.step.run("count", lambda: ctx.event.data["n"] + ctx.tax)  # type: ignore[attr-defined]
    if counted > most:
        raise NonRetriableError("too many")
    return {"counted": counted}


@pytest.mark.parametrize("work", [handler, handler_sync])
@pytest.mark.parametrize("tax", [1, 10])
async def test_b76_all_that_is_built_in_works_together(
    work: Any, tax: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    captured: list[str] = []
    monkeypatch.setattr(sentry_sdk, "capture_exception", lambda error: captured.append(str(error)))
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    client = Client(
        middleware=[
            EncryptionMiddleware.factory(KEY),
            ValidationMiddleware,
            SentryMiddleware,
            OpenTelemetryMiddleware.factory(tracer_provider=provider),
            dependency_injection_middleware(tax=tax),
        ],
        logger=logging.getLogger("shop"),
    )
    client.schemas = EventSchemas().from_record({"test/start": Order})
    stage = Stage(work, client=client)
    ended = await stage.play()

    assert [record.message for record in caplog.records].count("counting") == 1
    names = [span.name for span in exporter.get_finished_spans()]
    assert names == ["count", work.__name__, work.__name__]
    stored = json.loads(bytes(stage.steps[stage.stack[0]]))["data"]
    assert stored["__ENCRYPTED__"] is True
    if tax == 1:
        assert (ended["__ENCRYPTED__"], captured) == (True, [])
    else:
        assert (ended["message"], captured) == ("too many", ["too many"])
    provider.shutdown()
