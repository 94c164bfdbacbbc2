"""Rows as tuples of plain values and back, for stores that speak SQL. The only place that knows in
which order a table's columns come (`sqlite/schema.sql` names them in the same order). Pure.

A run and its main item share one row; a run without one has nothing in the item's columns.
Enumerations are stored as numbers, flags as bits of one number, and what few rows have is packed.
"""

from collections.abc import Sequence
from typing import TypeAlias, cast

import msgspec

from stepwell.server.engine.row.annotation import Annotation, AnnotationKind
from stepwell.server.engine.row.bulk import Bulk, BulkAction, BulkFilter, BulkMove
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.engine.row.flow import (
    Dropped,
    DropReason,
    FlowKey,
    Held,
    Hold,
    HoldKind,
    KeyKind,
    Slot,
)
from stepwell.server.engine.row.key import ApiKey, AuditEntry, Role
from stepwell.server.engine.row.run import (
    MAIN,
    AppRow,
    EventRow,
    FunctionRow,
    FunctionVersion,
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

FORCE_PLAN, AGAIN, QUIET, SEATED, DEFERRED, IN_BACKLOG = 1, 2, 4, 8, 16, 32
NO_MAIN: Values = (None, None, None)

_STATUS = {int(status): status for status in RunStatus}
_ITEM = {int(kind): kind for kind in ItemKind}
_WAIT = {int(kind): kind for kind in WaitKind}
_KEY = {int(kind): kind for kind in KeyKind}
_ANNOTATION = {int(kind): kind for kind in AnnotationKind}
_HOLD = {int(kind): kind for kind in HoldKind}
_ACTIONS: dict[str, BulkAction] = {"cancel": "cancel", "rerun": "rerun", "replay": "replay"}


class _Origin(msgspec.Struct, omit_defaults=True):
    """What few runs have: more events than one, a parent, a schedule, a run they repeat, arguments
    for its steps."""

    more_event_ids: tuple[str, ...] = ()
    parent: str = ""
    cron: str = ""
    original: str = ""
    edited: tuple[tuple[str, str], ...] = ()
    lock: str = ""
    slots: tuple[str, ...] = ()
    batch: str = ""
    lane: str = ""
    backlog: str = ""


class _Main(msgspec.Struct, array_like=True):
    """What is special about a main item: it was tried before, or is no ordinary call."""

    kind: int
    attempt: int
    target: str
    losses: int
    detail: bytes


_read_origin = msgspec.json.Decoder(_Origin)
_read_main = msgspec.msgpack.Decoder(_Main)
_read_names = msgspec.json.Decoder(tuple[str, ...])
_write_json = msgspec.json.Encoder()
_write_pack = msgspec.msgpack.Encoder()

_NO_ORIGIN = _Origin()

_RunColumns: TypeAlias = tuple[
    *tuple[int, str, str, str, str | None, int, str, str | None],
    *tuple[int, int, int, bytes | None, int, int, str | None, int],
    *tuple[int | None, str, bytes | None, str],
]


# -- events ---------------------------------------------------------------------------------------


def event_values(seq: int, event: EventRow) -> Values:
    """Columns of `event`."""
    return seq, event.id, event.name, event.ts, event.received_ms, event.key, event.body


def event_of(values: Sequence[object]) -> EventRow:
    """From the columns of `event` without the first."""
    id_, name, ts, received_ms, key, body = cast("tuple[str, str, int, int, str, bytes]", values)
    return EventRow(id_, name, ts, received_ms, body, key)


# -- runs and their main items --------------------------------------------------------------------


def run_values(seq: int, run: Run, main: Item | None) -> Values:
    """All columns of `run`."""
    status, started_ms, version, flags, pending, parts, code = standing_values(run)
    return (
        seq,
        run.id,
        run.function,
        run.app,
        run.event_ids[0] if run.event_ids else None,
        run.queued_ms,
        run.dedup,
        _origin_of(run),
        status,
        started_ms,
        run.ended_ms,
        run.output,
        version,
        flags,
        pending,
        parts,
        *main_values(main),
        code,
    )


def _origin_of(run: Run) -> str | None:
    if len(run.event_ids) < 2 and not (
        run.parent
        or run.cron
        or run.original
        or run.lock
        or run.slots
        or run.batch
        or run.lane
        or run.backlog
    ):
        return None
    origin = _Origin(
        run.event_ids[1:],
        run.parent,
        run.cron,
        run.original,
        run.edited,
        run.lock,
        run.slots,
        run.batch,
        run.lane,
        run.backlog,
    )
    return _write_json.encode(origin).decode()


def standing_values(run: Run) -> Values:
    """The columns of `run` that change while it goes on, except its main item."""
    flags = FORCE_PLAN if run.force_plan else 0
    if run.again:
        flags |= AGAIN
    if run.quiet:
        flags |= QUIET
    if run.deferred:
        flags |= DEFERRED
    if run.seated:
        flags |= SEATED
    if run.in_backlog:
        flags |= IN_BACKLOG
    pending = _write_json.encode(run.pending).decode() if run.pending else None
    return int(run.status), run.started_ms, run.version, flags, pending, run.parts, run.code


def end_values(run: Run) -> Values:
    """What is set when a run ends: its standing, and its end."""
    return *standing_values(run), run.ended_ms, run.output


def main_values(main: Item | None) -> Values:
    """The columns of `run` that hold its main item."""
    if main is None:
        return NO_MAIN
    if (
        main.kind is ItemKind.CALL
        and not main.attempt
        and not main.losses
        and not main.detail
        and main.target == "step"
    ):
        return main.due_ms, main.queue, None
    packed = _Main(int(main.kind), main.attempt, main.target, main.losses, main.detail)
    return main.due_ms, main.queue, _write_pack.encode(packed)


def run_of(values: Sequence[object]) -> tuple[Run, Item | None]:
    """A run and its main item, from all columns of `run`."""
    (
        _,
        id_,
        function,
        app,
        event_id,
        queued_ms,
        dedup,
        packed,
        status,
        started_ms,
        ended_ms,
        output,
        version,
        flags,
        pending,
        parts,
        due_ms,
        queue,
        special,
        code,
    ) = cast("_RunColumns", values)
    origin = _NO_ORIGIN if packed is None else _read_origin.decode(packed)
    first = () if event_id is None else (event_id,)
    run = Run(
        id_,
        function,
        app,
        first + origin.more_event_ids,
        queued_ms,
        _STATUS[status],
        started_ms,
        ended_ms,
        output,
        version,
        bool(flags & FORCE_PLAN),
        bool(flags & AGAIN),
        () if pending is None else _read_names.decode(pending),
        parts,
        origin.parent,
        dedup,
        origin.cron,
        origin.original,
        bool(flags & QUIET),
        origin.edited,
        bool(flags & DEFERRED),
        origin.lock,
        origin.slots,
        bool(flags & SEATED),
        origin.batch,
        origin.lane,
        origin.backlog,
        bool(flags & IN_BACKLOG),
        code,
    )
    return run, None if due_ms is None else main_of((id_, due_ms, queue, special))


def main_of(values: Sequence[object]) -> Item:
    """A main item, from the id of its run and the columns that hold it."""
    run_id, due_ms, queue, special = cast("tuple[str, int, str, bytes | None]", values)
    if special is None:
        return Item(run_id, MAIN, ItemKind.CALL, due_ms, queue)
    main = _read_main.decode(special)
    return Item(
        run_id,
        MAIN,
        _ITEM[main.kind],
        due_ms,
        queue,
        main.attempt,
        main.target,
        main.losses,
        main.detail,
    )


# -- what hangs on a run --------------------------------------------------------------------------


def item_values(item: Item) -> Values:
    """Columns of `item`."""
    return (
        item.run_id,
        item.key,
        item.due_ms,
        item.queue,
        int(item.kind),
        item.attempt,
        item.target,
        item.losses,
        item.detail,
    )


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
        step.input,
    )


def step_of(run_id: str, values: Sequence[object]) -> Step:
    """From the columns of `step` without the first."""
    id_, place, op, name, began_ms, ended_ms, attempt, memo, given = cast(
        "tuple[str, int, str, str, int, int, int, bytes, bytes]", values
    )
    return Step(run_id, id_, place, op, name, memo, began_ms, ended_ms, attempt, given)


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


def annotation_values(row: Annotation) -> Values:
    """Columns of `annotation`."""
    return row.run_id, int(row.kind), row.step_id, row.place, row.name, row.at_ms, row.body


def annotation_of(values: Sequence[object]) -> Annotation:
    """From the columns of `annotation`."""
    run_id, kind, step_id, place, name, at_ms, body = cast(
        "tuple[str, int, str, str, str, int, bytes]", tuple(values)
    )
    return Annotation(run_id, _ANNOTATION[kind], step_id, place, name, at_ms, body)


# -- flow control --------------------------------------------------------------------------------


def key_values(key: FlowKey) -> Values:
    """Columns of `flow_key`."""
    return key.id, int(key.kind), key.until_ms, key.value, key.data


def key_of(values: Sequence[object]) -> FlowKey:
    """From the columns of `flow_key`."""
    id_, kind, until_ms, value, data = cast("tuple[str, int, int, int, bytes]", values)
    return FlowKey(id_, _KEY[kind], until_ms, value, data)


def slot_values(slot: Slot) -> Values:
    """Columns of `slot`."""
    return slot.key, slot.run_id, slot.taken_ms, slot.place


def slot_of(values: Sequence[object]) -> Slot:
    """From the columns of `slot`."""
    return Slot(*cast("tuple[str, str, int, int]", tuple(values)))


def hold_values(hold: Hold) -> Values:
    """Columns of `hold`."""
    return (
        hold.key,
        hold.function,
        int(hold.kind),
        hold.opened_ms,
        hold.due_ms,
        hold.event_id,
        hold.ts,
        hold.count,
        hold.size,
        hold.parent,
    )


def hold_of(values: Sequence[object]) -> Hold:
    """From the columns of `hold`."""
    key, function, kind, *rest = cast("tuple[str, str, int, *tuple[object, ...]]", tuple(values))
    opened_ms, due_ms, event_id, ts, count, size, parent = cast(
        "tuple[int, int, str, int, int, int, str]", tuple(rest)
    )
    return Hold(key, function, _HOLD[kind], opened_ms, due_ms, event_id, ts, count, size, parent)


def held_values(held: Held) -> Values:
    """Columns of `held`."""
    return held.hold, held.place, held.event_id, held.ts, held.parent


def held_of(values: Sequence[object]) -> Held:
    """From the columns of `held`."""
    return Held(*cast("tuple[str, int, str, int, str]", tuple(values)))


def dropped_values(dropped: Dropped) -> Values:
    """Columns of `dropped`."""
    return (
        dropped.event_id,
        dropped.function,
        dropped.reason.value,
        dropped.at_ms,
        dropped.key,
        dropped.until_ms,
        dropped.run_id,
    )


def dropped_of(values: Sequence[object]) -> Dropped:
    """From the columns of `dropped`."""
    event_id, function, reason, at_ms, key, until_ms, run_id = cast(
        "tuple[str, str, str, int, str, int, str]", values
    )
    return Dropped(event_id, function, DropReason(reason), at_ms, key, until_ms, run_id)


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
        app.events,
        " ".join(app.former),
    )


def app_of(values: Sequence[object]) -> AppRow:
    """From the columns of `app`."""
    *plain, former = values
    app = AppRow(*cast("tuple[str, str, str, str, str, str, str, int, str, str]", tuple(plain)))
    return msgspec.structs.replace(app, former=tuple(str(former).split()))


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
    """From the columns of `function`, or those of `gone_function`."""
    return FunctionRow(*cast("tuple[str, str, str, bytes, int, int, int]", tuple(values)))


def version_values(version: FunctionVersion) -> Values:
    """Columns of `function_version`."""
    return (*function_values(version.function), version.app_version)


def version_of(values: Sequence[object]) -> FunctionVersion:
    """From the columns of `function_version`."""
    *function, app_version = values
    return FunctionVersion(function_of(function), str(app_version))


# -- cancellations --------------------------------------------------------------------------------


def cancellation_values(one: Cancellation) -> Values:
    """Columns of `cancellation`."""
    return (
        one.id,
        one.app,
        one.function,
        one.after_ms,
        one.before_ms,
        one.condition,
        one.asked_ms,
        one.ended_ms,
    )


def cancellation_of(values: Sequence[object]) -> Cancellation:
    """From the columns of `cancellation`."""
    return Cancellation(*cast("tuple[str, str, str, int, int, str, int, int]", tuple(values)))


# -- keys and what was changed with them ----------------------------------------------------------


def api_key_values(key: ApiKey) -> Values:
    """Columns of `api_key`."""
    return key.id, key.name, int(key.role), key.hash, key.created_ms, key.created_by, key.revoked_ms


def api_key_of(values: Sequence[object]) -> ApiKey:
    """From the columns of `api_key`."""
    id_, name, role, hash_, created_ms, created_by, revoked_ms = cast(
        "tuple[str, str, int, str, int, str, int]", tuple(values)
    )
    return ApiKey(id_, name, Role(role), hash_, created_ms, created_by, revoked_ms)


def audit_values(entry: AuditEntry) -> Values:
    """Columns of `audit`, but for its number."""
    about = (entry.operation, entry.target, entry.asked, entry.status)
    return entry.id, entry.at_ms, entry.by, entry.key_id, *about


def audit_of(values: Sequence[object]) -> AuditEntry:
    """From the columns of `audit`, but for its number."""
    return AuditEntry(*cast("tuple[str, int, str, str, str, str, str, int]", tuple(values)))


# -- what is done to many runs --------------------------------------------------------------------


def bulk_values(bulk: Bulk) -> Values:
    """Columns of `bulk`."""
    wanted = msgspec.json.encode(bulk.filter).decode()
    return (
        *(bulk.id, bulk.action, wanted, bulk.rate, bulk.asked_ms, bulk.asked_by, bulk.total),
        *(int(bulk.more), *move_values(bulk.moved), bulk.ended_ms, int(bulk.stopped)),
    )


def move_values(moved: BulkMove) -> Values:
    """The columns of `bulk` that say how far it has come."""
    return moved.at_ms, moved.run_id, moved.done, moved.refused


def bulk_of(values: Sequence[object]) -> Bulk:
    """From the columns of `bulk`."""
    id_, action, wanted, rate, asked_ms, asked_by, total, more, *rest = cast(
        "tuple[str, str, str, int, int, str, int, int, int, str, int, int, int, int]",
        tuple(values),
    )
    at_ms, run_id, done, refused, ended_ms, stopped = rest
    moved = BulkMove(
        cast("int", at_ms), cast("str", run_id), cast("int", done), cast("int", refused)
    )
    return Bulk(
        id=id_,
        action=_ACTIONS[action],
        filter=msgspec.json.decode(wanted, type=BulkFilter),
        rate=rate,
        asked_ms=asked_ms,
        asked_by=asked_by,
        total=total,
        more=bool(more),
        moved=moved,
        ended_ms=cast("int", ended_ms),
        stopped=bool(stopped),
    )
