"""What happens to runs and apps, as lines of the server's log: each thing once, with what is needed
to find it again (run, function, step, attempt, reason)."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from stepwell.server.engine.message.action import Announce, Topic
from stepwell.server.engine.row.run import AppRow, Run, RunStatus
from stepwell.server.runtime.perform import Performer
from stepwell.server.store.port import Reader, RunFilter, StoreError
from stepwell.wire.failure import decode_failure

WAITING_MAX = 1_000
"""So many announcements wait to be written while the database is slow; the next are not."""

log = logging.getLogger("stepwell.server")


class Journal:
    """Hears what a node announces, and writes it down."""

    def __init__(self, performer: Performer, reader: Reader) -> None:
        """Begins to listen. What is read of a database on a network is read beside the loop."""
        self._reader = reader
        self._told: dict[str, str] = {}
        self._beside = ThreadPoolExecutor(1, "stepwell-journal") if reader.blocks else None
        self._room = threading.Semaphore(WAITING_MAX)
        for topic, write in (
            (Topic.ATTEMPT_FAILED, self._attempt_failed),
            (Topic.RUN_FAILED, self._run_failed),
            (Topic.RUN_CANCELLED, self._run_cancelled),
            (Topic.FUNCTION_GONE, self._function_gone),
        ):
            performer.subscribe(topic, partial(self._hear, write))

    def close(self) -> None:
        """Write what is still to be written."""
        if self._beside is not None:
            self._beside.shutdown()

    def _hear(self, write: Callable[[Announce], None], announced: Announce) -> None:
        if self._beside is None:
            write(announced)
        elif self._room.acquire(blocking=False):
            self._beside.submit(self._write, write, announced)

    def _write(self, write: Callable[[Announce], None], announced: Announce) -> None:
        self._room.release()
        try:
            write(announced)
        except StoreError as error:
            log.info("%s of %s cannot be told: %s", announced.topic, announced.subject, error)
        except Exception:
            log.exception("%s of %s was not told", announced.topic, announced.subject)

    def registered(self, app: AppRow, functions: int) -> None:
        """An app registered; told when something is different since the last time."""
        shape = f"{app.method} {app.url} {app.checksum}"
        if self._told.get(app.name) == shape:
            return
        self._told[app.name] = shape
        place = f"at {app.url}" if app.method == "serve" else f"by {app.method}"
        plural = "" if functions == 1 else "s"
        facts = {"app": app.name, "method": app.method, "url": app.url, "functions": functions}
        log.info(
            "app %s registered %d function%s %s (%s)",
            *(app.name, functions, plural, place, app.sdk or "unknown SDK"),
            extra={"facts": facts},
        )

    def _attempt_failed(self, announced: Announce) -> None:
        notes = self._reader.notes(announced.subject)
        note = next((note for note in notes if note.place == announced.place), None)
        run = self._reader.run(announced.subject)
        if note is None or run is None:
            return
        what = f"step {note.name}" if note.name else "function"
        reason = decode_failure(note.body).told
        facts = {**_facts(run), "step": note.name, "attempt": note.attempt + 1, "reason": reason}
        log.info(
            "run %s of %s: attempt %d of %s failed and is made again: %s",
            *(run.id, run.function, note.attempt + 1, what, reason),
            extra={"facts": facts},
        )

    def _run_failed(self, announced: Announce) -> None:
        run = self._reader.run(announced.subject)
        if run is None or run.status is not RunStatus.FAILED or run.output is None:
            return
        reason = decode_failure(run.output).told
        log.info(
            "run %s of %s failed: %s",
            *(run.id, run.function, reason),
            extra={"facts": {**_facts(run), "reason": reason}},
        )

    def _run_cancelled(self, announced: Announce) -> None:
        run = self._reader.run(announced.subject)
        if run is not None and run.status is RunStatus.CANCELLED:
            log.info(
                "run %s of %s was cancelled", run.id, run.function, extra={"facts": _facts(run)}
            )

    def _function_gone(self, announced: Announce) -> None:
        going = (RunStatus.SCHEDULED, RunStatus.RUNNING)
        wanted = RunFilter(statuses=going, functions=(announced.subject,), limit=1)
        if self._reader.runs(wanted):
            log.warning(
                "function %s is served no longer; runs of it wait: stepwell doctor",
                announced.subject,
                extra={"facts": {"function": announced.subject}},
            )


def _facts(run: Run) -> dict[str, object]:
    return {"run_id": run.id, "function": run.function, "app": run.app}
