"""`stepwell start`: a server for production."""

import os
from typing import Any

import click

from stepwell.cli.log_choice import LogChoice, group_choice, log_options
from stepwell.cli.log_setup import set_up_logging
from stepwell.cli.options import configured, setting_options
from stepwell.cli.running import run_server, show_settings
from stepwell.cli.terminal import console
from stepwell.server.config import Command


@click.command("start")
@setting_options(Command.START)
@log_options
def start(as_json: bool, verbose: bool, log_level: str | None, **given: Any) -> None:
    """Run a server for production: signed calls, keys for everything, a database that is kept.

    Needs a signing key and at least one event key. Every flag has an environment variable
    (STEPWELL_… in place of INNGEST_… works as well); a configuration file may hold the flags'
    names as keys. A flag goes before its variable, a variable before the file.
    """
    choice = LogChoice(as_json=as_json, verbose=verbose, level=log_level).over(group_choice())
    set_up_logging(choice, os.environ)
    config = configured(Command.START, given)
    to = console(stderr=True)
    to.print("[bold]stepwell start[/bold]")
    show_settings(to, config, everything=True)
    run_server(config)
