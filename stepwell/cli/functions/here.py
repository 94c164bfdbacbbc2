"""The functions of `stepwell dev --no-reload` in the server's own process: no way between a step
and its commit, and one process for a debugger. Applications still get a process of their own,
because they bring a loop and signals of theirs.
"""

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from stepwell.cli.functions.part import FunctionsPart
from stepwell.cli.log_choice import LogChoice
from stepwell.cli.target import ServedClient, load
from stepwell.cli.target_error import TargetError
from stepwell.embedded import attach
from stepwell.server.registration import RegistrationRefused
from stepwell.server.serving import Server

log = logging.getLogger("stepwell.dev")


@asynccontextmanager
async def functions_here(
    server: Server, targets: tuple[str, ...], folder: Path, choice: LogChoice
) -> AsyncGenerator[None, None]:
    """Functions are served inside. Exits with a sentence where a target cannot be served."""
    os.environ["INNGEST_DEV"] = server.url
    served: list[ServedClient] = []
    apart: list[str] = []
    for target in targets:
        found = await _attached(server, target, folder)
        if isinstance(found, ServedClient):
            served.append(found)
        else:
            apart.append(target)
    try:
        if apart:
            async with FunctionsPart(server, tuple(apart), folder, choice).running(reload=False):
                yield
        else:
            server.release_apps()
            yield
    finally:
        for one in served:
            one.client.attach(None)


async def _attached(server: Server, target: str, folder: Path) -> ServedClient | None:
    try:
        found = load(target, folder)
        if not isinstance(found, ServedClient):
            return None
        functions = [one for function in found.functions for one in function.served()]
        await attach(server.node, found.client, functions, alone=False)
    except (TargetError, RegistrationRefused) as error:
        raise click.ClickException(str(error)) from None
    log.info("%s is served by this process", target)
    return found
