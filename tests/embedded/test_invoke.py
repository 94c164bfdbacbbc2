"""Ordinary code starts runs of an engine in its own process, and waits for them."""

import asyncio

import pytest

import stepwell
from stepwell.embedded import Engine


@pytest.mark.logs('ValueError in function "shop-bad"')
async def test_runs_are_started_and_waited_for() -> None:
    client = stepwell.Inngest(app_id="shop", is_dev=True)

    @client.create_function(fn_id="double", trigger=stepwell.TriggerEvent(event="never"))
    async def double(ctx: stepwell.Context) -> int:
        await ctx.step.sleep("rest", 20)
        n: int = ctx.event.data["n"]
        return 2 * n

    @client.create_function(fn_id="bad", trigger=stepwell.TriggerEvent(event="never"), retries=0)
    def bad(ctx: stepwell.ContextSync) -> None:
        raise ValueError("on purpose")

    async with Engine(client, [double, bad], database=":memory:") as engine:
        assert await client.invoke(double, data={"n": 2}) == 4
        assert await asyncio.to_thread(client.invoke_sync, double, data={"n": 3}) == 6
        run_id = await client.invoke("shop-double", data={"n": 4}, wait=False)
        assert (await engine.node.run_ended(run_id, 5)).output == b"8"
        with pytest.raises(stepwell.RunFailedError, match="ValueError: on purpose"):
            await client.invoke(bad)
        with pytest.raises(stepwell.RunTimeoutError):
            await client.invoke(double, data={"n": 1}, timeout=1)
        with pytest.raises(stepwell.Error, match="could not find function"):
            await client.invoke("shop-unknown")
        with pytest.raises(RuntimeError, match=r"would block the event loop"):
            client.invoke_sync(double)
