"""A run's timeline as lines of a terminal: what, how it went, when, and how long."""

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stepwell.server.query.timeline import Span, SpanStatus
from stepwell.wire.duration import format_duration, format_instant

BAR_CHARS = 24
_MARKS = {
    SpanStatus.QUEUED: ("·", "dim"),
    SpanStatus.RUNNING: ("▶", "cyan"),
    SpanStatus.WAITING: ("…", "cyan"),
    SpanStatus.COMPLETED: ("✓", "green"),
    SpanStatus.FAILED: ("✗", "red"),
    SpanStatus.CANCELLED: ("■", "yellow"),
}
_OUTPUT_CHARS_MAX = 2_000


def draw(console: Console, run_id: str, run: Span) -> None:
    """Print a run: a headline, a line for each span with its bar, and the output."""
    mark, colour = _MARKS[run.status]
    console.print(
        f"[{colour}]{mark} {run.status.lower()}[/{colour}] [bold]{escape(run.name)}[/bold] {run_id}"
    )
    console.print(f"[dim]queued {format_instant(run.queued_ms)}[/dim]")
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for _ in range(4):
        table.add_column(overflow="fold")
    begin_ms, end_ms = _extent(run)
    for span in run.children:
        _add(table, span, begin_ms, end_ms, depth=0)
    if table.row_count:
        console.print(table)
    if run.detail:
        console.print(escape(run.detail))
    if run.status is SpanStatus.COMPLETED:
        text = msgspec.json.format(bytes(run.output), indent=2).decode()
        cut = text if len(text) <= _OUTPUT_CHARS_MAX else f"{text[:_OUTPUT_CHARS_MAX]} …"
        console.print(f"output: {escape(cut)}")


def _extent(run: Span) -> tuple[int, int]:
    """From the run's start to the last thing known of it."""
    begin = run.started_ms or run.queued_ms
    latest = max([begin, run.ended_ms, *(max(_ends(span)) for span in run.children)])
    return begin, latest


def _ends(span: Span) -> list[int]:
    return [span.started_ms, span.ended_ms, *(child.ended_ms for child in span.children)]


def _add(table: Table, span: Span, begin_ms: int, end_ms: int, *, depth: int) -> None:
    mark, colour = _MARKS[span.status]
    name = f"{'  ' * depth}[{colour}]{mark}[/{colour}] {escape(span.name)}"
    kind = span.kind if span.kind != "attempt" else f"attempt {span.attempt + 1}"
    table.add_row(name, f"[dim]{escape(kind)}[/dim]", _when(span, begin_ms, end_ms), _told(span))
    for child in span.children:
        _add(table, child, begin_ms, end_ms, depth=depth + 1)


def _told(span: Span) -> str:
    took = ""
    if span.ended_ms and span.kind != "attempt":
        took = format_duration(max(span.ended_ms - span.started_ms, 0))
    return " ".join(part for part in (took, escape(span.detail)) if part)


def _when(span: Span, begin_ms: int, end_ms: int) -> str:
    """A bar over the whole extent of the run, filled where the span lies."""
    whole = max(end_ms - begin_ms, 1)
    start = span.started_ms or span.queued_ms
    first = min(max((start - begin_ms) * BAR_CHARS // whole, 0), BAR_CHARS - 1)
    last_ms = span.ended_ms or end_ms
    last = min(max((last_ms - begin_ms) * BAR_CHARS // whole, first), BAR_CHARS - 1)
    colour = _MARKS[span.status][1]
    bar = "█" * (last - first + 1)
    rest = BAR_CHARS - 1 - last
    return f"[dim]{'─' * first}[/dim][{colour}]{bar}[/{colour}][dim]{'─' * rest}[/dim]"
