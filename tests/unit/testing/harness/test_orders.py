"""Parallel steps in every order: by seeds that are printed, and by hypothesis."""

import asyncio

import pytest
from hypothesis import find, given, settings

import stepwell as sw
from stepwell.testing import Harness, HarnessError, HarnessSync, Order
from stepwell.testing.harness.order import SeededOrder
from stepwell.testing.harness.passes import passes
from stepwell.testing.hypothesis import orders

client = sw.Inngest(app_id="fan", is_production=False)
BOTH = [["left", "right"], ["right", "left"]]


@client.create_function(fn_id="out", trigger=sw.TriggerEvent(event="fan/out"))
async def out(ctx: sw.Context) -> list[str]:
    done: list[str] = []

    async def branch(name: str) -> None:
        await ctx.step.run(name, lambda: name)
        done.append(name)

    await asyncio.gather(branch("left"), branch("right"))
    return done


def outcome(order: Order | None) -> list[str]:
    with HarnessSync(order=order) as harness:
        harness.serve(client, [out])
        found: list[str] = harness.invoke(out).result
        return found


def test_seeds_lead_to_every_order_and_each_is_repeatable() -> None:
    found = [outcome(SeededOrder(seed)) for seed in range(12)]
    assert sorted({tuple(one) for one in found}) == [tuple(one) for one in BOTH]
    assert found == [outcome(SeededOrder(seed)) for seed in range(12)]
    assert outcome(None) == ["left", "right"]


def test_hypothesis_finds_the_shortest_order_that_differs() -> None:
    found = find(
        orders(),
        lambda order: outcome(order) == ["right", "left"],
        settings=settings(max_examples=200, deadline=None, database=None, derandomize=True),
    )
    assert len(found.turns) <= 4
    assert outcome(found) == ["right", "left"]


@settings(max_examples=10)
@given(order=orders(things_max=5))
def test_any_order(order: Order) -> None:
    assert outcome(order) in BOTH


@pytest.mark.stepwell(orders=5)
async def test_a_test_is_gone_through_in_several_orders(stepwell: Harness) -> None:
    assert (await stepwell.invoke(out)).result in BOTH


@pytest.mark.stepwell(order=3)
def test_a_seed_repeats_its_order(stepwell: HarnessSync) -> None:
    assert stepwell.invoke(out).result == outcome(SeededOrder(3))


async def test_the_seed_that_fails_is_printed() -> None:
    harness = Harness()
    harness.serve(client, [out])
    wanted = (seed for seed in range(1, 50) if outcome(SeededOrder(seed)) == ["right", "left"])
    seed = await asyncio.to_thread(next, wanted)
    try:
        with pytest.raises(AssertionError) as caught:
            for one in passes(harness, orders=50):
                with one:
                    assert (await harness.invoke(out)).result == ["left", "right"]
                await harness.stop()
    finally:
        await harness.close()
    (note,) = caught.value.__notes__
    assert note == f"in the order of seed {seed}: @pytest.mark.stepwell(order={seed}) repeats it"


@pytest.mark.parametrize("turns", [[-1], [1001]])
def test_what_is_no_order_is_refused(turns: list[int]) -> None:
    with pytest.raises(HarnessError, match="give numbers from 0 to 1000"):
        Order(turns)
    with pytest.raises(ValueError, match="at least one thing"):
        orders(things_max=0)
