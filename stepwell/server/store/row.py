"""Rows as tuples of plain values and back, for stores that speak SQL. The only place that knows in
which order a table's columns come (`sqlite/schema.sql` names them in the same order). Pure.

A run and its main item share one row; a run without one has nothing in the item's columns.
Enumerations are stored as numbers, flags as bits of one number, lists as JSON or nothing.
"""

from collections.abc import Sequence
from typing import TypeAlias, cast

import msgspec

from stepwell.server.engine.row import (
    MAIN,
    AppRow,
    EventRow,
    FunctionRow,
    Item,
    ItemKind,
    Note,
    Run,
    RunStatus,
    Step,
    Wait,
    WaitKind,
)

Value: TypeAlias = str | int | bytes | None
Values: TypeAlias = tuple[Value, ...]

_RunColumns: TypeAlias = tuple[
    *tuple[int, str, str, str, str | None, str | None, int],
    *tuple[str, str, str, str],
    *tuple[int, int, int, bytes | None, int, int, str | None, int],
]

FORCE_PLAN, AGAIN, QUIET = 1, 2, 4
NO_ITEM: Values = (None,) * 7

_STATUS = {int(status): status for status in RunStatus}
_ITEM = {int(kind): kind for kind in ItemKind}
_WAIT = {int(kind): kind for kind in WaitKind}

_names = msgspec.json.Decoder(tuple[str, ...])


def _list_of(names: tuple[str, ...]) -> str | None:
    return msgspec.json.encode(names).decode() if names else None


def _names_of(text: str | None) -> tuple[str, ...]:
    return _names.decode(text) if text else ()


# -- events ---------------------------------------------------------------------------------------


def event_values(seq: int, event: EventRow) -> Values:
    """Columns of `event`."""
    return seq, event.id, event.name, event.ts, event.received_ms, event.key, event.body


def event_of(values: Sequence[object]) -> EventRow:
    """From the columns of `event` without the first."""
    id_, name, ts, received_ms, key, body = cast("tuple[str, str, int, int, str, bytes]", values)
    return EventRow(id_, name, ts, received_ms, body, key)


# -- runs and their main items --------------------------------------------------------------------


def _flags(run: Run) -> int:
    return (
        (FORCE_PLAN if run.force_plan else 0)
        | (AGAIN if run.again else 0)
        | (QUIET if run.quiet else 0)
    )


def run_values(seq: int, run: Run, main: Item | None) -> Values:
    """All columns of `run`."""
    return (
        seq,
        run.id,
        run.function,
        run.app,
        run.event_ids[0] if run.event_ids else None,
        _list_of(run.event_ids[1:]),
        run.queued_ms,
        run.parent,
        run.dedup,
        run.cron,
        run.original,
        *standing_values(run),
        *main_values(main),
    )


def standing_values(run: Run) -> Values:
    """The columns of `run` that change while it goes on, except its main item."""
    return (
        int(run.status),
        run.started_ms,
        run.ended_ms,
        run.output,
        run.version,
        _flags(run),
        _list_of(run.pending),
        run.parts,
    )


def main_values(main: Item | None) -> Values:
    """The columns of `run` that hold its main item."""
    if main is None:
        return NO_ITEM
    return (
        main.due_ms,
        main.queue,
        int(main.kind),
        main.attempt,
        main.target,
        main.losses,
        main.detail,
    )


def run_of(values: Sequence[object]) -> Run:
    """A run from all its columns."""
    (
        _,
        id_,
        function,
        app,
        event_id,
        more_event_ids,
        queued_ms,
        parent,
        dedup,
        cron,
        original,
        status,
        started_ms,
        ended_ms,
        output,
        version,
        flags,
        pending,
        parts,
    ) = cast("_RunColumns", values[:19])
    first = () if event_id is None else (event_id,)
    return Run(
        id_,
        function,
        app,
        first + _names_of(more_event_ids),
        queued_ms,
        _STATUS[status],
        started_ms,
        ended_ms,
        output,
        version,
        bool(flags & FORCE_PLAN),
        bool(flags & AGAIN),
        _names_of(pending),
        parts,
        parent,
        dedup,
        cron,
        original,
        bool(flags & QUIET),
    )


def main_of(values: Sequence[object]) -> Item | None:
    """The main item from all columns of its run."""
    due_ms, queue, kind, attempt, target, losses, detail = cast(
        "tuple[int | None, str, int, int, str, int, bytes]", values[19:]
    )
    if due_ms is None:
        return None
    run_id = cast("str", values[1])
    return Item(run_id, MAIN, _ITEM[kind], due_ms, queue, attempt, target, losses, detail)


# -- what hangs on a run --------------------------------------------------------------------------


def item_values(item: Item) -> Values:
    """Columns of `item`."""
    return item.run_id, item.key, *main_values(item)


def item_of(values: Sequence[object]) -> Item:
    """From the columns of `item`."""
    run_id, key, due_ms, queue, kind, attempt, target, losses, detail = cast(
        "tuple[str, str, int, str, int, int, str, int, bytes]", values
    )
    return Item(run_id, key, _ITEM[kind], due_ms, queue, attempt, target, losses, detail)


def wait_values(wait: Wait) -> Values:
    """Columns of `wait`."""
    return (
        wait.run_id,
        wait.step_id,
        int(wait.kind),
        wait.name,
        wait.path,
        wait.value,
        wait.opened_ms,
        wait.until_ms,
        wait.condition,
        wait.label,
    )


def wait_of(values: Sequence[object]) -> Wait:
    """From the columns of `wait`."""
    run_id, step_id, kind, name, path, value, opened_ms, until_ms, condition, label = cast(
        "tuple[str, str, int, str, str, str, int, int, str, str]", values
    )
    return Wait(
        run_id, step_id, _WAIT[kind], name, opened_ms, until_ms, condition, path, value, label
    )


def step_values(seq: int, step: Step) -> Values:
    """Columns of `step`; the first is the number of the run's row."""
    return (
        seq,
        step.id,
        step.place,
        step.op,
        step.name,
        step.began_ms,
        step.ended_ms,
        step.attempt,
        step.memo,
    )


def step_of(run_id: str, values: Sequence[object]) -> Step:
    """From the columns of `step` without the first."""
    id_, place, op, name, began_ms, ended_ms, attempt, memo = cast(
        "tuple[str, int, str, str, int, int, int, bytes]", values
    )
    return Step(run_id, id_, place, op, name, memo, began_ms, ended_ms, attempt)


def note_values(note: Note) -> Values:
    """Columns of `note`."""
    return (
        note.run_id,
        note.place,
        note.at_ms,
        note.kind,
        note.step_id,
        note.name,
        note.attempt,
        note.body,
    )


def note_of(values: Sequence[object]) -> Note:
    """From the columns of `note`."""
    return Note(*cast("tuple[str, int, int, str, str, str, int, bytes]", tuple(values)))


# -- apps and functions ---------------------------------------------------------------------------


def app_values(app: AppRow) -> Values:
    """Columns of `app`."""
    return (
        app.name,
        app.url,
        app.method,
        app.sdk,
        app.framework,
        app.app_version,
        app.checksum,
        app.synced_ms,
        app.error,
    )


def app_of(values: Sequence[object]) -> AppRow:
    """From the columns of `app`."""
    return AppRow(*cast("tuple[str, str, str, str, str, str, str, int, str]", tuple(values)))


def function_values(function: FunctionRow) -> Values:
    """Columns of `function`."""
    return (
        function.slug,
        function.app,
        function.name,
        function.config,
        function.version,
        function.created_ms,
    )


def function_of(values: Sequence[object]) -> FunctionRow:
    """From the columns of `function`."""
    return FunctionRow(*cast("tuple[str, str, str, bytes, int, int]", tuple(values)))
