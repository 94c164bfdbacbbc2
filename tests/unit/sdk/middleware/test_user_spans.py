"""Spans of a program, sent with the run and the step they begin in: rows B-90, B-92."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

import stepwell
from stepwell.opentelemetry import OpenTelemetryMiddleware, RunSpanProcessor
from stepwell.sdk.net.port import HttpReply, NetworkError
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.wire.ai import told_of_span
from stepwell.wire.identifier import step_hash
from tests.replay.stage import RUN_ID, Client, Stage


class Http:
    """A server that keeps spans, or is away."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.reply = HttpReply(200, {}, b"{}")
        self.away = False

    def request_sync(self, method: str, url: str, **given: Any) -> HttpReply:
        if self.away:
            raise NetworkError("nobody is there")
        self.seen.append((method, url, given["headers"], json.loads(given["body"])))
        return self.reply

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        return self.request_sync(method, url, **given)

    def spans(self) -> list[Any]:
        return [
            span
            for *_, body in self.seen
            for resource in body["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]


class Traced:
    """A program that traces, and its server."""

    def __init__(self, **options: Any) -> None:
        self.http = Http()
        where: dict[str, Any] = {"base_url": "http://h", "http_client": self.http}
        keys: dict[str, Any] = {"signing_key": "signkey-test-12345678"}
        self.client = stepwell.Inngest(
            app_id="app", is_production=False, **where, **keys, **options
        )
        self.provider = TracerProvider()
        self.processor = RunSpanProcessor(self.client)
        self.provider.add_span_processor(self.processor)
        self.tracer = self.provider.get_tracer("mine", "1")


@pytest.fixture
def traced() -> Iterator[Callable[..., Traced]]:
    made: list[Traced] = []

    def make(**options: Any) -> Traced:
        made.append(Traced(**options))
        return made[-1]

    yield make
    for one in made:
        one.provider.shutdown()


def told(span: Any) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


@pytest.mark.parametrize("blocking", [False, True], ids=["coroutine", "plain"])
async def test_spans_are_sent_with_their_run_and_step(
    traced: Callable[..., Traced], blocking: bool
) -> None:
    program = traced()
    middleware = OpenTelemetryMiddleware.factory(tracer_provider=program.provider)

    def work() -> None:
        with (
            program.tracer.start_as_current_span("outer", attributes={"n": 7, "l": ["a", "b"]}),
            program.tracer.start_as_current_span("inner"),
        ):
            pass

    async def handler(ctx: Context) -> None:
        with program.tracer.start_as_current_span("beside"):
            pass
        await ctx.step.run("charge", work)

    def plain(ctx: ContextSync) -> None:
        with program.tracer.start_as_current_span("beside"):
            pass
        ctx.step.run("charge", work)

    with program.tracer.start_as_current_span("outside"):
        pass
    chosen: Any = plain if blocking else handler
    played = Stage(chosen, client=Client([middleware]), blocking=blocking)
    await played.call()
    assert program.processor.force_flush()
    found = {span["name"]: span for span in program.http.spans()}
    assert list(found) == ["beside", "inner", "outer"]
    of_step = {"inngest.run.id": RUN_ID, "inngest.step.hash": step_hash("charge")}
    assert told(found["beside"]) == {"inngest.run.id": RUN_ID}
    assert told(found["inner"]) == of_step
    several = {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}
    assert told(found["outer"]) == {**of_step, "n": "7", "l": several}
    assert found["inner"]["parentSpanId"] == found["outer"]["spanId"]
    (method, url, headers, _), *_ = program.http.seen
    assert (method, url) == ("POST", "http://h/v1/traces/userland")
    assert headers["authorization"].startswith("Bearer signkey-test-")


CHAT = {
    "gen_ai.request.model": "m",
    "gen_ai.system": "openai",
    "gen_ai.usage.input_tokens": 3,
    "gen_ai.usage.output_tokens": 2,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.input.messages": "secret",
}


async def reported(program: Traced, times: int = 1) -> Any:
    """The metadata of a step that asks a model so often."""

    async def ask() -> None:
        for _ in range(times):
            with program.tracer.start_as_current_span("chat", attributes=CHAT):
                pass

    async def handler(ctx: Context) -> None:
        await ctx.step.run("ask", ask)

    played = Stage(handler)
    (operation,) = played.operations(await played.call())
    return None if operation.metadata is None else json.loads(bytes(operation.metadata))


def test_a_span_of_an_agent_sums_up_what_those_of_its_models_tell() -> None:
    assert told_of_span(CHAT, 5)["input_tokens"] == 3
    assert told_of_span({**CHAT, "gen_ai.operation.name": "chat"}, 5)["input_tokens"] == 3
    assert told_of_span({**CHAT, "gen_ai.operation.name": "invoke_agent"}, 5) == {}


async def test_what_spans_of_models_tell_is_kept_with_the_step(
    traced: Callable[..., Traced],
) -> None:
    (only,) = await reported(traced(), times=2)
    assert (only["kind"], only["op"], only["scope"]) == ("inngest.ai", "set", "step")
    assert only["values"].pop("latency_ms") >= 0
    assert only["values"] == {
        "request_model": "m",
        "provider": "openai",
        "input_tokens": 6,
        "output_tokens": 4,
        "finish_reasons": ["stop"],
    }
    assert await reported(traced(ai_metadata=False)) is None


async def test_a_server_that_is_away_costs_the_spans_and_nothing_else(
    traced: Callable[..., Traced], caplog: pytest.LogCaptureFixture
) -> None:
    program = traced()
    for away, reply in ((True, None), (False, HttpReply(401, {}, b"who are you"))):
        program.http.away, program.http.reply = away, reply or program.http.reply
        await reported(program)
        program.processor.force_flush()
    assert "spans of runs were not sent: nobody is there" in caplog.text
    assert "spans of runs were not sent: HTTP 401: who are you" in caplog.text
