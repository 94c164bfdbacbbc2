"""`stepwell rerun`: a run is run again."""

import click
import msgspec

from stepwell.cli.following import follow
from stepwell.cli.server_api import Enveloped, segment, server_at, server_options


class _Started(msgspec.Struct, rename="camel"):
    run_id: str


@click.command("rerun")
@click.argument("run_id", metavar="RUN")
@click.option("--from-step", metavar="STEP", help="Begin at this step, by its id or its name.")
@click.option(
    "--input", "given", metavar="JSON", help="With --from-step: a list of arguments for it."
)
@click.option("--wait", is_flag=True, help="Print what the run returns, once it has ended.")
@click.option(
    "--timeout", default=300.0, show_default=True, help="With --wait: for so many seconds."
)
@server_options
def rerun(
    run_id: str,
    from_step: str | None,
    given: str | None,
    wait: bool,
    timeout: float,
    url: str,
    signing_key: str | None,
) -> None:
    """Run RUN again, as a new run whose id is printed: with the same events, and the function as it
    is now. Many runs at once, by a filter: `stepwell bulk rerun`."""
    if given is not None and from_step is None:
        raise click.UsageError("--input is for the step that --from-step names")
    body: dict[str, object] = {}
    if from_step is not None:
        start: dict[str, object] = {"stepId": from_step}
        if given is not None:
            try:
                start["input"] = msgspec.json.decode(given, type=list[object])
            except msgspec.DecodeError as error:
                raise click.UsageError(f"--input must be a JSON list: {error}") from None
        body["fromStep"] = start
    server = server_at(url, signing_key)
    started = server.post(Enveloped[_Started], f"/api/v2/runs/{segment(run_id)}/rerun", body).data
    click.echo(started.run_id, err=wait)
    if wait:
        follow(server, started.run_id, timeout)
