"""The fixture `stepwell`: the application's own functions, on the engine, at the test's time."""

import asyncio
import datetime as dt
import time

import pytest

import stepwell as sw
from stepwell.testing import Harness, HarnessError, HarnessSync, NotEnded
from stepwell.testing.harness import engine
from tests.unit.testing.harness import shop


async def test_three_days_pass_at_once(stepwell: Harness) -> None:
    began = time.monotonic()
    sent = await stepwell.send(sw.Event(name="shop/order", data={"amount": 3}))
    run = sent.run
    assert run.status == "Running"
    assert run.steps == {"charge": "charged 3"}
    with pytest.raises(NotEnded, match=r"calm sleeps until 2026-01-04T00:00:00"):
        _ = run.result
    await stepwell.advance(days=2, hours=23)
    assert "remind" not in run.steps
    await stepwell.advance(hours=1)
    assert (run.status, run.result) == ("Completed", "charged 3")
    assert stepwell.now == dt.datetime(2026, 1, 4, tzinfo=dt.UTC)
    assert time.monotonic() - began < 60


def test_a_plain_test_needs_no_await(stepwell: HarnessSync) -> None:
    run = stepwell.send(sw.Event(name="shop/order", data={"amount": 4})).run
    stepwell.advance(until=run)
    assert run.result == "charged 4"
    assert run.waits_for == ""
    assert stepwell.runs(shop.order) == [run]


async def test_what_the_application_sends_first_stays_inside(stepwell: Harness) -> None:
    await shop.client.send(sw.Event(name="shop/order", data={"amount": 5}))
    await stepwell.run_until_idle()
    (run,) = stepwell.runs()
    assert run.function == "shop-order"


async def test_blocking_code_of_the_application_sends_from_another_thread(
    stepwell: Harness,
) -> None:
    event = sw.Event(name="shop/order", data={"amount": 5})
    with pytest.raises(HarnessError, match=r"use `await client\.send`"):
        shop.client.send_sync(event)
    await asyncio.to_thread(shop.client.send_sync, event)
    await stepwell.run_until_idle()
    assert [run.function for run in stepwell.runs()] == ["shop-order"]


def test_a_plain_application_sends_first(stepwell: HarnessSync) -> None:
    shop.client.send_sync(sw.Event(name="shop/order", data={"amount": 5}))
    stepwell.run_until_idle()
    assert [run.function for run in stepwell.runs()] == ["shop-order"]


def test_an_application_with_a_loop_of_its_own_sends_first(stepwell: HarnessSync) -> None:
    run_id = asyncio.run(shop.client.invoke(shop.order, data={"amount": 6}, wait=False))
    stepwell.run_until_idle()
    assert [run.id for run in stepwell.runs()] == [run_id]
    assert stepwell.now.year == 2026


async def test_the_history_is_the_same_each_time_and_has_plain_values(stepwell: Harness) -> None:
    stepwell.stub("charge", raises=[shop.Declined("no")], returns="paid")
    run = (await stepwell.send(sw.Event(name="shop/order", data={"amount": 3}))).run
    await stepwell.advance(days=4)
    assert run.history == [
        {
            "at": "2026-01-01T00:00:00Z",
            "function": "shop-order",
            "events": [{"name": "shop/order", "data": {"amount": 3}}],
        },
        {"at": "2026-01-01T00:00:00Z", "step": "charge", "attempt": 1, "error": "Declined: no"},
        {"at": "2026-01-01T00:00:40.710Z", "step": "charge", "kind": "StepRun", "result": "paid"},
        {"at": "2026-01-04T00:00:40.710Z", "step": "calm", "kind": "Sleep", "result": None},
        {
            "at": "2026-01-04T00:00:40.710Z",
            "step": "remind",
            "kind": "StepRun",
            "result": "reminded",
        },
        {"at": "2026-01-04T00:00:40.710Z", "status": "Completed", "result": "paid"},
    ]


async def test_a_run_is_cancelled(stepwell: Harness) -> None:
    run = (await stepwell.send(sw.Event(name="shop/order", data={"amount": 3}))).run
    await stepwell.cancel(run)
    assert run.status == "Cancelled"
    assert isinstance(run.error, sw.RunFailedError)


async def test_an_event_that_starts_nothing_says_why(stepwell: Harness) -> None:
    sent = await stepwell.send(sw.Event(name="shop/ordre"))
    told = "no function listens to shop/ordre; the nearest that are listened to: shop/order"
    with pytest.raises(HarnessError, match=told):
        _ = sent.run


async def test_a_frozen_clock_is_as_a_server_that_stood_still(stepwell: Harness) -> None:
    run = (await stepwell.send(sw.Event(name="shop/order", data={"amount": 3}))).run
    await stepwell.freeze("2026-02-01T12:00:00+01:00")
    assert stepwell.now == dt.datetime(2026, 2, 1, 11, tzinfo=dt.UTC)
    assert run.result == "charged 3"
    assert run.history[-1]["at"] == "2026-02-01T11:00:00Z"


@pytest.mark.stepwell(now="2030-05-06T07:08:09+00:00")
def test_a_test_may_begin_at_any_time(stepwell: HarnessSync) -> None:
    run = stepwell.send(sw.Event(name="shop/order", data={"amount": 3})).run
    assert run.history[0]["at"] == "2030-05-06T07:08:09Z"


async def test_a_run_that_does_not_end_by_itself_is_told(stepwell: Harness) -> None:
    client = sw.Inngest(app_id="own", is_production=False)

    @client.create_function(
        fn_id="one", trigger=sw.TriggerEvent(event="own/one"), concurrency=[sw.Concurrency(limit=1)]
    )
    async def one(ctx: sw.Context) -> None:
        await ctx.step.sleep("long", dt.timedelta(days=360))

    stepwell.serve(client, [one])
    run = (await stepwell.send(sw.Event(name="own/one"))).run
    await stepwell.advance(until=run)
    assert run.result is None


REFUSED = [
    ({"days": -1}, "time goes forward only"),
    ({"days": "3"}, r"advance\(days='3'\): give a number"),
    ({"years": 1}, "is unknown: use weeks, days, hours"),
    ({"by": 3}, "give a timedelta, or parts"),
]


@pytest.mark.parametrize(("given", "told"), REFUSED)
def test_time_that_cannot_pass_is_refused(
    stepwell: HarnessSync, given: dict[str, object], told: str
) -> None:
    with pytest.raises(HarnessError, match=told):
        stepwell.advance(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2025-12-31T00:00:00+00:00", "where the test is: time goes forward only"),
        ("2026-12-31", "has no time zone"),
        ("soon", "is no date"),
        (3, "give a datetime"),
    ],
)
def test_a_time_that_is_none_is_refused(stepwell: HarnessSync, at: str, told: str) -> None:
    with pytest.raises(HarnessError, match=told):
        stepwell.freeze(at)


def test_other_words_that_come_too_late_or_name_nothing_are_refused(stepwell: HarnessSync) -> None:
    other = sw.Inngest(app_id="other", is_production=False)
    with pytest.raises(HarnessError, match="there are no runs"):
        stepwell.runs()
    with pytest.raises(HarnessError, match=r"give the app's stepwell\.Inngest"):
        stepwell.serve("shop", [])  # type: ignore[arg-type]
    with pytest.raises(HarnessError, match="give what create_function made"):
        stepwell.serve(other, [3])  # type: ignore[list-item]
    with pytest.raises(HarnessError, match='two functions are called "shop-pay"'):
        stepwell.serve(shop.client, [shop.pay, shop.pay])
    stepwell.run_until_idle()
    with pytest.raises(HarnessError, match="comes too late"):
        stepwell.serve(other, [])
    with pytest.raises(HarnessError, match="give what create_function made"):
        stepwell.invoke("shop-pay")  # type: ignore[arg-type]
    with pytest.raises(HarnessError, match="give a function, called for it"):
        stepwell.override(shop.mailer, "post")  # type: ignore[arg-type]


def test_a_run_outlives_its_test_only_by_name() -> None:
    with HarnessSync() as harness:
        harness.serve(shop.client, [shop.order])
        run = harness.send(sw.Event(name="shop/order", data={"amount": 3})).run
        assert repr(run) == "<Run of shop-order Running>"
    assert repr(run) == f"<Run {run.id}>"
    with pytest.raises(HarnessError, match="the test is over"):
        _ = run.status


def test_without_a_client_it_says_so() -> None:
    harness = HarnessSync()
    try:
        with pytest.raises(HarnessError, match="no client was found"):
            harness.send(sw.Event(name="x"))
    finally:
        harness.close()


async def test_what_a_test_waits_for_is_told(
    stepwell: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine, "SLOW_S", 0.01)
    told = asyncio.Event()

    async def slow(amount: int) -> str:
        await told.wait()
        return "at last"

    stepwell.stub("charge", calls=slow)
    sending = asyncio.ensure_future(stepwell.send(sw.Event(name="shop/order", data={"amount": 3})))
    while "still waiting for code of shop-order" not in caplog.text:
        await asyncio.sleep(0.01)
    told.set()
    assert (await sending).run.steps == {"charge": "at last"}
