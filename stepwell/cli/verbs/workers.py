"""`stepwell workers`: which workers are connected."""

import click

from stepwell.cli.output import ALL, listed, moment, output_option, show
from stepwell.cli.server_api import server_at, server_options
from stepwell.server.query.v2.worker import WorkerV2


@click.command("workers")
@output_option
@server_options
def workers(output: str, url: str, signing_key: str | None) -> None:
    """List the workers that are connected, with what they serve and how busy they are."""
    found = listed(server_at(url, signing_key), WorkerV2, "/api/v2/workers", ALL)
    show(found, output, ("WORKER", "STATUS", "APPS", "BUSY", "SDK", "CONNECTED", "HEARD"), _row)


def _row(one: WorkerV2) -> tuple[str, ...]:
    apps = ", ".join(f"{app.name} {app.version}".strip() for app in one.apps)
    return (
        one.instance_id,
        one.status.value,
        apps,
        f"{one.in_use} of {one.capacity}",
        f"{one.sdk_language} {one.sdk_version}".strip(),
        moment(one.connected_at),
        moment(one.last_heartbeat_at),
    )
