"""What a run did, as plain values that compare equal from one test to the next. Pure.

Steps go by the ids that the code gives them, times by the clock of the test; nothing is in it that
is drawn by chance.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from stepwell.server.engine.row.annotation import Annotation, AnnotationKind
from stepwell.server.engine.row.run import EventRow, Note, Run, Step
from stepwell.server.query.v2.log import kept_lines
from stepwell.wire.duration import format_instant
from stepwell.wire.failure import decode_failure

Entry: TypeAlias = dict[str, Any]

_ERROR = b'{"error":'
_DATA = b'{"data":'


def history(
    run: Run, events: Iterable[EventRow], steps: Sequence[Step], notes: Sequence[Note]
) -> list[Entry]:
    """The run from its events to its end: one entry for each step, failed attempt and end."""
    began: Entry = {
        "at": format_instant(run.queued_ms),
        "function": run.function,
        "events": [_event(row) for row in events],
    }
    names = step_names(steps)
    told = [(step.place, _step(step, names[step.id])) for step in steps]
    told += [(note.place, _attempt(note, names.get(note.step_id, note.name))) for note in notes]
    entries = [began, *(entry for _, entry in sorted(told, key=lambda one: one[0]))]
    if run.ended:
        entries.append(_end(run))
    return entries


def step_names(steps: Iterable[Step]) -> dict[str, str]:
    """What each saved step is called: by its id, and `id:1`, `id:2` where one id is used again."""
    seen: dict[str, int] = {}
    names: dict[str, str] = {}
    for step in steps:
        count = seen.get(step.name, 0)
        seen[step.name] = count + 1
        names[step.id] = f"{step.name}:{count}" if count else step.name
    return names


def scores(rows: Iterable[Annotation], names: Mapping[str, str]) -> list[Entry]:
    """The scores among what was said of a run: of which step, if of one."""
    return [
        {"name": row.name, **_about(row, names), **msgspec.json.decode(row.body)}
        for row in rows
        if row.kind is AnnotationKind.SCORE
    ]


def metadata(rows: Iterable[Annotation], names: Mapping[str, str]) -> list[Entry]:
    """The metadata among it: values under a name, of which step, if of one."""
    return [
        {"kind": row.name, **_about(row, names), "values": msgspec.json.decode(row.body)}
        for row in rows
        if row.kind is AnnotationKind.METADATA
    ]


def logs(rows: Iterable[Annotation]) -> list[Entry]:
    """The lines that the function wrote: in which step, if in one, and which attempt."""
    return [
        {
            "level": line.level,
            "text": line.text,
            **({"step": line.name} if line.name else {}),
            "attempt": line.attempt,
        }
        for line in kept_lines(rows)
    ]


def _about(row: Annotation, names: Mapping[str, str]) -> Entry:
    about: Entry = {}
    if row.step_id:
        about["step"] = names.get(row.step_id, row.step_id)
    what, _, which = row.place.partition(":")
    if what:
        about[what] = int(which) if what == "attempt" else which
    return about


def outcome(step: Step) -> Any:
    """What a step gave: its result, or its error in words for one that failed."""
    failed = _failure(step.memo)
    return failed if failed is not None else _result(step.memo)


def _failure(memo: bytes) -> str | None:
    if not memo.startswith(_ERROR):
        return None
    return decode_failure(memo[len(_ERROR) : -1]).told


def _result(memo: bytes) -> Any:
    value = msgspec.json.decode(memo)
    return value["data"] if memo.startswith(_DATA) else value


def _event(row: EventRow) -> Entry:
    event = msgspec.json.decode(row.body)
    return {"name": row.name, "data": event.get("data", {})}


def _step(step: Step, name: str) -> Entry:
    told: Entry = {"at": format_instant(step.ended_ms), "step": name, "kind": step.op}
    failed = _failure(step.memo)
    if failed is not None:
        return {**told, "error": failed}
    return {**told, "result": _result(step.memo)}


def _attempt(note: Note, name: str) -> Entry:
    told: Entry = {"at": format_instant(note.at_ms)}
    if name:
        told["step"] = name
    return {**told, "attempt": note.attempt + 1, "error": decode_failure(note.body).told}


def _end(run: Run) -> Entry:
    told: Entry = {"at": format_instant(run.ended_ms), "status": run.status.word}
    if run.output is None:
        return told
    if run.status.word == "Completed":
        return {**told, "result": msgspec.json.decode(run.output)}
    return {**told, "error": decode_failure(run.output).told}
