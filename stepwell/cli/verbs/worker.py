"""`stepwell worker`: the functions of modules as a worker that is connected to a server.

A worker ends gracefully when it is told to, and begins anew as the same process when it had enough
(requests, memory) or, with --reload, when a file changes.
"""

import asyncio
import os
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import click

from stepwell.cli.changes import ReadFiles, changed, stamps_of
from stepwell.cli.log_choice import LogChoice, group_choice, log_options
from stepwell.cli.log_setup import set_up_logging
from stepwell.cli.process import look_for_circles_seldom, run_loop
from stepwell.cli.target import ServedClient, load, project_files
from stepwell.cli.target_error import TargetError
from stepwell.connect import WorkerConnection, WorkerError, connect
from stepwell.sdk.errors import ConfigurationError

LOOK_EVERY_S = 0.25
_MEBIBYTE = 1024 * 1024


@click.command("worker")
@click.argument("targets", nargs=-1, required=True, metavar="MODULE:CLIENT ...")
@click.option("--instance-id", help="Name of this worker, the same after a restart.")
@click.option(
    "--max-concurrency",
    type=click.IntRange(1),
    help="Requests at once [INNGEST_CONNECT_MAX_WORKER_CONCURRENCY].",
)
@click.option("--gateway-url", help="Address of the gateway [INNGEST_CONNECT_GATEWAY_URL].")
@click.option(
    "--executor",
    type=click.Choice(["thread", "process"]),
    default="thread",
    help="Where functions run: beside the connection, or in processes of their own.",
)
@click.option("--processes", type=click.IntRange(1), help="How many processes, with --executor.")
@click.option(
    "--outbox-directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep unacknowledged answers here, so that they outlive the process.",
)
@click.option(
    "--give-up-after",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="End with an error after so long without a connection; by default never.",
)
@click.option(
    "--shutdown-timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="How long a graceful end waits for running functions; by default until they end.",
)
@click.option(
    "--health-port",
    type=click.IntRange(0, 65_535),
    help="Answer /healthz, /readyz and /metrics on this port.",
)
@click.option("--health-host", default="127.0.0.1", show_default=True, help="Address for that.")
@click.option("--max-requests", type=click.IntRange(1), help="Begin anew after so many requests.")
@click.option(
    "--max-rss",
    type=click.IntRange(1),
    metavar="MIB",
    help="Begin anew when the process holds more memory than this.",
)
@click.option("--reload", is_flag=True, help="Begin anew when a file of the project changes.")
@log_options
def worker(
    targets: tuple[str, ...],
    as_json: bool,
    verbose: bool,
    log_level: str | None,
    reload: bool,
    max_rss: int | None,
    max_concurrency: int | None,
    **options: Any,
) -> None:
    """Connect to a server and run the functions of the clients that are named.

    shop.functions:client serves every function of that client; without a name the module's only
    client is taken. All of them share one connection, so they must agree on server, environment
    and keys, which come from the clients and their environment variables: INNGEST_BASE_URL names
    the server and INNGEST_SIGNING_KEY opens it, or INNGEST_DEV=1 stands for a development server.
    Where nothing names a server, Inngest's cloud is asked.

    SIGTERM and SIGINT end the worker gracefully: it takes nothing new, finishes what runs and
    delivers every answer. Exits with 1 if it has to give up.
    """
    choice = LogChoice(as_json=as_json, verbose=verbose, level=log_level).over(group_choice())
    set_up_logging(choice, os.environ)
    read = ReadFiles() if reload else None
    try:
        connection = connect(
            [(one.client, one.functions) for one in _served(targets)],
            max_worker_concurrency=max_concurrency,
            max_rss_bytes=None if max_rss is None else max_rss * _MEBIBYTE,
            **options,
        )
    except (TargetError, ConfigurationError) as error:
        raise click.ClickException(str(error)) from None
    except Exception:
        if read is None:
            raise
        _wait_for_change(traceback.format_exc(), read)
    try:
        look_for_circles_seldom()
        is_old = run_loop(_run(connection, read))
    except (WorkerError, ConfigurationError) as error:
        raise click.ClickException(str(error)) from None
    if is_old or connection.recycled:
        _begin_anew()


def _served(targets: Iterable[str]) -> list[ServedClient]:
    served: list[ServedClient] = []
    for target in targets:
        found = load(target, Path.cwd())
        if not isinstance(found, ServedClient):
            raise TargetError(f"{target} is an application; a worker serves clients: name one")
        served.append(found)
    return served


async def _run(connection: WorkerConnection, read: ReadFiles | None) -> bool:
    """Serve until the worker ends; True if it ended because a file changed since it was read."""
    following = None if read is None else asyncio.create_task(_change(read))
    working = asyncio.create_task(connection.start())
    waited = {working} if following is None else {working, following}
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    is_old = following is not None and following.done()
    if is_old and not working.done():
        click.echo("a file changed; the worker begins anew", err=True)
        await connection.close()
    if following is not None:
        following.cancel()
    await working
    return is_old


async def _change(read: ReadFiles) -> None:
    """Ends when a file of the project has changed since it was read."""
    while True:
        files = project_files(Path.cwd())
        if changed(read.stamps(files), stamps_of(files)):
            return
        await asyncio.sleep(LOOK_EVERY_S)


def _wait_for_change(problem: str, read: ReadFiles) -> NoReturn:
    """The project cannot be imported: say why, and begin anew when that may have changed."""
    click.echo(f"{problem}\nthe worker waits for a change", err=True)
    before = read.stamps(_sources())
    while not changed(before, stamps_of(_sources())):
        time.sleep(LOOK_EVERY_S)
    _begin_anew()


def _sources() -> list[Path]:
    """Each Python file below this folder, imported or not."""
    here = Path.cwd()
    return [
        path
        for path in here.rglob("*.py")
        if not any(part.startswith(".") for part in path.relative_to(here).parts)
    ]


def _begin_anew() -> NoReturn:
    """The same command, the same process, nothing of its memory."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell
