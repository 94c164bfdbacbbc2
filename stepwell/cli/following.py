"""Waits for the end of a run, for the verbs that start one."""

import time

import click
import msgspec

from stepwell.cli.server_api import Enveloped, ServerApi, segment
from stepwell.server.query.v2.run import RunV2, StatusV2

LOOK_S = 0.25
ENDED = (StatusV2.COMPLETED, StatusV2.FAILED, StatusV2.CANCELLED)


def follow(server: ServerApi, run_id: str, seconds: float) -> None:
    """Print the output of a run once it has ended. Exits with 1 if it failed, was cancelled, or
    takes longer."""
    end = time.monotonic() + seconds
    path = f"/api/v2/runs/{segment(run_id)}"
    while (run := server.get(Enveloped[RunV2], path).data).status not in ENDED:
        if time.monotonic() > end:
            raise click.ClickException(f"run {run_id} has not ended after {seconds:g} s")
        time.sleep(LOOK_S)
    output = b"null" if run.output is msgspec.UNSET else bytes(run.output)
    click.echo(output)
    if run.status is not StatusV2.COMPLETED:
        raise click.ClickException(f"run {run_id} {run.status.lower()}: stepwell run {run_id}")
