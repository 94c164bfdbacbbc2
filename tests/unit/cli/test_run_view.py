"""How a run looks in a terminal, and how the log does."""

import io
import json
import logging

import msgspec
from rich.console import Console

from stepwell.cli.log_setup import JsonLines, LogChoice
from stepwell.cli.run_view import draw
from stepwell.server.query.timeline import Span, SpanStatus

NOW = 1_743_130_137_000


def drawn(run: Span) -> list[str]:
    out = io.StringIO()
    draw(Console(file=out, width=120), "01RUN", run)
    return out.getvalue().splitlines()


def test_steps_attempts_and_waits_are_lines_with_bars() -> None:
    attempt = Span(
        "pay", "attempt", SpanStatus.FAILED, attempt=0, started_ms=NOW + 500, detail="E: no [luck]"
    )
    pay = Span(
        "pay",
        "StepRun",
        SpanStatus.COMPLETED,
        started_ms=NOW + 500,
        ended_ms=NOW + 1_000,
        children=(attempt,),
    )
    wait = Span("ok?", "event", SpanStatus.WAITING, started_ms=NOW + 1_000, detail="waits for x")
    run = Span(
        "shop-order",
        "run",
        SpanStatus.RUNNING,
        queued_ms=NOW,
        started_ms=NOW,
        detail="ok? waits for x",
        children=(pay, wait),
    )
    lines = drawn(run)
    assert lines[0] == "▶ running shop-order 01RUN"
    assert lines[1] == "queued 2025-03-28T02:48:57Z"
    paid, failed, waiting = lines[2:5]
    assert paid.split()[:3] == ["✓", "pay", "StepRun"]
    assert paid.rstrip().endswith("500ms")
    assert "█" * 12 in paid
    assert failed.startswith("  ✗ pay")
    assert "attempt 1" in failed
    assert "E: no [luck]" in failed
    assert waiting.split()[:3] == ["…", "ok?", "event"]
    assert lines[-1] == "ok? waits for x"


def test_the_output_of_a_run_that_ended_well_is_shown() -> None:
    run = Span("f", "run", SpanStatus.COMPLETED, queued_ms=NOW, output=msgspec.Raw(b'{"a":[1]}'))
    assert "\n".join(drawn(run)).endswith('output: {\n  "a": [\n    1\n  ]\n}')


def test_a_line_of_the_log_is_json() -> None:
    try:
        raise ValueError("odd")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("stepwell.x", 30, "f", 1, "said %s", ("ü",), info)
    line = json.loads(JsonLines().format(record))
    assert (line["level"], line["logger"], line["msg"]) == ("warning", "stepwell.x", "said ü")
    assert "ValueError: odd" in line["error"]
    assert line["time"].endswith("+00:00")


def test_what_the_command_was_told_goes_before_what_the_group_was() -> None:
    group = LogChoice(as_json=True, verbose=False, level="warn")
    both = LogChoice(as_json=False, verbose=True, level="debug").over(group)
    assert (both.as_json, both.verbose, both.level) == (True, True, "debug")
    assert LogChoice(as_json=False, verbose=False, level=None).over(group).level == "warn"
