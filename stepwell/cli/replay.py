"""`stepwell replay`: events that a function skipped start their runs after all."""

import time

import click

from stepwell.cli.server_api import Enveloped, segment, server_at, server_options
from stepwell.server.query.replayed import Replayed
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
@server_options
def replay(
    function: str,
    since: str,
    until: str | None,
    reasons: tuple[str, ...],
    url: str,
    signing_key: str | None,
) -> None:
    """Let the events that FUNCTION skipped in a time start their runs after all.

    Those are meant that met a pause, a singleton, a full backlog or a rate limit; others are, if
    their reason is named. Doing it twice starts nothing twice.
    """
    now_ms = int(time.time() * 1000)
    asked: dict[str, object] = {
        "since": _instant("--since", since, now_ms),
        "until": format_instant(now_ms) if until is None else _instant("--until", until, now_ms),
    }
    if reasons:
        asked["reasons"] = reasons
    server = server_at(url, signing_key)
    started = skipped = 0
    more = True
    while more:
        path = f"/v1/functions/{segment(function)}/replay"
        told = server.post(Enveloped[Replayed], path, asked).data
        started, skipped, more = started + told.started, skipped + told.skipped, told.more
    click.echo(f"{function}: {started} started, {skipped} skipped once more")


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
