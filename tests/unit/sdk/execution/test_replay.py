"""What becomes of steps that are met: the whole table of http.md 8.1."""

from typing import Any

import msgspec
import pytest

from stepwell.sdk.execution.replay import Missing, Raise, Replay, Replayed, Report, Run
from stepwell.sdk.step.asked import Ask, Met
from stepwell.sdk.step.memo import Memos
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import Operation, Sleep, StepPlanned

A, B, C = (step_hash(step) for step in "abc")


def replay(
    known: dict[str, bytes] | None = None, stack: tuple[str, ...] = (), **options: Any
) -> Replay:
    raw = {step_hash(step): msgspec.Raw(memo) for step, memo in (known or {}).items()}
    return Replay(Memos(raw, tuple(map(step_hash, stack))), **options)


def nap(met: Met) -> Operation:
    return Sleep(id=met.name.hashed, display_name=met.title, until="1s")


def words(report: Any) -> list[str]:
    assert isinstance(report, Report)
    return [f"{o.op} {o.display_name} {o.parallel_mode}".strip() for o in report.operations]


def test_a_known_step_is_given_back() -> None:
    core = replay({"a": b'{"data":1}', "b": b'{"error":{"message":"no"}}'})
    met = core.meet(Ask("a"))
    assert core.settle([met]) == Replayed(met, msgspec.Raw(b"1"))
    raised = core.settle([core.meet(Ask("b"))])
    assert isinstance(raised, Raise)
    assert raised.failure.message == "no"


def test_a_single_new_step_runs_now() -> None:
    core = replay()
    met = core.meet(Ask("a"))
    assert core.settle([met]) == Run(met)


@pytest.mark.parametrize(
    ("ask", "options"), [(Ask("a"), {"immediate": False}), (Ask("a", grouped=True), {})]
)
def test_a_single_new_step_is_planned_if_it_must_not_run_now(
    ask: Ask, options: dict[str, Any]
) -> None:
    core = replay(**options)
    report = core.settle([core.meet(ask)])
    assert words(report) == ["StepPlanned a"]


def test_steps_of_the_server_are_reported_as_themselves() -> None:
    core = replay()
    assert words(core.settle([core.meet(Ask("a", report=nap))])) == ["Sleep a"]


def test_several_new_steps_are_planned_together_in_the_order_met() -> None:
    core = replay()
    waiting = [
        core.meet(Ask("b", mode="race")),
        core.meet(Ask("n", report=nap)),
        core.meet(Ask("a", "The title")),
    ]
    assert words(core.settle(waiting)) == ["StepPlanned b race", "Sleep n", "StepPlanned The title"]


def test_known_steps_come_before_new_ones_and_by_rank() -> None:
    core = replay({"a": b'{"data":1}', "b": b'{"data":2}'}, stack=("b", "a"))
    new, first, second = (core.meet(Ask(step)) for step in "cab")
    assert core.settle([new, first, second]) == Replayed(second, msgspec.Raw(b"2"))
    assert core.settle([new, first]) == Replayed(first, msgspec.Raw(b"1"))
    assert core.settle([new]) == Run(new)


def test_arguments_put_in_their_place() -> None:
    core = replay({"a": b'{"input":[7]}'})
    met = core.meet(Ask("a"))
    assert core.settle([met]) == Run(met, msgspec.Raw(b"[7]"))


def test_a_targeted_call_runs_its_step_and_no_other() -> None:
    core = replay({"a": b'{"data":1}'}, target=C, immediate=False)
    known, other, wanted = (core.meet(Ask(step)) for step in "abc")
    assert core.settle([known, other]) == Replayed(known, msgspec.Raw(b"1"))
    assert core.settle([known, other, wanted]) == Run(wanted), "known ones may end the function"
    assert core.settle([wanted]) == Run(wanted)


def test_a_targeted_step_of_a_group_runs() -> None:
    core = replay(target=A)
    met = core.meet(Ask("a", mode="race", grouped=True))
    assert core.settle([met]) == Run(met)


def test_a_targeted_step_of_the_server_is_reported() -> None:
    core = replay(target=A)
    assert words(core.settle([core.meet(Ask("a", report=nap))])) == ["Sleep a"]


def test_a_target_that_is_not_met_is_missing() -> None:
    core = replay(target=C)
    assert core.settle([core.meet(Ask("a")), core.meet(Ask("b"))]) == Missing(C, ("a", "b"))
    assert core.settle([core.meet(Ask("d", report=nap))]) == Missing(C, ("d",))


def test_plans_carry_what_was_asked() -> None:
    core = replay(immediate=False)
    core.meet(Ask("a"))
    report = core.settle([core.meet(Ask("a", "Title", "race", kind="step.sendEvent"))])
    assert isinstance(report, Report)
    (planned,) = report.operations
    assert isinstance(planned, StepPlanned)
    assert planned.id == step_hash("a:1")
    assert (planned.userland.id, planned.userland.index) == ("a", 1)
    assert (planned.type, planned.parallel_mode) == ("step.sendEvent", "race")
