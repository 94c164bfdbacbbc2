"""`stepwell bulk`: many runs are cancelled, or run again, by a filter."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from stepwell.cli.catalog import functions_of
from stepwell.cli.output import listed, moment, output_option, show
from stepwell.cli.parts import Parts
from stepwell.cli.server_api import Enveloped, ServerApi, segment, server_at, server_options
from stepwell.cli.terminal import console
from stepwell.server.query.v2.bulk import BulkCountV2, BulkStatusV2, BulkV2

F = TypeVar("F", bound=Callable[..., Any])

PATH = "/api/v2/bulk"
LOOK_S = 0.5
STATUSES = ("queued", "running", "completed", "failed", "cancelled")


@click.group("bulk", cls=Parts)
def bulk() -> None:
    """Cancel many runs, or run them again. What is begun goes on at the server, also after a
    restart; `stepwell bulk stop` ends it."""


def _filter_options(function: F) -> F:
    for option in reversed(
        (
            click.option(
                "--status",
                multiple=True,
                type=click.Choice(STATUSES, case_sensitive=False),
                help="Runs of this status; repeat.",
            ),
            click.option("--app", multiple=True, metavar="NAME", help="Of this app; repeat."),
            click.option("--function", multiple=True, metavar="ID", help="Of this one; repeat."),
            click.option("--from", "since", default="", metavar="DATE", help="Only from then on."),
            click.option("--until", default="", metavar="DATE", help="Only before that."),
            click.option(
                "--time",
                "time_field",
                type=click.Choice(["queuedAt", "startedAt", "endedAt"]),
                help="What --from and --until are about. [default: queuedAt]",
            ),
            click.option(
                "--query",
                default="",
                metavar="CEL",
                help="That satisfy this, such as 'event.data.id == 7' or 'error.name == \"E\"'.",
            ),
            click.option(
                "--rate",
                type=click.IntRange(1, 2_000),
                default=50,
                show_default=True,
                help="So many a second, at most.",
            ),
            click.option("--dry-run", is_flag=True, help="Only say how many runs it is about."),
            click.option("--yes", is_flag=True, help="Do not ask first."),
            click.option("--wait", is_flag=True, help="Show how far it has come, until its end."),
        )
    ):
        function = option(function)
    return server_options(function)


@bulk.command("cancel")
@_filter_options
def cancel(url: str, signing_key: str | None, **asked: Any) -> None:
    """Cancel the runs that the options name, after saying how many there are."""
    _begin(server_at(url, signing_key), "cancel", asked)


@bulk.command("rerun")
@_filter_options
def rerun(url: str, signing_key: str | None, **asked: Any) -> None:
    """Run the runs that the options name again, after saying how many there are."""
    _begin(server_at(url, signing_key), "rerun", asked)


@bulk.command("list")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True)
@output_option
@server_options
def list_(limit: int, output: str, url: str, signing_key: str | None) -> None:
    """List what was begun, the newest first."""
    found = listed(server_at(url, signing_key), BulkV2, PATH, limit)
    show(found, output, ("BULK", "ACTION", "STATUS", "DONE", "REFUSED", "OF", "BEGUN", "BY"), _row)


@bulk.command("show")
@click.argument("bulk_id", metavar="ID")
@click.option("--wait", is_flag=True, help="Show how far it has come, until its end.")
@output_option
@server_options
def show_(bulk_id: str, wait: bool, output: str, url: str, signing_key: str | None) -> None:
    """Tell how far the bulk ID has come."""
    server = server_at(url, signing_key)
    one = _at(server, bulk_id)
    if wait:
        one = watched(server, one)
    show([one], output, ("BULK", "ACTION", "STATUS", "DONE", "REFUSED", "OF", "BEGUN", "BY"), _row)


@bulk.command("stop")
@click.argument("bulk_id", metavar="ID")
@server_options
def stop(bulk_id: str, url: str, signing_key: str | None) -> None:
    """Leave alone the runs that the bulk ID has not come to. What was done stays done."""
    path = f"{PATH}/{segment(bulk_id)}/cancel"
    one = server_at(url, signing_key).post(Enveloped[BulkV2], path, {}).data
    click.echo(f"{one.id} is stopped after {one.done} of {_total(one)}")


def _begin(server: ServerApi, action: str, asked: dict[str, Any]) -> None:
    wanted = _filter(server, asked)
    number, count = count_of(server, wanted)
    if asked["dry_run"]:
        click.echo(f"{action} is about {count} runs")
        return
    if not number:
        click.echo("no run is meant")
        return
    if not asked["yes"]:
        click.confirm(f"{action} {count} runs?", abort=True, err=True)
    body = {"action": action, "filter": wanted, "rate": asked["rate"]}
    one = server.post(Enveloped[BulkV2], PATH, body).data
    click.echo(one.id)
    if asked["wait"]:
        watched(server, one)


def count_of(
    server: ServerApi, wanted: dict[str, object], action: str = "rerun"
) -> tuple[int, str]:
    """How many runs a filter is about (or events, to replay): as a number, and in words."""
    asked = {"filter": wanted, "action": action}
    found = server.post(Enveloped[BulkCountV2], f"{PATH}/count", asked).data
    return found.count, f"{found.count}{' or more' if found.more else ''}"


def _filter(server: ServerApi, asked: dict[str, Any]) -> dict[str, object]:
    apps = list(asked["app"])
    if asked["function"] and not apps:
        of = {one.slug: one.app.name for one in functions_of(server, "")}
        apps = sorted({of[slug] for slug in asked["function"] if slug in of})
        unknown = [slug for slug in asked["function"] if slug not in of]
        if unknown:
            raise click.ClickException(f"there is no function {unknown[0]}: name its app (--app)")
    given = {
        "status": [status.upper() for status in asked["status"]],
        "appId": apps,
        "functionId": list(asked["function"]),
        "from": asked["since"],
        "until": asked["until"],
        "timeField": asked["time_field"],
        "query": asked["query"],
    }
    return {key: value for key, value in given.items() if value}


def _at(server: ServerApi, bulk_id: str) -> BulkV2:
    return server.get(Enveloped[BulkV2], f"{PATH}/{segment(bulk_id)}").data


def watched(server: ServerApi, one: BulkV2) -> BulkV2:
    """Show the progress, on standard error, until the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console(stderr=True)) as progress:
        task = progress.add_task(one.action.value, total=one.total)
        while True:
            progress.update(task, completed=one.done + one.refused)
            if one.status is not BulkStatusV2.RUNNING:
                break
            time.sleep(LOOK_S)
            one = _at(server, one.id)
    click.echo(f"{one.done} done, {one.refused} refused", err=True)
    return one


def _total(one: BulkV2) -> str:
    return f"{one.total}{' or more' if one.more else ''}"


def _row(one: BulkV2) -> tuple[str, ...]:
    counts = (str(one.done), str(one.refused), _total(one))
    begun = moment(one.created_at)
    return one.id, one.action.value, one.status.value, *counts, begun, one.created_by
