"""A durable endpoint began to answer a request, and says so: its run is under way already.

The run's first call is one that nobody made: it is held by the endpoint under a lease of the usual
kind, whose id is the run's. What the endpoint reports is decided as any call's reply is; if it
falls silent, the lease runs out and the endpoint is called.
"""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.input import Done, EndpointCalled, Verdict
from stepwell.server.engine.name.lease_id import since
from stepwell.server.engine.row.run import MAIN, Item, ItemKind, Lease, Run


def endpoint_called(draft: Draft, given: EndpointCalled) -> Done:
    """Make the run, and lease its first call to whoever answers the request."""
    known = draft.run(given.run_id)
    if known is not None:
        again = known.event_ids == (given.event.id,)
        return Done(Verdict.ALREADY if again else Verdict.REFUSED, known.id, "Run already exists")
    listing = draft.view.catalog.listing(given.function)
    if listing is None:
        return Done(Verdict.GONE, given.run_id, f'there is no endpoint "{given.function}"')
    draft.accept(given.event)
    until_ms = draft.now.ms + given.lease_ms
    run = Run(
        id=given.run_id,
        function=listing.slug,
        app=listing.app,
        event_ids=(given.event.id,),
        queued_ms=draft.now.ms,
    )
    # Leases are in memory: a server that is started anew leaves the endpoint as much time.
    item = Item(
        run_id=run.id,
        key=MAIN,
        kind=ItemKind.CALL,
        due_ms=until_ms,
        queue=listing.app,
        detail=since(draft.now, index=draft.starts),
    )
    draft.start(run, item)
    draft.add(
        fact.ItemLeased(
            Lease(id=run.id, run_id=run.id, key=MAIN, granted_ms=draft.now.ms, until_ms=until_ms)
        )
    )
    return Done(Verdict.APPLIED, run.id)
