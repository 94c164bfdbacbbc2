"""The command line: its verbs, and nothing of what they do."""

from importlib.metadata import PackageNotFoundError, version

import click

from stepwell.cli.dev import dev
from stepwell.cli.doctor import doctor
from stepwell.cli.log_setup import LogChoice, log_options
from stepwell.cli.run import run
from stepwell.cli.runs import runs
from stepwell.cli.send import send
from stepwell.cli.start import start


def package_version() -> str:
    """The installed version."""
    try:
        return version("stepwell")
    except PackageNotFoundError:
        return "unknown"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_version(), prog_name="stepwell")
@log_options
@click.pass_context
def main(context: click.Context, as_json: bool, verbose: bool, log_level: str | None) -> None:
    """Stepwell: durable functions triggered by events."""
    context.obj = LogChoice(as_json=as_json, verbose=verbose, level=log_level)


@main.command("version")
def show_version() -> None:
    """Print the version."""
    click.echo(package_version())


for verb in (dev, start, send, runs, run, doctor):
    main.add_command(verb)
