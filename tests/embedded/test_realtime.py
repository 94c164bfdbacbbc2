"""An engine in one's own process tells subscribers there, and tests see what was told."""

import asyncio
from typing import Any

import pytest

import stepwell
from stepwell import Context, ContextSync, Event, Topic, TriggerEvent
from stepwell.embedded import Engine
from stepwell.testing import Harness

STEPS = Topic("order:{order_id}", "steps", dict[str, int])
ONE = STEPS.at(order_id=1)
GO = TriggerEvent(event="shop/go")


def shop() -> tuple[stepwell.Inngest, list[stepwell.Function[Any]]]:
    client = stepwell.Inngest(app_id="shop", is_dev=True)

    @client.create_function(fn_id="tell", trigger=GO)
    async def tell(ctx: Context) -> Any:
        told = await ctx.step.realtime.publish("began", ONE, {"n": 1})
        await client.realtime.publish(ONE, {"n": 0})
        await ctx.step.sleep("nap", 1000)
        await ctx.step.realtime.publish("ended", ONE, {"n": 2})
        return told

    @client.create_function(fn_id="plain", trigger=TriggerEvent(event="shop/plain"))
    def plain(ctx: ContextSync) -> Any:
        return ctx.step.realtime.publish("began", ONE, {"n": 3})

    return client, [tell, plain]


async def test_a_step_tells_once_and_the_client_whenever_it_passes() -> None:
    client, functions = shop()
    async with Harness() as harness:
        harness.serve(client, functions)
        sent = await harness.send(Event(name="shop/go"))
        await harness.advance(until=sent.run)
        assert sent.run.result == {"n": 1}
        assert harness.published(ONE) == [{"n": 1}, {"n": 0}, {"n": 0}, {"n": 2}]
        assert harness.published(STEPS.at(order_id=2)) == []
        sent = await harness.send(Event(name="shop/plain"))
        assert sent.run.result == {"n": 3}
        assert harness.published(ONE)[-1] == {"n": 3}


async def test_subscribers_of_an_engine_on_any_loop() -> None:
    client, functions = shop()
    engine = Engine(client, functions, database=":memory:")
    await engine.start()
    async with client.realtime.subscribe(ONE) as messages:
        await client.send(Event(name="shop/plain"))
        message = await asyncio.wait_for(anext(messages), 10)
        assert (message.data, bool(message.run_id)) == ({"n": 3}, True)

        def blocking() -> list[dict[str, int]]:
            with client.realtime.subscribe_sync(ONE, since=message.id) as told:
                client.realtime.publish_sync(ONE, {"n": 4})
                return [next(told).data]

        assert await asyncio.to_thread(blocking) == [{"n": 4}]
        assert (await asyncio.wait_for(anext(messages), 10)).data == {"n": 4}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(messages), 0.01)
        await client.realtime.publish(ONE, {"n": 5})
        assert (await asyncio.wait_for(anext(messages), 10)).data == {"n": 5}
        rest = asyncio.create_task(_rest(messages))
        await asyncio.sleep(0)
        await engine.stop()
        assert await asyncio.wait_for(rest, 10) == []


async def _rest(messages: stepwell.Subscription[Any]) -> list[Any]:
    return [message async for message in messages]
