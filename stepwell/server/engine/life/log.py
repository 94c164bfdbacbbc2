"""Lines that functions write are kept with their run, each once, within bounds.

A line is no reason to lose a step's result: what there is no room for is left out, and said once.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.message.input import Done, LinesWritten, Verdict
from stepwell.server.engine.name.lines import Lines
from stepwell.server.engine.row.annotation import Annotation, AnnotationKind
from stepwell.server.engine.row.run import Item, Run
from stepwell.wire.log import RUN_BYTES_MAX, LogLine

ROW_BYTES: Final = 16 * 1024
"""A row that has as many takes no further line: what a line costs stays bounded, and so do rows."""
FULL: Final = f"[the run has written {RUN_BYTES_MAX} bytes of log lines: no more are kept]"

_BEGIN, _END, _LINE, _ATTEMPT = b'{"lines":[', b"]}", b'{"at":', b',"attempt":'


def take_late(draft: Draft, given: LinesWritten) -> Done:
    """Keep what a call wrote whose answer was there before, be the run over or not."""
    run = draft.run(given.run_id)
    if run is None:
        return Done(Verdict.GONE, given.run_id, "run not found in state store")
    _keep(draft, run, 0, given.lines)
    return Done(Verdict.APPLIED, run.id)


def take_logs(draft: Draft, run: Run, item: Item, lines: Sequence[LogLine]) -> None:
    """Keep what a call wrote, but for what is kept already: an answer may come after the same lines
    were saved on the way."""
    _keep(draft, run, item.attempt, lines)


def _keep(draft: Draft, run: Run, attempt: int, lines: Sequence[LogLine]) -> None:
    if not lines:
        return
    rows = sorted(
        (row for row in draft.view.annotations(run.id) if row.kind is AnnotationKind.LOG),
        key=lambda row: row.name,
    )
    bodies = [row.body for row in rows]
    kept, before = len(bodies), _count(bodies)
    changed = _with(bodies, (_stored(line, attempt) for line in lines), lines[-1].at)
    for number in range(min(changed, kept), len(bodies)):
        row = Annotation(
            run.id, AnnotationKind.LOG, "", "", f"{number:04}", draft.now.ms, bodies[number]
        )
        draft.add(fact.AnnotationPut(row))
    after = _count(bodies)
    if after > before:
        draft.announce(Topic.RUN_WROTE, Lines(run.id, before, after).name)


def _count(bodies: Iterable[bytes]) -> int:
    """How many lines there are. No text can hold what begins one: quotes within it are escaped."""
    return sum(body.count(_LINE) for body in bodies)


def _stored(line: LogLine, attempt: int) -> tuple[bytes, bytes]:
    """A line as it came, and what is added to that."""
    return msgspec.json.encode(line)[:-1] + _ATTEMPT, b"%d}" % attempt


def _with(bodies: list[bytes], lines: Iterable[tuple[bytes, bytes]], at: int) -> int:
    """Add lines to the bodies of rows; the first row that has changed."""
    size = sum(map(len, bodies))
    first = max(len(bodies) - 1, 0)
    is_changed = False
    full = msgspec.json.encode(FULL)
    for line, attempt in lines:
        # No text can hold what looks like a line: quotes within it are escaped.
        if any(line in body for body in bodies):
            continue
        if size > RUN_BYTES_MAX:
            if bodies and full not in bodies[-1]:
                told, end = _stored(LogLine(at, "warning", FULL), 0)
                bodies[-1] = bodies[-1][: -len(_END)] + b"," + told + end + _END
                is_changed = True
            break
        if bodies and len(bodies[-1]) < ROW_BYTES:
            bodies[-1] = bodies[-1][: -len(_END)] + b"," + line + attempt + _END
        else:
            bodies.append(_BEGIN + line + attempt + _END)
        size += len(line) + len(attempt) + 1
        is_changed = True
    return first if is_changed else len(bodies)
