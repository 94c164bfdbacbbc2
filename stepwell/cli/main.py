"""The command line: its verbs, and nothing of what they do.

A verb is imported when it is called for: sending an event must not wait for a server's imports.
"""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module

import click

from stepwell.cli.log_choice import LogChoice, log_options
from stepwell.sdk.extra import Extra

_VERBS = {
    "new": "Write a small project: a function, its test, and how to run it.",
    "dev": "Run a server for development.",
    "start": "Run a server for production.",
    "worker": "Run functions as a worker that is connected to a server.",
    "send": "Send an event.",
    "runs": "List the latest runs.",
    "run": "Tell what a run did and what it waits for.",
    "trace": "Print what a run did, span by span, for people and programs.",
    "why": "Say in a sentence why a run does not run, or an event started none.",
    "tail": "Print what runs do, as they do it.",
    "events": "List events; write typed modules of them, or ask a server for their schemas.",
    "event": "Tell what an event holds, and what it started.",
    "apps": "List the registered apps.",
    "functions": "List functions, and what starts them.",
    "workers": "List the workers that are connected.",
    "invoke": "Start a function.",
    "cancel": "End runs.",
    "rerun": "Run a run again, from its beginning or from a step.",
    "bulk": "Cancel many runs, or run them again, by a filter.",
    "pause": "Let a function rest.",
    "resume": "Let a paused function go on, or a run whose code changed.",
    "replay": "Let events that a function skipped start their runs after all.",
    "limits": "List named limits, and give them other numbers.",
    "keys": "Make, list and revoke keys that may do less than the signing key.",
    "lint": "Look for mistakes with steps in Python files.",
    "check-replay": "Tell whether code can go on with runs that were exported.",
    "relay": "Send what transactions left in the outbox of a database.",
    "config": "Print the settings of an app, and why they are so.",
    "explain": "Tell what an error's code means and what to do.",
    "doctor": "Look for runs that nothing will ever move.",
    "backup": "Copy a database while it is used.",
    "copy": "Copy everything of a stopped server from SQLite to PostgreSQL, or back.",
    "migrate": "Bring a PostgreSQL database to the schema of this version, or look whether it is.",
    "completion": "Print what a shell needs to complete commands.",
    "version": "Print the version.",
}


_MODULES = {"trace": "trace_spans", "copy": "copy_store"}
"""Verbs whose module cannot be named like them: the standard library has one of that name."""


class Verbs(click.Group):
    """A group whose commands live in modules of their own, named like them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order in which they are needed."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb."""
        if cmd_name not in _VERBS:
            return None
        if cmd_name == "version":
            return show_version
        module = _MODULES.get(cmd_name, cmd_name.replace("-", "_"))
        try:
            with Extra("server", f"stepwell {cmd_name}"), _what_comes_stays():
                found = getattr(import_module(f"stepwell.cli.verbs.{module}"), module)
        except ModuleNotFoundError as error:
            raise click.ClickException(str(error)) from None
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Their help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))


@contextmanager
def _what_comes_stays() -> Generator[None]:
    """What is imported is not looked through for circles again and again, which is a sixth of a
    server's start. The process is ours."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def package_version() -> str:
    """The installed version."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - many modules

    try:
        return version("stepwell")
    except PackageNotFoundError:
        return "unknown"


def _tell_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"stepwell, version {package_version()}")
        context.exit()


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Show the version and exit.",
)
@log_options
@click.pass_context
def main(context: click.Context, as_json: bool, verbose: bool, log_level: str | None) -> None:
    """Stepwell: durable functions triggered by events."""
    context.obj = LogChoice(as_json=as_json, verbose=verbose, level=log_level)


@click.command("version")
def show_version() -> None:
    """Print the version."""
    click.echo(package_version())
