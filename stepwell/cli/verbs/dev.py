"""`stepwell dev`: a server for development, with functions that follow their files."""

import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import click

from stepwell.cli.functions.part import FunctionsPart
from stepwell.cli.log_choice import LogChoice, group_choice, log_options
from stepwell.cli.log_setup import set_up_logging
from stepwell.cli.options import configured, setting_options
from stepwell.cli.running import Beside, run_server, show_settings
from stepwell.cli.terminal import console
from stepwell.server.config import Command
from stepwell.server.serving import Server


@click.command("dev")
@click.argument("targets", nargs=-1, metavar="[MODULE:CLIENT_OR_APP ...]")
@click.option(
    "--no-reload",
    is_flag=True,
    help="Do not follow changes of files; clients are served in the server's own process.",
)
@setting_options(Command.DEV)
@log_options
def dev(
    targets: tuple[str, ...],
    no_reload: bool,
    as_json: bool,
    verbose: bool,
    log_level: str | None,
    **given: Any,
) -> None:
    """Run a server for development, and the functions of the modules that are named.

    shop.functions:client serves every function of that client; shop.web:app runs an ASGI or WSGI
    application that serves its own. Without a name the module's only client or application is
    taken. Functions follow their files: a change is served within a second, and runs under way go
    on with the new code.

    Apps of other processes are found on common local ports, or named with -u.

    Every flag has an environment variable (STEPWELL_… in place of INNGEST_… works as well); a
    configuration file may hold the flags' names as keys.
    """
    choice = LogChoice(as_json=as_json, verbose=verbose, level=log_level).over(group_choice())
    set_up_logging(choice, os.environ)
    config = configured(Command.DEV, given)
    to = console(stderr=True)
    to.print("[bold]stepwell dev[/bold]")
    show_settings(to, config, everything=False)
    run_server(config, _beside(targets, choice, reload=not no_reload) if targets else None)


def _beside(targets: tuple[str, ...], log: LogChoice, *, reload: bool) -> Beside:
    def functions(server: Server) -> AbstractAsyncContextManager[None]:
        if reload:
            return FunctionsPart(server, targets, Path.cwd(), log).running(reload=True)
        from stepwell.cli.functions.here import functions_here  # noqa: PLC0415 - brings the SDK

        return functions_here(server, targets, Path.cwd(), log)

    return functions
