"""The driver port through workers that are connected to this node."""

import asyncio

from stepwell.server.drivers.port import Lost, Save, Settled
from stepwell.server.engine.message.input import Job, Outcome
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.gateway.call import Place, executor_request
from stepwell.server.gateway.flight import Ending
from stepwell.server.gateway.gateway import Gateway
from stepwell.server.store.port import CallState
from stepwell.wire.function_config import CODE_KEPT


class ConnectDriver:
    """Reaches the functions of apps whose workers are connected."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def call(
        self, job: Job, state: CallState, listing: Listing, save: Save
    ) -> Outcome | Settled | Lost:
        """Have a worker call the function; see `Driver.call`.

        Its answer, and the steps it saves on the way, reach the ledger through the gateway, which
        acknowledges them after their commit; so there is nothing left to report here.
        """
        gateway = self._gateway
        code = job.run.code if listing.config.code.on_change in CODE_KEPT else ""
        flight = gateway.begin(job.lease.id, Place(job.run.id, job.item.key), code)
        try:
            gateway.flights.send(flight, executor_request(job, state, listing, flight.lease_id))
            ending = await flight.ended
        except asyncio.CancelledError:
            gateway.forget(flight)
            raise
        except Exception:
            gateway.forget(flight)
            raise
        match ending:
            case Ending.STORED:
                return Settled()
            case Ending.LOST:
                return Lost(begun=True)
            case Ending.NOT_TAKEN:
                return Lost(begun=False)

    def lets_finish(self, lease_id: str) -> bool:
        """Of an official worker: it takes a refused lease as an order to cut its code off. Ours is
        told at once, and what no worker has is not to begin."""
        flight = self._gateway.flights.of(lease_id)
        session = None if flight is None else flight.session
        return session is not None and not session.is_ours
