"""What was in use lately: bounded, and always true."""

from stepwell.server.engine.row.run import EventRow, Run
from stepwell.server.store.sqlite.recent import (
    EVENT_BYTES,
    MEMOS_BYTES_MAX,
    Generations,
    Recent,
    RunEntry,
)


def entry(run_id: str = "R") -> RunEntry:
    made = RunEntry(1, Run(run_id, "f", "a", (), 0), None, {}, {})
    made.saved, made.memos = set(), []
    return made


def test_what_is_used_stays_and_the_rest_goes() -> None:
    kept: Generations[str] = Generations(100, lambda _: 10)
    for number in range(50):
        kept.put(f"k{number}", f"v{number}")
        assert kept.use("k0") == "v0"
    assert kept.peek("k49") == "v49"
    assert kept.peek("k10") is None
    assert sum(kept.peek(f"k{number}") is not None for number in range(50)) <= 12
    kept.drop("k49")
    assert kept.peek("k49") is None


def test_heavy_entries_push_out_more() -> None:
    recent = Recent(0, 10 * EVENT_BYTES)
    for number in range(10):
        recent.events.put(f"E{number}", EventRow(f"E{number}", "n", 0, 0, b"x" * 4 * EVENT_BYTES))
    assert sum(recent.events.peek(f"E{number}") is not None for number in range(10)) <= 2


def test_results_are_known_in_order_as_long_as_that_is_cheap() -> None:
    run = entry()
    run.add_step("a", 1, b"1")
    run.add_step("b", 2, b"2")
    assert run.memos == [("a", b"1"), ("b", b"2")]
    run.add_step("late", 2, b"3")
    assert run.memos is None
    assert run.saved == {"a", "b", "late"}
    run.add_step("c", 3, b"4")
    assert run.memos is None


def test_large_results_are_left_to_the_disk() -> None:
    run = entry()
    run.add_step("a", 1, b"x" * MEMOS_BYTES_MAX)
    assert run.memos is not None
    run.add_step("b", 2, b"x")
    assert run.memos is None
    assert run.saved == {"a", "b"}


def test_what_was_not_in_use_for_a_while_goes() -> None:
    kept: Generations[str] = Generations(100, lambda _: 10)
    kept.put("used", "v")
    kept.put("left", "v")
    kept.age()
    assert kept.use("used") == "v"
    kept.age()
    assert (kept.peek("used"), kept.peek("left")) == ("v", None)
    kept.age()
    kept.age()
    assert kept.peek("used") is None
