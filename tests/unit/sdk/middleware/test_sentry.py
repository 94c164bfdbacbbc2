"""Errors in Sentry, with the real SDK and a transport that keeps what it is given: B-95, B-76."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import NonRetriableError
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sentry import SentryMiddleware
from tests.replay.stage import RUN_ID, Client, Stage


class Kept(Transport):
    """Sends nothing."""

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.events: list[dict[str, Any]] = []
        self.flushed = 0

    def capture_envelope(self, envelope: Envelope) -> None:
        event = envelope.get_event()
        if event is not None:
            self.events.append(dict(event))

    def flush(self, timeout: float, callback: Any = None) -> None:
        self.flushed += 1


@pytest.fixture
def kept() -> Iterator[Kept]:
    transport = Kept()
    before = sentry_sdk.get_global_scope().client
    sentry_sdk.init(
        dsn="http://key@127.0.0.1/1",
        transport=transport,
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    yield transport
    sentry_sdk.get_global_scope().set_client(before)


def broken() -> None:
    raise ValueError("no stock")


async def failing_step(ctx: Context[Any]) -> None:
    await ctx.step.run("reserve", broken)


def failing_step_sync(ctx: ContextSync[Any]) -> None:
    ctx.step.run("reserve", broken)


async def failing(ctx: Context[Any]) -> None:
    await ctx.step.run("known", lambda: 1)
    raise ValueError("no stock")


def failing_sync(ctx: ContextSync[Any]) -> None:
    ctx.step.run("known", lambda: 1)
    raise ValueError("no stock")


async def run(work: Any, *, max_attempts: int = 3, **options: Any) -> Any:
    middleware = SentryMiddleware.factory(**options)
    client = Client(middleware=[middleware], logger=logging.getLogger("quiet"))
    stage = Stage(work, client=client, max_attempts=max_attempts)
    while True:
        ended = await stage.play()
        if stage.attempt + 1 >= max_attempts or ended["code"] != "unknown":
            return ended
        stage.attempt += 1


def messages(kept: Kept) -> list[tuple[str, str]]:
    return [
        (event["exception"]["values"][-1]["type"], event["exception"]["values"][-1]["value"])
        for event in kept.events
    ]


@pytest.mark.parametrize("work", [failing, failing_sync])
async def test_b95_a_function_that_fails_in_vain_is_captured_once(kept: Kept, work: Any) -> None:
    await run(work)
    assert messages(kept) == [("ValueError", "no stock")]
    tags = kept.events[0]["tags"]
    assert tags == {
        "inngest.app.id": "app",
        "inngest.function.id": work.__name__,
        "inngest.function.name": work.__name__,
        "inngest.run.id": RUN_ID,
        "inngest.attempt": 2,
        "inngest.event.id": "01M82BFDSE0000000000000000",
        "inngest.event.name": "test/start",
        "inngest.event.names": "test/start",
        "inngest.event.count": 1,
        "inngest.final_attempt": True,
    }


async def test_b95_every_attempt_if_that_is_wished_for(kept: Kept) -> None:
    await run(failing, only_final_attempt=False)
    assert [event["tags"]["inngest.attempt"] for event in kept.events] == [0, 1, 2]
    traces = {event["contexts"]["trace"]["trace_id"] for event in kept.events}
    assert len(traces) == 1  # all calls of a run share the trace its id stands for


@pytest.mark.parametrize("work", [failing_step, failing_step_sync])
async def test_b95_a_step_that_fails_in_vain_fails_its_function_once(kept: Kept, work: Any) -> None:
    await run(work)
    assert messages(kept) == [("StepError", "no stock")]
    assert "inngest.step.id" not in kept.events[0]["tags"]


@pytest.mark.parametrize("work", [failing_step, failing_step_sync])
async def test_b95_steps_are_captured_where_they_raise_if_wished(kept: Kept, work: Any) -> None:
    await run(work, capture_step_errors=True)
    assert messages(kept) == [("ValueError", "no stock")]
    assert kept.events[0]["tags"]["inngest.step.id"] == "reserve"


async def test_b95_a_handled_step_error_is_no_error_of_the_function(kept: Kept) -> None:
    async def handler(ctx: Context[Any]) -> str:
        try:
            await ctx.step.run("reserve", broken)
        except Exception:
            return "sold out"
        return "ok"

    client = Client(middleware=[SentryMiddleware])
    assert await Stage(handler, client=client, max_attempts=2).play() == "sold out"
    assert kept.events == []


async def test_b95_what_is_not_tried_again_is_captured_at_once(kept: Kept) -> None:
    async def handler(ctx: Context[Any]) -> None:
        raise NonRetriableError("never")

    await Stage(handler, client=Client(middleware=[SentryMiddleware])).play()
    assert messages(kept) == [("NonRetriableError", "never")]


@pytest.mark.parametrize("auto_flush", [True, False])
@pytest.mark.parametrize("blocking", [True, False])
async def test_b95_flushed_before_the_answer(kept: Kept, auto_flush: bool, blocking: bool) -> None:
    def ends_sync(ctx: ContextSync[Any]) -> None:
        return None

    async def ends(ctx: Context[Any]) -> None:
        return None

    middleware = SentryMiddleware.factory(auto_flush=auto_flush)
    work = ends_sync if blocking else ends
    await Stage(work, client=Client(middleware=[middleware])).play()
    assert kept.flushed == int(auto_flush)


async def test_b95_calls_beside_each_other_have_their_own_tags(kept: Kept) -> None:
    both = asyncio.Barrier(2)

    async def one(ctx: Context[Any]) -> None:
        await both.wait()
        sentry_sdk.capture_message("one")
        await both.wait()

    async def two(ctx: Context[Any]) -> None:
        await both.wait()
        sentry_sdk.capture_message("two")
        await both.wait()

    stages = [Stage(work, client=Client(middleware=[SentryMiddleware])) for work in (one, two)]
    await asyncio.gather(*(stage.play() for stage in stages))
    found = {event["message"]: event["tags"]["inngest.function.id"] for event in kept.events}
    assert found == {"one": "one", "two": "two"}
    sentry_sdk.capture_message("outside")
    assert "tags" not in kept.events[-1] or not kept.events[-1]["tags"]


def test_b95_says_if_sentry_is_not_set_up(caplog: pytest.LogCaptureFixture) -> None:
    sentry_sdk.get_global_scope().set_client(None)
    Inngest(app_id="app", is_dev=True, middleware=[SentryMiddleware])
    assert "sentry_sdk.init" in caplog.text
