"""Rows become tuples and come back the same."""

import msgspec
import pytest

from stepwell.server.engine.row.run import (
    MAIN,
    EventRow,
    Item,
    ItemKind,
    Note,
    Run,
    RunStatus,
    Step,
    Wait,
    WaitKind,
)
from stepwell.server.store import row

PLAIN = Run("R", "f", "a", ("E",), 5)
RICH = Run(
    id="R",
    function="f",
    app="a",
    event_ids=("E", "F", "G"),
    queued_ms=5,
    status=RunStatus.FAILED,
    started_ms=6,
    ended_ms=7,
    output=b"\x00{}",
    version=2,
    force_plan=True,
    again=True,
    pending=("ä", '"'),
    parts=3,
    parent="p.s",
    dedup="d",
    cron="* * * * *",
    original="o",
    quiet=True,
    code="2026-01",
)
CALL = Item("R", MAIN, ItemKind.CALL, 9, "a")


@pytest.mark.parametrize("run", [PLAIN, RICH, msgspec.structs.replace(PLAIN, event_ids=())])
@pytest.mark.parametrize(
    "main",
    [None, CALL, Item("R", MAIN, ItemKind.SLEEP, 0, "", 4, "t", 2, b"\xff")],
)
def test_a_run_and_its_main_item_share_a_row(run: Run, main: Item | None) -> None:
    values = row.run_values(77, run, main)
    assert values[0] == 77
    assert row.run_of(values) == (run, main)


@pytest.mark.parametrize("flag", ["force_plan", "again", "quiet"])
def test_each_flag_has_its_own_bit(flag: str) -> None:
    run = msgspec.structs.replace(PLAIN, **{flag: True})
    assert row.run_of(row.run_values(1, run, None))[0] == run


def test_an_ordinary_main_item_is_not_packed() -> None:
    assert row.main_values(CALL) == (9, "a", None)
    assert row.main_of(("R", 9, "a", None)) == CALL
    retried = msgspec.structs.replace(CALL, attempt=1)
    assert row.main_of(("R", *row.main_values(retried))) == retried


def test_plain_rows_come_back() -> None:
    event = EventRow("E", "n", -1, 2, b"{}", "k")
    assert row.event_of(row.event_values(1, event)[1:]) == event
    item = Item("R", "s", ItemKind.GATEWAY, 5, "q", 1, "t", 2, b"d")
    assert row.item_of(row.item_values(item)) == item
    wait = Wait("R", "s", WaitKind.SIGNAL, "n", 1, 2, "c", "p", "v", "l")
    assert row.wait_of(row.wait_values(wait)) == wait
    step = Step("R", "s", 2**62, "StepRun", "n", b"1", 3, 4, 5, b"[1]")
    assert row.step_of("R", row.step_values(1, step)[1:]) == step
    note = Note("R", 1, 2, "k", "s", "n", 3, b"b")
    assert row.note_of(row.note_values(note)) == note


def test_drivers_are_given_plain_numbers() -> None:
    """An enumeration would be adapted slowly, value by value."""
    values = row.run_values(1, RICH, Item("R", MAIN, ItemKind.SLEEP, 0, ""))
    assert {type(value) for value in values} <= {int, str, bytes, type(None)}
