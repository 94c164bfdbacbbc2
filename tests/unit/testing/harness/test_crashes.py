"""A test is gone through once for each point at which its process may die."""

import asyncio

import pytest

import stepwell as sw
from stepwell.testing import Harness, HarnessError, HarnessSync
from stepwell.testing.harness.passes import passes

client = sw.Inngest(app_id="bank", is_production=False)
charged: list[int] = []
taken: dict[str, int] = {}


@client.create_function(fn_id="careful", trigger=sw.TriggerEvent(event="bank/careful"))
async def careful(ctx: sw.Context) -> int:
    def charge() -> int:
        return taken.setdefault(ctx.run_id, 7)  # as a bank does that is given a key

    amount = await ctx.step.run("charge", charge)
    await ctx.step.sleep("calm", 1000)
    left, right = await asyncio.gather(
        ctx.step.run("left", lambda: 1), ctx.step.run("right", lambda: 2)
    )
    return amount + left + right


@client.create_function(fn_id="careless", trigger=sw.TriggerEvent(event="bank/careless"))
async def careless(ctx: sw.Context) -> int:
    def charge() -> int:
        charged.append(7)
        return len(charged)

    return await ctx.step.run("charge", charge)


@client.create_function(fn_id="plain", trigger=sw.TriggerEvent(event="bank/plain"))
def plain(ctx: sw.ContextSync) -> str:
    first = ctx.step.run("first", lambda: "a")
    return first + ctx.step.run("second", lambda: "b")


@client.create_function(fn_id="sender", trigger=sw.TriggerEvent(event="bank/sender"))
async def sender(ctx: sw.Context) -> None:
    async def tell() -> None:
        await client.send(sw.Event(name="bank/plain"))

    await ctx.step.run("tell", tell)


@pytest.mark.stepwell(crash_everywhere=True)
async def test_what_is_idempotent_passes(stepwell: Harness) -> None:
    run = (await stepwell.send(sw.Event(name="bank/careful"))).run
    await stepwell.advance(hours=1)
    assert run.result == 10


@pytest.mark.stepwell(crash_everywhere=True)
def test_plain_handlers_die_as_well(stepwell: HarnessSync) -> None:
    assert stepwell.invoke(plain).result == "ab"


async def gone_through(event: str) -> tuple[list[str], list[BaseException]]:
    """The points of a test that sends an event, and what went wrong at each."""
    harness = Harness()
    harness.serve(client, [careful, careless, sender, plain])
    points: list[str] = []
    problems: list[BaseException] = []
    try:
        for one in passes(harness, crash_everywhere=True):
            charged.clear()
            try:
                with one:
                    await harness.send(sw.Event(name=event))
                    await harness.advance(hours=1)
            except AssertionError as error:
                problems.append(error)
            points = points or list(one.points.met if one.points else ())
            await harness.stop()
    finally:
        await harness.close()
    return points, problems


async def test_a_step_that_is_not_idempotent_is_found_and_the_point_named() -> None:
    points, problems = await gone_through("bank/careless")
    assert points == [
        "a crash before call 1 of bank-careless",
        'a crash before step "charge" was stored (run of bank-careless)',
        'a crash after step "charge" was stored (run of bank-careless)',
        "a crash before its result was stored (run of bank-careless)",
        "call 1 of bank-careless made twice",
    ]
    (problem,) = problems
    told = str(problem)
    assert 'with a crash before step "charge" was stored (run of bank-careless) (point 2 of' in told
    assert "with it: 1 × bank-careless completed: 2" in told
    assert "without: 1 × bank-careless completed: 1" in told


async def test_an_event_that_is_sent_twice_is_a_run_too_many() -> None:
    _, problems = await gone_through("bank/sender")
    told = [str(problem) for problem in problems]
    assert len(told) == 2
    assert 'a crash before step "tell" was stored' in told[0]
    assert "call 1 of bank-sender made twice" in told[1]
    assert all("1 × bank-plain completed: 'ab'" in one for one in told)


async def test_a_test_that_goes_another_way_each_time_is_told() -> None:
    harness = Harness()
    harness.serve(client, [plain, careful])
    turn = 0
    try:
        with pytest.raises(HarnessError, match="did not come there the second time"):
            for one in passes(harness, crash_everywhere=True):
                with one:
                    turn += 1
                    await harness.send(sw.Event(name="bank/plain" if turn == 1 else "bank/none"))
                await harness.stop()
    finally:
        await harness.close()


async def test_what_runs_before_the_passes_is_refused() -> None:
    async with Harness() as harness:
        harness.serve(client, [plain])
        await harness.run_until_idle()
        with (
            pytest.raises(HarnessError, match="send in the test itself, not in its fixtures"),
            next(passes(harness, crash_everywhere=True)),
        ):
            pass


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"orders": -1}, "give how many, from 1"),
        ({"orders": 3, "order": 2}, "explore orders alone"),
        ({"orders": 3, "crash_everywhere": True}, "explore orders alone"),
        ({"order": "x"}, "give a whole number, the seed that was printed"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(HarnessError, match=told):
        next(passes(HarnessSync(), **options))  # type: ignore[arg-type]
