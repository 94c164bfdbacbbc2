"""What a database tells without its server: all but who is at work, and who can be reached.

Pure but for what the reader reads.
"""

from collections.abc import Callable

from stepwell.server.engine.row.flow import KeyKind
from stepwell.server.engine.row.run import Run
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.query.held_back import HeldBack, held_back
from stepwell.server.query.in_lanes import in_lanes
from stepwell.server.query.listeners import Listening, listening
from stepwell.server.query.other_code import all_waiting_for_code, code_rest
from stepwell.server.query.rest import Reach, Rest, rest
from stepwell.server.query.room import paused_rest
from stepwell.server.query.timeline import Rows, Span, timeline
from stepwell.server.query.v2.explain import ExplanationV2, explanation_v2
from stepwell.server.query.v2.run import function_ref, status_v2
from stepwell.server.query.waiting import RUNS_MAX, Waiting, waiting
from stepwell.server.store.port import Reader
from stepwell.wire.function_config import NO_CODE, Code, decode_function

FAR_MS = 2**62
"""Whatever is put off is due one day."""


def timeline_in(reader: Reader, run_id: str, now_ms: int) -> Span | None:
    """A run told in order; None if there is none of that id."""
    run = reader.run(run_id)
    if run is None:
        return None
    items = reader.items(run_id)
    code = dict(_codes(reader)).get(run.function, NO_CODE)
    rows = Rows(
        run,
        reader.steps(run_id),
        reader.notes(run_id),
        items,
        waits=reader.waits(run_id),
        reach=reach_in(reader)(run),
        now_ms=now_ms,
        annotations=reader.annotations(run_id),
        limits=code_rest(run, code, items),
        code=code,
    )
    return timeline(rows)


def explanation_in(reader: Reader, run_id: str, now_ms: int) -> ExplanationV2 | None:
    """Why a run stands where it stands; None if there is none of that id."""
    run, told = reader.run(run_id), timeline_in(reader, run_id, now_ms)
    if run is None or told is None:
        return None
    return explanation_v2(run_id, function_ref(run.function), status_v2(run.status), told)


def listening_in(reader: Reader, name: str) -> Listening:
    """Who listens to an event name."""
    return listening(Catalog.of(reader.apps(), reader.functions()), name)


def waiting_in(reader: Reader) -> list[Waiting]:
    """What waits for an app or a function that is not registered, or for one that is paused."""
    apps = {row.app for row in reader.gone_functions()}.union(row.name for row in reader.apps())
    due = [run for app in sorted(apps) for run in reader.due_runs(app, FAR_MS, RUNS_MAX)]
    reach = reach_in(reader)

    def why(run: Run) -> Rest | None:
        return rest(run, reach(run)) or paused_rest(reader, run.function)

    gone = {row.slug for row in reader.gone_functions()}
    paused = {row.id.partition(":")[2] for row in reader.flow_keys(KeyKind.PAUSE)}
    known = {run.id: run for run in (*due, *in_lanes(reader, gone | paused, why, FAR_MS))}
    by_code = dict(all_waiting_for_code(reader, _codes(reader)))
    return waiting(known.values(), why) + waiting(by_code, by_code.get)


def _codes(reader: Reader) -> list[tuple[str, Code]]:
    return [(row.slug, decode_function(row.config).code) for row in reader.functions()]


def held_in(reader: Reader, now_ms: int) -> list[HeldBack]:
    """What is held and does not start."""
    return held_back(reader, {row.slug for row in reader.functions()}, now_ms)


def reach_in(reader: Reader) -> Callable[[Run], Reach]:
    """What is registered for a run, as far as the database says."""
    apps = {row.name: row for row in reader.apps()}
    served = {row.slug for row in reader.functions()}
    gone = {row.slug: row.gone_ms for row in reader.gone_functions()}

    def reach(run: Run) -> Reach:
        return Reach(apps.get(run.app), run.function in served, gone.get(run.function, 0))

    return reach
