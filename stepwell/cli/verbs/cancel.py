"""`stepwell cancel`: runs end by hand."""

import click
import msgspec

from stepwell.cli.server_api import Enveloped, Refused, segment, server_at, server_options


class _Named(msgspec.Struct, rename="camel"):
    run_id: str


@click.command("cancel")
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@server_options
def cancel(run_ids: tuple[str, ...], url: str, signing_key: str | None) -> None:
    """End runs by their ids. Exits with 1 if one of them was not there or had ended.

    Many runs at once, by a filter: `stepwell bulk cancel`.
    """
    server, refused = server_at(url, signing_key), False
    for run_id in run_ids:
        path = f"/api/v2/runs/{segment(run_id)}/cancel"
        try:
            told = server.post(Enveloped[_Named], path, {}).data
        except Refused as error:
            refused = True
            click.echo(f"{run_id}: {error.message}", err=True)
        else:
            click.echo(f"{told.run_id} is cancelled")
    if refused:
        raise SystemExit(1)
