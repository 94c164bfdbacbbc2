"""`stepwell check-replay`: whether code can go on with runs that older code began."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from stepwell.cli.target import ServedClient, load
from stepwell.cli.target_error import TargetError
from stepwell.sdk.function.function import Function
from stepwell.testing.replay import misfit, read_recorded
from stepwell.wire.recorded_run import NotRecorded


@click.command("check-replay")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILES...", type=click.Path(path_type=Path)
)
@click.option(
    "--app", "target", required=True, metavar="MODULE:CLIENT", help="The client with the code."
)
def check_replay(files: tuple[Path, ...], target: str) -> None:
    """Tell whether the code of an app can go on with the runs of FILES.

    FILES come from `stepwell run ID --export FILE`. Each function is called with the steps its run
    had stored, and must ask for the same ones. Steps do not run; what stands between them does.

    Exits with 1 if a run no longer fits, and names the step.
    """
    served = _served(target)
    functions = {function.id: function for function in served.functions}
    functions |= {one.id: one for function in served.functions for one in function.served()}
    problems = [_checked(file, functions, served) for file in files]
    for file, problem in zip(files, problems, strict=True):
        click.echo(f"{file}: {problem or 'fits'}")
    if any(problems):
        raise SystemExit(1)


def _served(target: str) -> ServedClient:
    try:
        found = load(target, Path.cwd())
    except TargetError as error:
        raise click.ClickException(str(error)) from None
    if not isinstance(found, ServedClient):
        raise click.ClickException(f"{target} is an application: name the client it serves")
    return found


def _checked(file: Path, functions: Mapping[str, Function[Any]], served: ServedClient) -> str:
    """What is wrong with one file; empty if nothing is."""
    try:
        run = read_recorded(file)
    except NotRecorded as error:
        raise click.ClickException(str(error)) from None
    function = functions.get(run.function)
    if function is None:
        known = ", ".join(sorted(functions))
        return f"function {run.function} is not there any more (there are {known})"
    return asyncio.run(misfit(run, function, served.client))
