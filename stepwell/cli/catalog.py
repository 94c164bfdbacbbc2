"""Which functions a server has, and where one is that an operator named."""

from difflib import get_close_matches

import click

from stepwell.cli.output import listed
from stepwell.cli.server_api import ServerApi, segment
from stepwell.server.query.v2.catalog import AppV2, FunctionV2

MOST = 10_000


def functions_of(server: ServerApi, app: str) -> list[FunctionV2]:
    """The functions of one app, or of all where none is named."""
    names = [app] if app else [one.name for one in listed(server, AppV2, "/api/v2/apps", MOST)]
    return [
        one
        for name in names
        for one in listed(server, FunctionV2, f"/api/v2/apps/{segment(name)}/functions", MOST)
    ]


def known_function(server: ServerApi, slug: str) -> FunctionV2:
    """A function by its id, such as shop-order. Exits where there is none."""
    found = {one.slug: one for one in functions_of(server, "")}
    if slug not in found:
        near = get_close_matches(slug, found, 3, cutoff=0.0)
        hint = f": did you mean {', '.join(near)}?" if near else ": no app has registered any yet"
        raise click.ClickException(f"there is no function {slug}{hint}")
    return found[slug]


def function_path(one: FunctionV2) -> str:
    """Where a function is in the API."""
    return f"/api/v2/apps/{segment(one.app.name)}/functions/{segment(one.slug)}"
