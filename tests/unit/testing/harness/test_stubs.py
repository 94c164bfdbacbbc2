"""Steps that the test answers for, and dependencies that it replaces."""

import pytest

import stepwell as sw
from stepwell.testing import Harness, HarnessError, HarnessSync
from tests.unit.testing.harness import shop


@pytest.fixture(autouse=True)
def nothing_charged() -> None:
    shop.charged.clear()


ORDER = sw.Event(name="shop/order", data={"amount": 3})


async def test_a_stub_fails_as_often_as_it_is_told_and_then_returns(stepwell: Harness) -> None:
    charge = stepwell.stub("charge", raises=[TimeoutError, shop.Declined("no")], returns="paid")
    run = (await stepwell.send(ORDER)).run
    assert charge.calls == [(3,)]
    await stepwell.advance(until=run)
    assert run.result == "paid"
    assert charge.calls == [(3,), (3,), (3,)]
    charge.assert_called_with(3)
    charge.assert_called_times(3)
    assert shop.charged == []


async def test_a_stub_that_always_fails_uses_up_the_retries(stepwell: Harness) -> None:
    charge = stepwell.stub("charge", raises=shop.Declined("no funds"))
    run = (await stepwell.send(ORDER)).run
    await stepwell.advance(days=1)
    assert run.status == "Failed"
    assert isinstance(run.error, sw.StepError)
    assert (run.error.name, str(run.error)) == ("Declined", "no funds")
    charge.assert_called_times(3)
    with pytest.raises(sw.RunFailedError, match="no funds"):
        _ = run.result


async def test_a_stub_calls_what_it_is_given(stepwell: Harness) -> None:
    async def charge(amount: int) -> str:
        return f"pretended {amount}"

    stepwell.stub("charge", calls=charge)
    run = (await stepwell.send(ORDER)).run
    assert run.steps["charge"] == "pretended 3"


def test_steps_of_plain_handlers_are_stubbed_and_their_dependencies_replaced(
    stepwell: HarnessSync,
) -> None:
    stepwell.override(shop.mailer, lambda: "post")
    assert stepwell.invoke(shop.pay, {"amount": 1}).result == "paid by post"
    mail = stepwell.stub("mail", returns="stubbed")
    assert stepwell.invoke(shop.pay).result == "stubbed"
    mail.assert_called_once_with()


async def test_the_test_answers_a_wait_by_an_event_and_an_invocation_by_a_stub(
    stepwell: Harness,
) -> None:
    pay = stepwell.stub("pay", returns="pretended")
    run = (await stepwell.send(sw.Event(name="shop/approval.asked"))).run
    assert "waits for an event shop/approval.given" in run.waits_for
    await stepwell.send(sw.Event(name="shop/approval.given", data={"by": "Ada"}))
    assert run.result == "Ada: pretended"
    pay.assert_called_once_with({"amount": 7})
    assert [run.function for run in stepwell.runs()] == ["shop-approve"]


async def test_a_wait_is_answered_by_a_stub(stepwell: Harness) -> None:
    stepwell.stub("answer", returns=sw.Event(name="shop/approval.given", data={"by": "Bo"}))
    stepwell.stub("pay", raises=shop.Declined("broke"))
    run = (await stepwell.send(sw.Event(name="shop/approval.asked"))).run
    assert isinstance(run.error, sw.StepError)
    assert str(run.error) == "broke"


async def test_an_answer_that_is_none_fails_the_step_with_a_sentence(stepwell: Harness) -> None:
    async def pay(data: object) -> str:
        return "never"

    asked = sw.Event(name="shop/approval.asked")
    stepwell.stub("answer", returns={"by": "Ada"})
    run = (await stepwell.send(asked)).run
    assert "answers a wait for an event with {'by': 'Ada'}: give an Event" in str(run.error)
    stepwell.stub("answer", returns=sw.Event(name="x", data={"by": "Ada"}))
    stepwell.stub("pay", calls=pay)
    run = (await stepwell.send(asked)).run
    assert "stands for what the server does: give a plain function" in str(run.error)
    stepwell.stub("pay", returns=object())
    run = (await stepwell.send(asked)).run
    assert run.error is not None


async def test_a_request_of_the_server_goes_nowhere_without_a_stub(stepwell: Harness) -> None:
    client = sw.Inngest(app_id="net", is_production=False)

    @client.create_function(
        fn_id="ask", trigger=sw.TriggerEvent(event="net/ask"), output_type=object
    )
    async def ask(ctx: sw.Context) -> object:
        found = await ctx.step.fetch("get", "https://example.com/x")
        return found.status

    stepwell.serve(client, [ask])
    run = await stepwell.invoke(ask)
    assert "https://example.com/x, and a test touches no network" in str(run.error)
    answer = {"status_code": 204, "headers": {}, "body": "", "url": "https://example.com/x"}
    stepwell.stub("get", returns=answer)
    assert (await stepwell.invoke(ask)).result == 204


async def test_a_wait_in_vain_is_a_stub_or_the_time(stepwell: Harness) -> None:
    asked = sw.Event(name="shop/approval.asked")
    patient = (await stepwell.send(asked)).run
    await stepwell.advance(days=1)
    assert patient.result == "nobody answered"
    stepwell.stub("answer", returns=None)
    assert (await stepwell.send(asked)).run.result == "nobody answered"


async def test_a_signal(stepwell: Harness) -> None:
    run = (await stepwell.send(sw.Event(name="shop/signal"))).run
    assert await stepwell.signal("stop") is None
    assert await stepwell.signal("go", {"n": 1}) == run
    assert run.result == {"signal": "go", "data": {"n": 1}}


def test_a_failed_assertion_tells_the_calls(stepwell: HarnessSync) -> None:
    charge = stepwell.stub("charge", returns="x")
    stepwell.send(ORDER)
    told = r'step "charge" was to be called once, with \(4\); .*called 1 times, with \(3\)'
    with pytest.raises(AssertionError, match=told):
        charge.assert_called_once_with(4)
    with pytest.raises(AssertionError, match="was not to be called"):
        charge.assert_not_called()


def test_a_stub_that_is_never_used_is_told_with_what_may_be_meant() -> None:
    harness = HarnessSync()
    try:
        harness.serve(shop.client, [shop.order])
        stub = harness.stub("chrage", returns="x")
        harness.send(ORDER)
        with pytest.raises(HarnessError, match=r'"chrage"\) was never used: did you mean "charge"'):
            harness.check()
        stub.assert_not_called()
        harness.check()
    finally:
        harness.close()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"step": ""}, "name the step by its id"),
        ({"step": "x", "calls": 3}, "give a function"),
        ({"step": "x", "calls": print, "returns": 1}, "returns or calls, not both"),
        ({"step": "x", "raises": [TimeoutError, 3]}, "3 is no exception"),
        ({"step": "x", "raises": "boom"}, "'boom' is no exception"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    stepwell: HarnessSync, given: dict[str, object], told: str
) -> None:
    with pytest.raises(HarnessError, match=told):
        stepwell.stub(**given)  # type: ignore[arg-type]
