"""A run's trace as lines of a terminal: what, how it went, when, and how long."""

from collections.abc import Iterator

import msgspec
from rich.console import Console, Group
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from stepwell.cli.failure_view import failure_lines
from stepwell.cli.terminal import fits, put
from stepwell.server.query.other_code import CodeV2
from stepwell.server.query.timeline import SpanStatus
from stepwell.server.query.v2.run_trace import SpanV2, TraceV2
from stepwell.wire.duration import format_duration, parse_date_ms

BAR_CHARS = 24
TOLD_CHARS = 24
"""Where what is told of a step has less room beside its bar, it stands below its name."""
_MARKS = {
    SpanStatus.QUEUED: ("·", "dim"),
    SpanStatus.RUNNING: ("▶", "cyan"),
    SpanStatus.WAITING: ("…", "cyan"),
    SpanStatus.COMPLETED: ("✓", "green"),
    SpanStatus.FAILED: ("✗", "red"),
    SpanStatus.CANCELLED: ("■", "yellow"),
}
_OUTPUT_CHARS_MAX = 2_000
_INPUT_CHARS_MAX = 120


def draw(console: Console, trace: TraceV2) -> None:
    """Print a run: a headline, a line for each span with its bar, and the output or the error."""
    run = trace.root_span
    mark, colour = _MARKS[run.status]
    word = f"[{colour}]{mark} {run.status.lower()}[/{colour}]"
    console.print(f"{word} [bold]{escape(run.name)}[/bold] {trace.run_id}")
    console.print(f"[dim]queued {run.queued_at}[/dim]")
    if not isinstance(trace.code, msgspec.UnsetType):
        console.print(f"[dim]{escape(_code(trace.code))}[/dim]", soft_wrap=True)
    below = [(depth - 1, span) for depth, span in spans(run) if depth]
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(min_width=TOLD_CHARS, overflow="fold")
    begin_ms, end_ms = _extent(run)
    for depth, span in below:
        table.add_row(*_row(span, begin_ms, end_ms, depth=depth))
    if fits(console, table):
        put(console, table)
    else:
        for depth, span in below:
            console.print(_narrow(span, depth))
    output = b"" if run.output is msgspec.UNSET else bytes(run.output)
    if run.status is SpanStatus.FAILED and output:
        for line in failure_lines(output):
            console.print(escape(line), soft_wrap=True, style="red" if line[0] != " " else None)
    elif run.detail:
        console.print(escape(run.detail))
    if run.status is SpanStatus.COMPLETED:
        text = msgspec.json.format(output or b"null", indent=2).decode()
        cut = text if len(text) <= _OUTPUT_CHARS_MAX else f"{text[:_OUTPUT_CHARS_MAX]} …"
        console.print(f"output: {escape(cut)}")


def _code(code: CodeV2) -> str:
    """Which code the run began under, and what else there is to say of it."""
    began = code.began or "unknown"
    if began == code.now:
        return f"code {began}"
    now = f"now {code.now}" if code.now else "no app serves it now"
    return f"code {began}, {now}; when code changes: {code.on_change}"


def spans(span: SpanV2, depth: int = 0) -> Iterator[tuple[int, SpanV2]]:
    """A span and all below it, in order, each with how deep it is."""
    yield depth, span
    for child in span.children:
        yield from spans(child, depth + 1)


def kind_of(span: SpanV2) -> str:
    """What a span is: a kind of step, a call, or one attempt of it."""
    if span.step_op:
        return span.step_op
    if not isinstance(span.userland, msgspec.UnsetType):
        return "span"
    if not isinstance(span.attempt, int):
        return "run"
    is_open = span.status in (SpanStatus.QUEUED, SpanStatus.RUNNING)
    return "call" if is_open else f"attempt {span.attempt + 1}"


def took(span: SpanV2) -> str:
    """How long a span took, as people read it; empty for what has not ended, and for attempts."""
    ended = isinstance(span.duration_ms, int) and not kind_of(span).startswith("attempt")
    return format_duration(span.duration_ms) if ended and span.duration_ms else ""


def said(span: SpanV2) -> str:
    """What there is to say of a span: the sentence, and the arguments of its step."""
    if isinstance(span.input, msgspec.UnsetType):
        return span.detail
    given = bytes(span.input).decode()
    cut = given if len(given) <= _INPUT_CHARS_MAX else f"{given[:_INPUT_CHARS_MAX]} …"
    return f"input {cut}; {span.detail}" if span.detail else f"input {cut}"


def _ms(instant: str | msgspec.UnsetType) -> int:
    return parse_date_ms(instant) if isinstance(instant, str) else 0


def _extent(run: SpanV2) -> tuple[int, int]:
    """From the run's start to the last thing known of it."""
    begin = _ms(run.started_at) or _ms(run.queued_at)
    times = (_ms(at) for _, span in spans(run) for at in (span.started_at, span.ended_at))
    return begin, max(begin, *times)


def _narrow(span: SpanV2, depth: int) -> Padding:
    """A span without its bar: what is told of it stands below its name."""
    mark, colour = _MARKS[span.status]
    told = " ".join(part for part in (kind_of(span), took(span), said(span)) if part)
    name = f"[{colour}]{mark}[/{colour}] {escape(span.name)}"
    lines = Group(name, Padding(f"[dim]{escape(told)}[/dim]", (0, 0, 0, 2)))
    return Padding(lines, (0, 0, 0, 2 * depth))


def _row(span: SpanV2, begin_ms: int, end_ms: int, *, depth: int) -> tuple[str, ...]:
    mark, colour = _MARKS[span.status]
    name = f"{'  ' * depth}[{colour}]{mark}[/{colour}] {escape(span.name)}"
    told = " ".join(part for part in (took(span), escape(said(span))) if part)
    return name, f"[dim]{escape(kind_of(span))}[/dim]", _when(span, begin_ms, end_ms), told


def _when(span: SpanV2, begin_ms: int, end_ms: int) -> str:
    """A bar over the whole extent of the run, filled where the span lies."""
    whole = max(end_ms - begin_ms, 1)
    start = _ms(span.started_at) or _ms(span.queued_at)
    first = min(max((start - begin_ms) * BAR_CHARS // whole, 0), BAR_CHARS - 1)
    last_ms = _ms(span.ended_at) or end_ms
    last = min(max((last_ms - begin_ms) * BAR_CHARS // whole, first), BAR_CHARS - 1)
    colour = _MARKS[span.status][1]
    bar = "█" * (last - first + 1)
    rest = BAR_CHARS - 1 - last
    return f"[dim]{'─' * first}[/dim][{colour}]{bar}[/{colour}][dim]{'─' * rest}[/dim]"
