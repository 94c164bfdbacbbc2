"""The functions of `stepwell dev` as a process of their own, replaced when a file changes.

The server stays. The new process is up and registered before the old one is told to end, and the
old one ends only after the calls it has begun; if the new one cannot start, the old one goes on. A
spare process, in which everything but the user's modules is imported already, waits for its order.
Why a process and not a reload in place: docs/decisions/007.
"""

import asyncio
import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stepwell.cli.changes import Stamps, changed, stamps_of
from stepwell.cli.functions.order import Order, Report
from stepwell.cli.log_choice import LogChoice
from stepwell.cli.target_error import Misnamed
from stepwell.server.api.apps.discovery import PATHS
from stepwell.server.serving import Server

START_TIMEOUT_S = 60.0
WATCH_EVERY_S = 0.25
LOOK_EVERY_S = 0.02
END_TIMEOUT_S = 70.0

log = logging.getLogger("stepwell.dev")


@dataclass(slots=True)
class _Child:
    process: asyncio.subprocess.Process
    report: Report


class FunctionsPart:
    """Starts, replaces and ends the process of the functions."""

    def __init__(
        self,
        server: Server,
        targets: tuple[str, ...],
        folder: Path,
        log: LogChoice = LogChoice(),  # noqa: B008 - frozen
    ) -> None:
        """`targets` as the command line names them; modules are looked for in `folder`; `log` is
        how lines of the functions look where their program does not say."""
        self._server = server
        self._log = log
        self._targets = targets
        self._folder = folder
        self._child: _Child | None = None
        self._spare: asyncio.subprocess.Process | None = None
        self._watched: set[str] = set()
        self._read: Stamps = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._misnamed = ""
        self._begun = False

    @asynccontextmanager
    async def running(self, *, reload: bool) -> AsyncGenerator[None, None]:
        """Functions are served inside; with `reload` they follow their files. Raises `Misnamed` if
        there is no module of a target's name."""
        await self.replace()
        if self._misnamed:
            await self.close()
            raise Misnamed(self._misnamed)
        self._begun = True
        watching = None
        if reload:
            self._spare = await self._opened()
            watching = asyncio.get_running_loop().create_task(self._watch())
        try:
            yield
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await self.close()

    async def replace(self) -> bool:
        """Start a new process and, if its functions are registered, end the old one."""
        self._read = stamps_of(self._watched)
        with tempfile.TemporaryDirectory(prefix="stepwell-dev-") as scratch:
            child = await self._start(Path(scratch))
        self._watch_for(child.report)
        self._misnamed = child.report.problem if child.report.misnamed else ""
        if child.report.problem:
            if self._begun or not self._misnamed:
                log.error("the functions cannot be served:\n%s", child.report.problem)
            await _ended(child.process)
            return False
        await self._register(child.report)
        self._server.release_apps()
        old, self._child = self._child, child
        if old is not None:
            ending = asyncio.get_running_loop().create_task(_ended(old.process))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
        return True

    async def close(self) -> None:
        """End every process of it."""
        if self._spare is not None:
            await _ended(self._spare)
            self._spare = None
        if self._child is not None:
            await _ended(self._child.process)
            self._child = None
        await asyncio.gather(*self._endings)

    async def _start(self, scratch: Path) -> _Child:
        order = Order(self._targets, str(self._folder), str(scratch / "report.json"), self._log)
        process, self._spare = self._spare or await self._opened(), None
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it ended already: the report will be missing
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            await process.stdin.drain()
        return _Child(process, await self._reported(process, Path(order.report)))

    async def _opened(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "stepwell.cli.functions.child",
            cwd=self._folder,
            env=child_environment(os.environ, self._server.url),
            stdin=asyncio.subprocess.PIPE,
            # Ctrl-C is for the server, which ends this process after its calls.
            start_new_session=True,
        )

    async def _reported(self, process: asyncio.subprocess.Process, path: Path) -> Report:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while (report := _report_in(path)) is None:
                    if process.returncode is not None:
                        ended = Report(problem=f"their process ended with {process.returncode}")
                        return _report_in(path) or ended
                    await asyncio.sleep(LOOK_EVERY_S)
                return report
        except TimeoutError:
            wait = f"{START_TIMEOUT_S:.0f} s"
            return Report(problem=f"they were not ready after {wait}; what does the import do?")

    async def _register(self, report: Report) -> None:
        for served in report.served:
            urls = [served.url] if served.url else [f"{served.origin}{path}" for path in PATHS]
            problem = ""
            for url in urls:
                problem = await self._server.sync(url)
                if not problem:
                    log.info("%s is served at %s", served.target, url)
                    break
            if problem:
                log.error("%s did not register: %s", served.target, problem)

    def _watch_for(self, report: Report) -> None:
        """Follow what was read; where that went wrong, what was followed before, too: a file that
        is missing now may come back."""
        before: Stamps = self._read if report.problem else {}
        self._watched = {*(self._watched if report.problem else ()), *report.files}
        self._read = {**before, **report.files}

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            names = changed(self._read, stamps_of(self._watched))
            if not names:
                continue
            log.info("changed: %s", ", ".join(_short(name, self._folder) for name in names))
            with contextlib.suppress(OSError):
                await self.replace()
            self._spare = await self._opened()


def child_environment(environment: Mapping[str, str], server_url: str) -> dict[str, str]:
    """What the functions' process sees: this server, in development, is the one to talk to."""
    return {**environment, "INNGEST_DEV": server_url, "PYTHONUNBUFFERED": "1"}


def _report_in(path: Path) -> Report | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except FileNotFoundError:
        return None


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Told to end, and waited for; ended by force if it does not listen."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _short(path: str, folder: Path) -> str:
    try:
        return str(Path(path).relative_to(folder))
    except ValueError:
        return path
