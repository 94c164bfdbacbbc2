"""How a run looks in a terminal, and how the log does."""

import io
import json
import logging

import msgspec
from rich.console import Console

from stepwell.cli.failure_view import CAUSES_MAX, failure_lines
from stepwell.cli.log_choice import LogChoice
from stepwell.cli.log_setup import JsonLines
from stepwell.cli.log_view import show_lines
from stepwell.cli.run_view import draw
from stepwell.server.query.other_code import CodeV2
from stepwell.server.query.timeline import Span, SpanStatus
from stepwell.server.query.v2.log import LogLineV2
from stepwell.server.query.v2.run_trace import trace_v2

NOW = 1_743_130_137_000


def drawn(run: Span, width: int = 120) -> list[str]:
    out = io.StringIO()
    draw(Console(file=out, width=width), trace_v2("01RUN", run, NOW, with_output=True))
    return out.getvalue().splitlines()


def test_the_code_that_a_run_began_under_is_shown_beside_that_of_now() -> None:
    run = Span("f", "run", SpanStatus.RUNNING, queued_ms=NOW, started_ms=NOW)
    for code, line in (
        (CodeV2("3f2a", "3f2a", "pause"), "code 3f2a"),
        (CodeV2("3f2a", "b81c", "pause"), "code 3f2a, now b81c; when code changes: pause"),
        (CodeV2("3f2a"), "code 3f2a, no app serves it now; when code changes: continue"),
        (CodeV2("", "b81c", "pin"), "code unknown, now b81c; when code changes: pin"),
    ):
        assert line in drawn(msgspec.structs.replace(run, code=code))
    assert not any("code" in line for line in drawn(run))


def test_lines_of_the_log_are_shown_as_they_were_written() -> None:
    out = io.StringIO()
    lines = (
        LogLineV2(at="2026-01-01T00:00:00Z", level="info", text="a [bold]word"),
        LogLineV2(
            at="2026-01-01T00:00:01Z", level="error", text="two\nlines", step_name="pay", attempt=1
        ),
    )
    show_lines(Console(file=out, width=20), lines)
    assert out.getvalue().splitlines() == [
        "2026-01-01T00:00:00Z info    a [bold]word",
        "2026-01-01T00:00:01Z error   [pay] (attempt 2) two",
        "lines",
    ]


def test_the_arguments_of_a_step_are_shown_as_far_as_there_is_room() -> None:
    short, long = (
        Span(name, "StepRun", SpanStatus.COMPLETED, started_ms=NOW, ended_ms=NOW + 5, input=given)
        for name, given in (
            ("a", msgspec.Raw(b'["[x]"]')),
            ("b", msgspec.Raw(b'["%s"]' % (b"y" * 500))),
        )
    )
    run = Span(
        "f", "run", SpanStatus.RUNNING, queued_ms=NOW, started_ms=NOW, children=(short, long)
    )
    text = " ".join(" ".join(drawn(run)).split())
    assert 'input ["[x]"]' in text
    assert text.replace(" ", "").count("y") < 150
    assert "y …" in text


def test_on_a_narrow_terminal_what_is_told_of_a_step_stands_below_it() -> None:
    attempt = Span("charge-the-card", "attempt", SpanStatus.FAILED, attempt=0, detail="E: no luck")
    step = Span("charge-the-card", "StepRun", SpanStatus.COMPLETED, children=(attempt,))
    run = Span("f", "run", SpanStatus.RUNNING, queued_ms=NOW, started_ms=NOW, children=(step,))
    lines = [line.rstrip() for line in drawn(run, width=60)]
    assert lines[2:] == [
        "✓ charge-the-card",
        "  StepRun",
        "  ✗ charge-the-card",
        "    attempt 1 E: no luck",
    ]


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
    assert waiting.split()[:3] == ["…", "ok?", "WaitForEvent"]
    assert lines[-1] == "ok? waits for x"


def test_the_output_of_a_run_that_ended_well_is_shown() -> None:
    run = Span("f", "run", SpanStatus.COMPLETED, queued_ms=NOW, output=msgspec.Raw(b'{"a":[1]}'))
    assert "\n".join(drawn(run)).endswith('output: {\n  "a": [\n    1\n  ]\n}')


def test_a_run_that_failed_shows_the_users_own_line_and_the_causes() -> None:
    failure = {
        "name": "ValueError",
        "message": "no [account]",
        "stack": (
            "Traceback (most recent call last):\n"
            '  File "/app/.venv/lib/python3.11/site-packages/stepwell/sdk/run.py", line 9, in run\n'
            "    await handler()\n"
            '  File "/app/shop/orders.py", line 12, in order\n'
            '    raise ValueError("no account") from error\n'
            '  File "/app/.venv/lib/python3.11/site-packages/http/client.py", line 3, in get\n'
            "    raise it\n"
            "ValueError: no [account]\n"
        ),
        "cause": {
            "name": "TypeError",
            "message": "x is not a function",
            "stack": (
                "TypeError: x is not a function\n"
                "    at emit (node:events:5:2)\n"
                "    at pay (file:///app/src/pay.ts:7:13)\n"
                "    at /app/src/main.ts:1:1"
            ),
            "cause": {"name": "Odd", "message": ""},
        },
    }
    output = msgspec.Raw(json.dumps(failure).encode())
    run = Span("f", "run", SpanStatus.FAILED, queued_ms=NOW, detail="ValueError", output=output)
    assert drawn(run)[2:] == [
        "ValueError: no [account]",
        "  at /app/shop/orders.py:12 in order",
        '     raise ValueError("no account") from error',
        "caused by TypeError: x is not a function",
        "  at /app/src/pay.ts:7 in pay",
        "caused by Odd: Unknown error",
    ]


def test_an_error_without_end_is_cut() -> None:
    failure: dict[str, object] = {"name": "E", "message": "m"}
    for _ in range(100):
        failure = {"name": "E", "message": "m", "cause": failure}
    lines = failure_lines(json.dumps(failure).encode())
    assert lines[0] == "E: m"
    assert len(lines) == CAUSES_MAX + 1


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
