"""The model SDK answers calls as the protocol says an SDK does (http.md 8.1)."""

import msgspec

from stepwell.server.engine.message.input import Broke, Progressed, Returned
from stepwell.testing.simulation.model import (
    Await,
    Body,
    Call,
    Do,
    Invoke,
    Nap,
    Program,
    Reply,
    Send,
    Stumble,
    Together,
    answer,
    live,
)
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import StepError, StepFailed, StepRun

FAILED = b'{"error":{"name":"E","message":"m"}}'
DATA = b'{"data":1}'


def ask(body: Body, *saved: str, memo: bytes = DATA, **call: object) -> Reply:
    known = {step_hash(name): memo for name in saved}
    fields = {"run_id": "r", "memo": known, **call}
    return answer(Program(body), msgspec.convert(fields, Call, strict=False))


def told(reply: Reply) -> list[tuple[str, str]]:
    assert isinstance(reply.outcome, Progressed)
    return [(operation.op, operation.name) for operation in reply.outcome.operations]


def test_one_step_after_the_other() -> None:
    body = (Do("a"), Do("b"))
    assert told(ask(body)) == [("StepRun", "a")]
    assert ask(body).ran == step_hash("a")
    assert told(ask(body, "a")) == [("StepRun", "b")]
    assert isinstance(ask(body, "a", "b").outcome, Returned)


def test_a_step_that_may_not_be_run_at_once_is_planned() -> None:
    assert told(ask((Do("a"),), plan_only=True)) == [("StepPlanned", "a")]
    assert told(ask((Do("a"),), plan_only=True, target=step_hash("a"))) == [("StepRun", "a")]


def test_waiting_is_reported_as_itself() -> None:
    body = (Nap("z", 90_000), Await("w", "news", 1_500, "true"), Invoke("i", "f"))
    assert told(ask(body)) == [("Sleep", "z")]
    assert ask(body).outcome.operations[0].until == "1m30s"  # type: ignore[union-attr]
    assert told(ask(body, "z")) == [("WaitForEvent", "w")]
    assert told(ask(body, "z", "w")) == [("InvokeFunction", "i")]


def test_the_observed_sequence_of_two_branches_of_two_steps() -> None:
    body = (Together(((Do("a1"), Do("a2")), (Do("b1"), Do("b2")))),)
    assert told(ask(body)) == [("StepPlanned", "a1"), ("StepPlanned", "b1")]
    assert told(ask(body, target=step_hash("b1"))) == [("StepRun", "b1")]
    assert told(ask(body, "a1", "b1")) == [("StepPlanned", "a2"), ("StepPlanned", "b2")]
    assert told(ask(body, "a1", "b1", "a2")) == [("StepPlanned", "b2")]
    assert isinstance(ask(body, "a1", "b1", "a2", "b2").outcome, Returned)


def test_a_race_is_over_with_its_first_branch_and_its_losers_can_still_be_called() -> None:
    body = (Together(((Do("a"),), (Do("b"),)), race=True), Do("c"))
    plans = ask(body).outcome
    assert isinstance(plans, Progressed)
    assert [operation.parallel_mode for operation in plans.operations] == ["race", "race"]
    assert told(ask(body, "b")) == [("StepRun", "c")]
    assert told(ask(body, "b", target=step_hash("a"))) == [("StepRun", "a")]
    untold = (Together(((Do("a"),), (Do("b"),)), race=True, told=False),)
    modes = ask(untold).outcome
    assert isinstance(modes, Progressed)
    assert [operation.parallel_mode for operation in modes.operations] == ["", ""]


def test_failures_by_attempt() -> None:
    body = (Do("a", failures=2),)
    for attempt, kind in enumerate((StepError, StepError, StepRun)):
        outcome = ask(body, attempt=attempt).outcome
        assert isinstance(outcome, Progressed)
        assert isinstance(outcome.operations[0], kind)
    last = ask(body, attempt=1, attempts_max=2).outcome
    assert isinstance(last, Progressed)
    assert isinstance(last.operations[0], StepFailed)
    assert last.no_retry
    fatal = ask((Do("a", fatal=True),)).outcome
    assert isinstance(fatal, Progressed)
    assert isinstance(fatal.operations[0], StepFailed)


def test_what_is_not_caught_ends_the_function() -> None:
    outcome = ask((Do("a", caught=False), Do("b")), "a", memo=FAILED).outcome
    assert isinstance(outcome, Broke)
    assert outcome.no_retry
    assert told(ask((Do("a"), Do("b")), "a", memo=FAILED)) == [("StepRun", "b")]


def test_user_code_outside_steps_fails_in_each_call_that_gets_there() -> None:
    body = (Do("a"), Stumble(1), Do("b"))
    assert told(ask(body)) == [("StepRun", "a")]
    assert isinstance(ask(body, "a").outcome, Broke)
    assert told(ask(body, "a", attempt=1)) == [("StepRun", "b")]
    assert isinstance(ask(body, "a", "b").outcome, Broke)


def test_repeated_ids_are_counted() -> None:
    body = (Do("a"), Do("a"), Do("a"))
    second = ask(body, "a").outcome
    assert isinstance(second, Progressed)
    assert second.operations[0].id == step_hash("a:1")
    assert isinstance(ask(body, "a", "a:1", "a:2").outcome, Returned)


def test_a_target_that_is_not_there_breaks_the_call() -> None:
    assert isinstance(ask((Do("a"),), target=step_hash("x")).outcome, Broke)


def test_live_calls_save_on_the_way_until_they_meet_what_they_cannot_do() -> None:
    program = Program((Do("a"), Send("s", "news"), Nap("z", 1), Do("b")), live=True)
    calls = list(live(program, Call("r", {}, nonce="n")))
    assert [step.name if step else None for _, step in calls] == ["a", "s", None]
    assert told(calls[-1][0]) == [("Sleep", "z")]
    assert [reply.sent for reply, _ in calls] == ["", "news", ""]
    memo = {step_hash(name): DATA for name in ("a", "s", "z")}
    calls = list(live(program, Call("r", memo)))
    assert told(calls[-1][0]) == [("RunComplete", "")]
    # Neither a retry nor a targeted call saves on the way.
    assert [step for _, step in live(program, Call("r", {}, attempt=1))] == [None]
    targeted = list(live(program, Call("r", {}, target=step_hash("a"))))
    assert [step for _, step in targeted] == [None]
