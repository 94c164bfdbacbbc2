"""A run as it is exported, from what is stored of it. Pure but for what the reader reads."""

from collections.abc import Iterable, Iterator

import msgspec

from stepwell.server.engine.name.lease_id import step_name
from stepwell.server.engine.row.run import STEP_WAITS, Item, ItemKind, Run, Wait
from stepwell.server.store.port import Reader
from stepwell.wire.recorded_run import (
    NULL,
    RecordedAttempt,
    RecordedRun,
    RecordedStep,
    RecordedWait,
)

_STEPS = (ItemKind.CALL, ItemKind.SLEEP, ItemKind.GATEWAY)


def recorded_in(reader: Reader, run: Run) -> RecordedRun:
    """The run as a file has it."""
    events = reader.call_state(run).events
    return RecordedRun(
        id=run.id,
        function=run.function,
        app=run.app,
        status=run.status.word,
        queued_ms=run.queued_ms,
        started_ms=run.started_ms,
        ended_ms=run.ended_ms,
        cron=run.cron,
        original=run.original,
        edited={step: msgspec.Raw(arguments.encode()) for step, arguments in run.edited},
        events=tuple(msgspec.Raw(event) for event in events),
        steps=tuple(
            RecordedStep(
                id=step.id,
                name=step.name,
                op=step.op,
                memo=msgspec.Raw(step.memo),
                attempt=step.attempt,
                began_ms=step.began_ms,
                ended_ms=step.ended_ms,
                input=msgspec.Raw(step.input) if step.input else msgspec.UNSET,
            )
            for step in reader.steps(run.id)
        ),
        attempts=tuple(
            RecordedAttempt(
                step=note.step_id,
                name=note.name,
                attempt=note.attempt,
                at_ms=note.at_ms,
                error=msgspec.Raw(note.body),
            )
            for note in reader.notes(run.id)
        ),
        waits=tuple(_waits(reader.items(run.id), reader.waits(run.id))),
        output=NULL if run.output is None else msgspec.Raw(run.output),
    )


def _waits(items: Iterable[Item], waits: Iterable[Wait]) -> Iterator[RecordedWait]:
    for item in items:
        if item.key and item.kind in _STEPS:
            yield RecordedWait(id=item.key, name=_name(item))
    for wait in waits:
        if wait.kind in STEP_WAITS:
            yield RecordedWait(id=wait.step_id, name=wait.label or wait.name)


def _name(item: Item) -> str:
    if item.kind is ItemKind.SLEEP:
        return item.detail.decode(errors="replace")
    return step_name(item) if item.kind is ItemKind.CALL else ""
