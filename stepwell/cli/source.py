"""Where the verbs that look at runs get them from: a server, or the file of an engine.

A file is only read, so it may be in use: by the engine in somebody's own process, for instance,
which has no address. What such a process holds in memory (which calls are under way) is not seen.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click
import msgspec

from stepwell.cli.output import PAGE, Page
from stepwell.cli.server_api import Enveloped, ServerApi, segment, server_at, server_options
from stepwell.cli.verbs.send import Listening, heard_by
from stepwell.server.query.cursor import run_mark
from stepwell.server.query.not_started import NotStartedV2, not_started, not_started_v2
from stepwell.server.query.offline import explanation_in, listening_in, timeline_in
from stepwell.server.query.recorded import recorded_in
from stepwell.server.query.run_object import status_named
from stepwell.server.query.v2.event import EventV2, event_v2
from stepwell.server.query.v2.explain import ExplanationV2
from stepwell.server.query.v2.log import LogLineV2, logs_v2
from stepwell.server.query.v2.run import RunV2, runs_v2
from stepwell.server.query.v2.run_trace import TraceV2, trace_v2
from stepwell.server.store.port import Reader, RunFilter, StoreError
from stepwell.server.store.sqlite.reader import reader_of_file
from stepwell.wire.recorded_run import RecordedRun

F = TypeVar("F", bound=Callable[..., Any])

EVENT_RUNS = 40
"""So many runs of an event are told, at most."""


class Wanted(msgspec.Struct, frozen=True):
    """Which runs to list."""

    status: tuple[str, ...] = ()
    function: tuple[str, ...] = ()
    app: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    time_field: str = ""
    order: str = ""
    query: str = ""
    session: tuple[str, ...] = ()
    deferred: bool | None = None
    with_output: bool = False
    limit: int = 20
    cursor: str = ""

    @property
    def needs_server(self) -> bool:
        """Whether a file cannot be asked for it."""
        times = self.since or self.until or self.time_field or self.order
        told = self.session or self.with_output or self.deferred is not None
        return bool(times or self.query or told)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _no_run(run_id: str) -> click.ClickException:
    return click.ClickException(f"there is no run {run_id} in this file")


class OfEvent(msgspec.Struct, frozen=True, rename="camel"):
    """The runs an event started, and the functions it started none of because of their flow
    control, or not yet."""

    runs: Sequence[RunV2] = msgspec.field(name="data", default=())
    not_started: Sequence[NotStartedV2] = ()


class Source(Protocol):
    """What can be asked about runs."""

    def runs(self, wanted: Wanted) -> tuple[Sequence[RunV2], str]:
        """Runs, and where those after them begin."""
        ...

    def of_event(self, event_id: str) -> OfEvent:
        """What an event started; nothing where there is none of that id."""
        ...

    def event(self, event_id: str) -> EventV2 | None:
        """One event; None if there is none of that id."""
        ...

    def heard_by(self, name: str) -> str:
        """Who listens to an event, in a sentence; empty where that cannot be told."""
        ...

    def trace(self, run_id: str) -> TraceV2:
        """One run, told in order. Exits with a sentence where there is none."""
        ...

    def logs(self, run_id: str) -> Sequence[LogLineV2]:
        """What one run's function wrote. Exits with a sentence where there is no such run."""
        ...

    def explain(self, run_id: str) -> ExplanationV2:
        """Why a run stands where it stands. Exits with a sentence where there is none."""
        ...

    def recorded(self, run_id: str) -> RecordedRun:
        """All that is stored of one run. Exits with a sentence where there is none."""
        ...


class _Lines(msgspec.Struct):
    data: list[LogLineV2]
    page: Page = Page()


class _Runs(msgspec.Struct):
    data: list[RunV2]
    page: Page = Page()


def _apps_of(functions: Sequence[str]) -> tuple[str, ...]:
    """The apps these functions may be of: their ids begin with the name of the app."""
    found: dict[str, None] = {}
    for slug in functions:
        parts = slug.split("-")
        found |= {"-".join(parts[:count]): None for count in range(1, len(parts))}
    return tuple(found) or tuple(functions)


class ServerSource:
    """A running server."""

    def __init__(self, server: ServerApi) -> None:
        self._server = server

    def runs(self, wanted: Wanted) -> tuple[Sequence[RunV2], str]:
        """Runs, and where those after them begin."""
        query: dict[str, str | int | tuple[str, ...]] = {
            "status": wanted.status,
            "appId": wanted.app or _apps_of(wanted.function),
            "functionId": wanted.function,
            "from": wanted.since,
            "until": wanted.until,
            "timeField": wanted.time_field,
            "order": wanted.order,
            "query": wanted.query,
            "session": wanted.session,
            "isDeferred": "" if wanted.deferred is None else str(wanted.deferred).lower(),
            "includeOutput": "true" if wanted.with_output else "",
        }
        found: list[RunV2] = []
        cursor = wanted.cursor
        while len(found) < wanted.limit:
            count = min(wanted.limit - len(found), PAGE)
            page = self._server.get(_Runs, "/api/v2/runs", **query, limit=count, cursor=cursor)
            found += page.data
            cursor = page.page.cursor
            if not cursor:
                break
        return found, cursor

    def of_event(self, event_id: str) -> OfEvent:
        """What an event started."""
        path = f"/api/v2/events/{segment(event_id)}/runs"
        return self._server.get_if_there(OfEvent, path, limit=EVENT_RUNS) or OfEvent()

    def event(self, event_id: str) -> EventV2 | None:
        """One event."""
        path = f"/api/v2/events/{segment(event_id)}"
        found = self._server.get_if_there(Enveloped[EventV2], path)
        return None if found is None else found.data

    def heard_by(self, name: str) -> str:
        """Who listens to an event."""
        path = "/api/v2/event-listeners"
        found = self._server.get_if_there(Enveloped[Listening], path, name=name)
        return "" if found is None else heard_by(found.data)

    def trace(self, run_id: str) -> TraceV2:
        """One run, told in order."""
        path = f"/api/v2/runs/{segment(run_id)}/trace"
        return self._server.get(Enveloped[TraceV2], path, includeOutput="true").data

    def logs(self, run_id: str) -> Sequence[LogLineV2]:
        """What one run's function wrote."""
        path, cursor = f"/api/v2/runs/{segment(run_id)}/logs", ""
        found: list[LogLineV2] = []
        while True:
            page = self._server.get(_Lines, path, limit=1_000, cursor=cursor)
            found += page.data
            cursor = page.page.cursor
            if not cursor:
                return found

    def explain(self, run_id: str) -> ExplanationV2:
        """Why a run stands where it stands."""
        path = f"/api/v2/runs/{segment(run_id)}/explain"
        return self._server.get(Enveloped[ExplanationV2], path).data

    def recorded(self, run_id: str) -> RecordedRun:
        """All that is stored of one run."""
        return self._server.get(RecordedRun, f"/api/v2/runs/{segment(run_id)}/export")


class FileSource:
    """The database of an engine, be it running or not."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def runs(self, wanted: Wanted) -> tuple[Sequence[RunV2], str]:
        """Runs, and where those after them begin."""
        if wanted.needs_server:
            raise click.UsageError(
                "a file is asked for --status, --function, --app, --limit and --cursor alone"
            )
        try:
            statuses = tuple(status_named(text) for text in wanted.status)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
        found = self._reader.runs(
            RunFilter(
                statuses=statuses,
                functions=wanted.function,
                apps=wanted.app,
                after=run_mark(self._reader, wanted.cursor),
                limit=wanted.limit,
            )
        )
        cursor = found[-1].id if len(found) == wanted.limit else ""
        return runs_v2(self._reader, found), cursor

    def of_event(self, event_id: str) -> OfEvent:
        """What an event started."""
        reader = self._reader
        runs = runs_v2(reader, reader.runs_of_event(event_id))
        without = not_started(reader.dropped(event_id), reader.holds_of_event(event_id))
        return OfEvent(runs, [not_started_v2(one) for one in without])

    def event(self, event_id: str) -> EventV2 | None:
        """One event."""
        row = self._reader.event(event_id)
        return None if row is None else event_v2(row, with_data=True)

    def heard_by(self, name: str) -> str:
        """Who listens to an event."""
        found = listening_in(self._reader, name)
        return heard_by(Listening(found.event, found.functions, found.near))

    def trace(self, run_id: str) -> TraceV2:
        """One run, told in order."""
        found = timeline_in(self._reader, run_id, _now_ms())
        if found is None:
            raise _no_run(run_id)
        return trace_v2(run_id, found, _now_ms(), with_output=True)

    def logs(self, run_id: str) -> Sequence[LogLineV2]:
        """What one run's function wrote."""
        if self._reader.run(run_id) is None:
            raise _no_run(run_id)
        return logs_v2(self._reader.annotations(run_id))

    def explain(self, run_id: str) -> ExplanationV2:
        """Why a run stands where it stands."""
        found = explanation_in(self._reader, run_id, _now_ms())
        if found is None:
            raise _no_run(run_id)
        return found

    def recorded(self, run_id: str) -> RecordedRun:
        """All that is stored of one run."""
        run = self._reader.run(run_id)
        if run is None:
            raise _no_run(run_id)
        return recorded_in(self._reader, run)


def source_options(function: F) -> F:
    """Gives a command the options that say where runs are looked for."""
    database = click.option(
        "--database",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Look into this file, such as that of an embedded engine, in place of asking a server;"
        " it is only read, and may be in use.",
    )
    return database(server_options(function))


@contextmanager
def source_at(database: Path | None, url: str, signing_key: str | None) -> Generator[Source]:
    """Where an operator said runs are."""
    if database is None:
        yield ServerSource(server_at(url, signing_key))
        return
    try:
        reader = reader_of_file(str(database))
        try:
            yield FileSource(reader)
        finally:
            reader.close()
    except StoreError as error:
        raise click.ClickException(str(error)) from None


def tell_event(source: Source, event_id: str) -> None:
    """Where the id is that of an event without a run, exit and say why that may be."""
    event = source.event(event_id)
    if event is None:
        return
    name = event.name
    heard = source.heard_by(name)
    told = f"event {event_id} ({name}) started no run"
    if "no function" not in heard:
        heard += (
            "; but none was started by it: a condition did not hold, its id had started one before,"
            " the run is put off, or the function was registered later"
        )
    raise click.ClickException(f"{told}: {heard}" if heard else told)
