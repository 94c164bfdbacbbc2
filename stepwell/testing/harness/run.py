"""A run, and an event that was sent, as a test asks after them. Looking waits for nothing."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from stepwell.sdk.errors import RunFailedError
from stepwell.sdk.function.function import Function
from stepwell.sdk.invoke.port import RunSeen
from stepwell.sdk.invoke.waiting import result_of
from stepwell.sdk.value.failure import deserialize_error
from stepwell.server.engine.row.run import Run as Row
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.node import Node
from stepwell.server.query.not_started import not_started
from stepwell.server.query.offline import listening_in, timeline_in
from stepwell.server.query.recorded import recorded_in
from stepwell.server.query.run_object import NULL
from stepwell.testing.harness.errors import HarnessError, NotEnded
from stepwell.testing.harness.history import (
    Entry,
    history,
    logs,
    metadata,
    outcome,
    scores,
    step_names,
)
from stepwell.wire.recorded_run import encode_recorded


class Look:
    """Where runs are looked up: the node as it is now, and the functions by their ids."""

    def __init__(self, node: Callable[[], Node], functions: Mapping[str, Function[Any]]) -> None:
        self.node = node
        self.functions = functions


class Run:
    """One run. Everything it tells is as it stands now."""

    def __init__(self, id: str, look: Look) -> None:
        self.id = id
        self._look = look

    def __repr__(self) -> str:
        try:
            return f"<Run of {self.function} {self.status}>"
        except HarnessError:  # the test is over, and a report of it is written
            return f"<Run {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def _row(self) -> Row:
        row = self._look.node().reader.run(self.id)
        assert row is not None, "runs of a test are kept"
        return row

    @property
    def function(self) -> str:
        """The id of its function: `app-function`."""
        return self._row().function

    @property
    def status(self) -> str:
        """Scheduled, Running, Completed, Failed or Cancelled."""
        return self._row().status.word

    @property
    def result(self) -> Any:
        """What it returned, of the type its function is annotated with.

        Raises NotEnded for one that goes on, and RunFailedError for one that failed or was
        cancelled.
        """
        row = self._row()
        if not row.ended:
            raise NotEnded(f"the run of {row.function} has not ended: {self.waits_for}")
        output = NULL if row.output is None else msgspec.Raw(row.output)
        function = self._look.functions[row.function]
        return result_of(RunSeen(row.id, row.status.word, output), function)

    @property
    def error(self) -> Exception | None:
        """What it failed with, or None: a StepError, with the name, message and stack that were
        raised. For one that was cancelled, RunFailedError."""
        row = self._row()
        if row.status is RunStatus.CANCELLED:
            return RunFailedError(f"run {row.id} was cancelled", row.id)
        if row.status is not RunStatus.FAILED or row.output is None:
            return None
        return deserialize_error(msgspec.json.decode(row.output))

    @property
    def steps(self) -> dict[str, Any]:
        """What its steps gave, by id and in the order in which they ended. A step that failed for
        good has its error in words; one whose id was used before is `id:1`, `id:2` and so on."""
        steps = self._look.node().reader.steps(self.id)
        names = step_names(steps)
        return {names[step.id]: outcome(step) for step in steps}

    @property
    def history(self) -> list[Entry]:
        """All it did, as plain values for a snapshot: its events, each step, each attempt that
        failed, its end. Ids and times are the same in every test run."""
        reader = self._look.node().reader
        row = self._row()
        events = [event for id_ in row.event_ids if (event := reader.event(id_)) is not None]
        return history(row, events, reader.steps(row.id), reader.notes(row.id))

    @property
    def scores(self) -> list[Entry]:
        """The scores of the run and its steps, as plain values: `name` and `value`; the `step` and
        the `experiment` they are about, if they are."""
        reader = self._look.node().reader
        return scores(reader.annotations(self.id), step_names(reader.steps(self.id)))

    @property
    def metadata(self) -> list[Entry]:
        """What was said of the run and its steps, as plain values: `kind` and `values`; the `step`
        and the `attempt` or the `span` that is meant, if one is."""
        reader = self._look.node().reader
        return metadata(reader.annotations(self.id), step_names(reader.steps(self.id)))

    @property
    def logs(self) -> list[Entry]:
        """The lines that the function wrote with `ctx.logger`, each once, as plain values: `level`
        and `text`; the `step` it was written in, if in one; the `attempt`, counted from 0."""
        return logs(self._look.node().reader.annotations(self.id))

    def export(self, file: str | Path) -> None:
        """Write the run to a file, as `stepwell run ID --export FILE` does: for `replay`, and for
        `stepwell check-replay`."""
        Path(file).write_bytes(encode_recorded(recorded_in(self._look.node().reader, self._row())))

    @property
    def waits_for(self) -> str:
        """Why it goes on, in a sentence; empty for one that has ended."""
        node = self._look.node()
        if self._row().ended:
            return ""
        told = timeline_in(node.reader, self.id, node.clock.now_ms())
        assert told is not None
        return told.detail


class Sent:
    """Events that were sent, and the runs they started, now or later."""

    def __init__(self, ids: Sequence[str], names: Sequence[str], look: Look) -> None:
        self.ids = list(ids)
        """The ids of the events."""
        self._names = dict.fromkeys(names)
        self._look = look

    @property
    def runs(self) -> list[Run]:
        """The runs these events have started until now, in their order."""
        reader = self._look.node().reader
        rows = [row.id for id_ in self.ids for row in reader.runs_of_event(id_)]
        return [Run(id_, self._look) for id_ in dict.fromkeys(rows)]

    @property
    def run(self) -> Run:
        """The one run they started. Raises HarnessError, with the reason, if it is not one."""
        runs = self.runs
        if len(runs) == 1:
            return runs[0]
        if runs:
            functions = ", ".join(run.function for run in runs)
            raise HarnessError(f"they started {len(runs)} runs, of {functions}: see .runs")
        raise HarnessError(f"no run was started: {self.why_no_run}")

    @property
    def why_no_run(self) -> str:
        """Why functions that listen were not started, or not yet; or that none listens."""
        reader = self._look.node().reader
        told = [
            f"{one.function}: {one.detail}"
            for id_ in self.ids
            for one in not_started(reader.dropped(id_), reader.holds_of_event(id_))
        ]
        if told:
            return "; ".join(dict.fromkeys(told))
        return "; ".join(self._unheard(name) for name in self._names)

    def _unheard(self, name: str) -> str:
        found = listening_in(self._look.node().reader, name)
        if found.functions:
            return f"{', '.join(found.functions)} listen to {name}, but not to this one"
        near = f"; the nearest that are listened to: {', '.join(found.near)}" if found.near else ""
        known = ", ".join(sorted(self._look.functions)) or "none, so serve some"
        return f"no function listens to {name}{near} (functions served: {known})"
