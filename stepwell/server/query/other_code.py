"""Which code a run began under, which there is now, and what waits because they differ.

Pure but for what the reader reads. The same rule decides whether a run is called
(`engine/name/held.py`).
"""

from collections.abc import Iterable

import msgspec

from stepwell.server.engine.name.held import HOLDING, has_changed, place_held
from stepwell.server.engine.name.lane import place_of
from stepwell.server.engine.row.run import Item, ItemKind, Run, RunStatus
from stepwell.server.query.rest import Hindrance, Rest
from stepwell.server.query.waiting import RUNS_MAX
from stepwell.server.store.port import Reader, RunFilter, RunTime
from stepwell.wire.duration import format_instant
from stepwell.wire.function_config import CODE_CONTINUE, CODE_PIN, Code

GOING = (RunStatus.SCHEDULED, RunStatus.RUNNING)


class CodeV2(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The code that a run began under, that of its function today, and what becomes of a run where
    they differ. What nobody says is left out."""

    began: str = ""
    now: str = ""
    on_change: str = CODE_CONTINUE


def code_v2(run: Run, code: Code) -> CodeV2 | msgspec.UnsetType:
    """What there is to tell of a run; nothing where nobody says which code it is."""
    if not run.code and not code.version:
        return msgspec.UNSET
    return CodeV2(run.code, code.version, code.on_change or CODE_CONTINUE)


def code_rest(run: Run, code: Code, items: Iterable[Item]) -> dict[str, Rest]:
    """Why calls of a run wait for its code, by the key of their item."""
    place = place_held(run, code)
    if not place:
        return {}
    calls = [item for item in items if item.kind is ItemKind.CALL and place_of(item.queue) == place]
    return {item.key: _told(run, code, item.due_ms) for item in calls}


def _told(run: Run, code: Code, since_ms: int) -> Rest:
    differs = f"it began under code {run.code}, and {run.function} has code {code.version} now"
    go_on = f"stepwell resume {run.id} lets it go on under the code of now"
    if code.on_change == CODE_PIN:
        text = f"{differs}: it waits for an app with code {run.code} (on_code_change is pin)"
    else:
        text = f"{differs}: it waits for a person (on_code_change is pause)"
    text = f"{text} since {format_instant(since_ms)}; {go_on}"
    return Rest(Hindrance.CODE_CHANGED, text, since_ms)


def all_waiting_for_code(
    reader: Reader, codes: Iterable[tuple[str, Code]]
) -> list[tuple[Run, Rest]]:
    """The same of all functions there are, given with their code."""
    return [found for slug, code in codes for found in waiting_for_code(reader, slug, code)]


def waiting_for_code(reader: Reader, function: str, code: Code) -> list[tuple[Run, Rest]]:
    """Of a function with this code, the runs that wait for another, the oldest first, each with
    why."""
    if code.on_change not in HOLDING:
        return []
    going = RunFilter(
        statuses=GOING, functions=(function,), time=RunTime.QUEUED, ascending=True, limit=RUNS_MAX
    )
    found: list[tuple[Run, Rest]] = []
    changed = [run for run in reader.runs(going) if has_changed(run, code)]
    calls = reader.open_items([run.id for run in changed])
    for run in changed:
        rests = code_rest(run, code, calls.get(run.id, ()))
        if rests:
            found.append((run, min(rests.values(), key=lambda rest: rest.since_ms)))
    return found
