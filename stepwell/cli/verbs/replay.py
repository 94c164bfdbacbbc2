"""`stepwell replay`: events that a function skipped start their runs after all."""

import time

import click

from stepwell.cli.catalog import known_function
from stepwell.cli.server_api import Enveloped, server_at, server_options
from stepwell.cli.verbs.bulk import PATH, count_of, watched
from stepwell.server.query.v2.bulk import BulkStatusV2, BulkV2
from stepwell.wire.duration import DurationError, format_instant, parse_date_ms, parse_duration_ms


@click.command("replay")
@click.argument("function", metavar="FUNCTION")
@click.option(
    "--since",
    required=True,
    metavar="WHEN",
    help="How long ago the first was skipped, such as 2h, or a date.",
)
@click.option("--until", metavar="WHEN", help="The same for the last; now by default.")
@click.option(
    "--reason",
    "reasons",
    multiple=True,
    metavar="REASON",
    help="Those skipped for this reason only, such as FunctionPaused; may be given again.",
)
@click.option(
    "--rate",
    type=click.IntRange(1, 2_000),
    default=2_000,
    show_default=True,
    help="So many a second, at most.",
)
@click.option("--dry-run", is_flag=True, help="Only say how many events it is about.")
@server_options
def replay(
    function: str,
    since: str,
    until: str | None,
    reasons: tuple[str, ...],
    rate: int,
    dry_run: bool,
    url: str,
    signing_key: str | None,
) -> None:
    """Let the events that FUNCTION skipped in a time start their runs after all.

    Those are meant that met a pause, a singleton, a full backlog or a rate limit; others are, if
    their reason is named. Doing it twice starts nothing twice. It goes on at the server when you
    leave with Ctrl-C: `stepwell bulk list` and `bulk stop` know of it.
    """
    now_ms = int(time.time() * 1000)
    wanted: dict[str, object] = {"from": _instant("--since", since, now_ms)}
    if until is not None:
        wanted["until"] = _instant("--until", until, now_ms)
    if reasons:
        wanted["reason"] = reasons
    server = server_at(url, signing_key)
    one = known_function(server, function)
    wanted |= {"appId": [one.app.name], "functionId": [one.slug]}
    if dry_run:
        _, count = count_of(server, wanted, "replay")
        click.echo(f"replay is about {count} events")
        return
    body = {"action": "replay", "filter": wanted, "rate": rate}
    done = watched(server, server.post(Enveloped[BulkV2], PATH, body).data)
    click.echo(f"{one.slug}: {done.done} started, {done.refused} skipped once more")
    if done.status is BulkStatusV2.STOPPED:
        raise click.ClickException(f"it was stopped, or {one.slug} is gone or paused")


def _instant(option: str, text: str, now_ms: int) -> str:
    """A duration ago, or a date, as a date."""
    try:
        return format_instant(now_ms - parse_duration_ms(text))
    except DurationError:
        pass
    try:
        return format_instant(parse_date_ms(text))
    except DurationError:
        hint = "give how long ago, such as 2h or 30m, or a date such as 2027-01-31T12:00:00Z"
        raise click.UsageError(f"{option} {text!r} is no time: {hint}") from None
