"""How the server reaches an app, gathered from those who know: what is registered, what was once,
and whether calls can be made now."""

from collections.abc import Mapping

from stepwell.server.api.deps import ApiDeps
from stepwell.server.query.rest import Reach


def gone_since(deps: ApiDeps) -> Mapping[str, int]:
    """Since when each function is gone that was registered once, by its id."""
    return {row.slug: row.gone_ms for row in deps.reader.gone_functions()}


def reach_of(deps: ApiDeps, app: str, function: str, gone: Mapping[str, int]) -> Reach:
    """How calls of one function stand."""
    catalog = deps.ledger.catalog
    lane = deps.lane(app)
    return Reach(
        app=catalog.apps.get(app),
        served=catalog.listing(function) is not None,
        gone_ms=gone.get(function, 0),
        closed_ms=lane.closed_ms,
        busy=lane.busy if lane.busy >= lane.limit else 0,
        named=deps.named(app),
    )
