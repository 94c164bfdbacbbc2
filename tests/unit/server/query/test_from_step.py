"""Which steps a run keeps that begins again in the middle (server.md 3.12)."""

import pytest

from stepwell.server.engine.row.run import Item, ItemKind, Note, Step, Wait, WaitKind
from stepwell.server.query.from_step import NoSuchStep, from_step


def saved(name: str, place: int, op: str = "StepRun") -> Step:
    return Step("r", f"hash-{name}", place, op, name, b'{"data":1}', 0, 0)


STEPS = (saved("c", 3), saved("a", 1), saved("b", 2))


@pytest.mark.parametrize("asked", ["hash-b", "b"])
def test_what_ended_before_is_kept_in_order(asked: str) -> None:
    found = from_step(asked, (*STEPS, saved("0", 0)))
    assert [step.name for step in found.kept] == ["0", "a"]
    assert (found.step_id, found.op) == ("hash-b", "StepRun")


def test_a_step_that_never_ended_begins_after_all_others() -> None:
    note = Note("r", 5, 0, "retry", "hash-d", "d", 0, b"{}")
    sleep = Item("r", "hash-e", ItemKind.SLEEP, 0, detail=b"e")
    call = Item("r", "hash-f", ItemKind.CALL, 0, detail=b"12 the f")
    wait = Wait("r", "hash-g", WaitKind.EVENT, "x", 0, 0, label="g")
    for asked in ("d", "hash-e", "e", "hash-f", "the f", "g"):
        found = from_step(asked, STEPS, [note], [call, sleep], [wait])
        assert [step.name for step in found.kept] == ["a", "b", "c"]


def test_a_step_nobody_knows_is_none() -> None:
    call = Item("r", "", ItemKind.CALL, 0, detail=b"12")
    defer = Wait("r", "hash-h", WaitKind.DEFER, "x", 0, 0, label="h")
    for asked in ("z", "12", "", "h"):
        with pytest.raises(NoSuchStep, match="Step not found in original run"):
            from_step(asked, STEPS, items=[call], waits=[defer])


def test_a_name_that_several_steps_have_names_none() -> None:
    again = Step("r", "hash-2", 9, "StepRun", "a", b"{}", 0, 0)
    with pytest.raises(NoSuchStep, match="matches multiple steps"):
        from_step("a", (*STEPS, again))
    assert from_step("hash-2", (*STEPS, again)).step_id == "hash-2"
