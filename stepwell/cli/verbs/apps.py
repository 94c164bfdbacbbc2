"""`stepwell apps`: which apps are registered."""

import click
import msgspec

from stepwell.cli.output import listed, output_option, show
from stepwell.cli.server_api import server_at, server_options
from stepwell.server.query.v2.catalog import AppV2

MOST = 1_000


@click.command("apps")
@click.option("--archived", is_flag=True, help="Those that are registered no longer.")
@output_option
@server_options
def apps(archived: bool, output: str, url: str, signing_key: str | None) -> None:
    """List the registered apps, by name."""
    flag = "true" if archived else ""
    found = listed(server_at(url, signing_key), AppV2, "/api/v2/apps", MOST, archived=flag)
    show(found, output, ("APP", "METHOD", "FUNCTIONS", "SDK", "URL", "ERROR"), _row)


def _row(app: AppV2) -> tuple[str, ...]:
    method = "" if app.method is msgspec.UNSET else app.method.value
    sync = app.latest_sync
    if sync is msgspec.UNSET:
        return app.name, method, str(app.function_count), "", "", ""
    sdk = f"{sync.sdk_language} {sync.sdk_version}".strip()
    return app.name, method, str(app.function_count), sdk, sync.url, sync.error
