"""The process that holds the functions of `stepwell dev`: imports them and serves them.

It is given its order as one line of standard input, and reports once, in a file: where each target
is served and which files it consists of, or why it cannot be served. It ends when it is told to,
after the calls under way, or when its parent is gone.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import Literal

import msgspec
import uvicorn

from stepwell.asgi import serve as serve_asgi
from stepwell.cli.changes import ReadFiles, Stamps
from stepwell.cli.functions.order import Order, Report, ServedAt
from stepwell.cli.log_setup import print_lines_of_functions, set_up_last_resort
from stepwell.cli.process import look_for_circles_seldom, run_loop
from stepwell.cli.target import (
    Application,
    ServedApp,
    ServedClient,
    load,
    project_files,
)
from stepwell.cli.target_error import Misnamed, TargetError
from stepwell.server.listening import open_sockets, port_of, url_of

GRACE_S = 60
PARENT_CHECK_S = 1.0
SERVE_PATH = "/api/inngest"


class _Server(uvicorn.Server):
    """Signals are this module's: there may be several servers in the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the process's signal handlers alone."""
        yield


def main() -> None:
    """Wait for an order on standard input, and do it."""
    line = sys.stdin.buffer.readline()
    if not line:
        return
    order = msgspec.json.decode(line, type=Order)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    set_up_last_resort(order.log, os.environ)
    run_loop(_serve(order))


async def _serve(order: Order) -> None:
    folder, read = Path(order.folder), ReadFiles()
    servers: list[uvicorn.Server] = []
    tasks: list[asyncio.Task[None]] = []
    served: list[ServedAt] = []
    try:
        for target in order.targets:
            server, task, place = await _begin(target, folder)
            servers.append(server)
            tasks.append(task)
            served.append(place)
            print_lines_of_functions(order.log, os.environ)
    except BaseException as error:
        if not isinstance(error, Exception | SystemExit):
            raise
        misnamed = isinstance(error, Misnamed)
        _report(order, Report((), _files(folder, read, error), _words(error), misnamed))
        raise SystemExit(1) from None
    _stop_on_signal(servers)
    _report(order, Report(tuple(served), _files(folder, read)))
    look_for_circles_seldom()
    await asyncio.gather(*tasks)


async def _begin(target: str, folder: Path) -> tuple[uvicorn.Server, asyncio.Task[None], ServedAt]:
    found = load(target, folder)
    sockets = list(open_sockets("localhost", 0))
    origin = url_of("localhost", port_of(sockets))
    server = _Server(_config(found))
    task = asyncio.get_running_loop().create_task(server.serve(sockets))
    while not server.started:
        if task.done():
            task.result()
            raise TargetError(f"{target}: the application ended while it started")
        await asyncio.sleep(0.005)
    if isinstance(found, ServedApp):
        return server, task, ServedAt(target, origin=origin)
    count = len(found.functions)
    return server, task, ServedAt(target, url=f"{origin}{SERVE_PATH}", functions=count)


def _config(found: ServedClient | ServedApp) -> uvicorn.Config:
    application: Application
    interface: Literal["asgi3", "wsgi"] = "asgi3"
    if isinstance(found, ServedClient):
        application = serve_asgi(found.client, found.functions, serve_path=SERVE_PATH)
    else:
        application = found.application
        interface = "asgi3" if found.is_asgi else "wsgi"
    return uvicorn.Config(
        application,
        interface=interface,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def _stop_on_signal(servers: list[uvicorn.Server]) -> None:
    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:
            signal.signal(number, lambda _number, _frame: stop())


def _report(order: Order, report: Report) -> None:
    """Whole or not at all: the parent reads as soon as the file is there."""
    path = Path(order.report)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(msgspec.json.encode(report))
    unfinished.replace(path)


def _files(folder: Path, read: ReadFiles, error: BaseException | None = None) -> Stamps:
    """Files to watch: the project's modules, and those a failed import went through."""
    files = {str(path) for path in project_files(folder)}
    if error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        files |= {frame.filename for frame in frames if folder in Path(frame.filename).parents}
        if isinstance(error, SyntaxError) and error.filename:
            files.add(error.filename)
    return read.stamps(sorted(files))


def _words(error: BaseException) -> str:
    if isinstance(error, TargetError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"the module ended the process while it was imported (exit code {error.code})"
    told = traceback.TracebackException.from_exception(error)
    told.stack = traceback.StackSummary.from_list(
        [frame for frame in told.stack if not _is_machinery(frame.filename)]
    )
    return "".join(told.format()).rstrip()


def _is_machinery(filename: str) -> bool:
    """Whether a frame is ours or the import system's, which tell the user nothing."""
    return filename == __file__ or "importlib" in filename or filename.endswith("cli/target.py")


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os._exit(1)


if __name__ == "__main__":
    main()
