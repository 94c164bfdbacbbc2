"""`stepwell keys`: keys for people and programs that may do less than the signing key."""

import click
import msgspec

from stepwell.cli.output import ALL, listed, output_option, show
from stepwell.cli.parts import Parts
from stepwell.cli.server_api import Enveloped, segment, server_at, server_options
from stepwell.server.query.v2.access import KeyMadeV2, KeyV2, RoleV2


@click.group("keys", cls=Parts)
def keys() -> None:
    """Make, list and revoke API keys. It takes the signing key, or a key of the role admin."""


@keys.command("create")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in RoleV2]),
    default=RoleV2.READ.value,
    show_default=True,
    help="read: look at everything but keys. operate: change what runs, too. admin: apps, keys.",
)
@server_options
def create(name: str, role: str, url: str, signing_key: str | None) -> None:
    """Make a key called NAME and print it, once: the server keeps no more than its hash."""
    body = {"name": name, "role": role}
    made = server_at(url, signing_key).post(Enveloped[KeyMadeV2], "/api/v2/keys", body).data
    click.echo(made.key)
    click.echo(f"key {made.id} may {made.role}; it is shown this once", err=True)


@keys.command("list")
@output_option
@server_options
def list_(output: str, url: str, signing_key: str | None) -> None:
    """List keys, the newest first, also those that were revoked."""
    found = listed(server_at(url, signing_key), KeyV2, "/api/v2/keys", ALL)
    if output != "table" or found:
        show(found, output, ("KEY", "ROLE", "NAME", "MADE", "BY", "REVOKED"), _row)
    else:
        click.echo("no keys")


def _row(key: KeyV2) -> tuple[str, ...]:
    revoked = "" if key.revoked_at is msgspec.UNSET else key.revoked_at[:10]
    return key.id, key.role, key.name, key.created_at[:10], key.created_by, revoked


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@server_options
def revoke(key_id: str, url: str, signing_key: str | None) -> None:
    """Have the key ID open nothing any more, from the next request on."""
    path = f"/api/v2/keys/{segment(key_id)}"
    gone = server_at(url, signing_key).delete(Enveloped[KeyV2], path).data
    click.echo(f"key {gone.id} ({gone.name}) opens nothing any more")
