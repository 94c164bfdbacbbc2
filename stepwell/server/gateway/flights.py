"""Every request in the gateway's care: which worker has it, and which waits for one.

The only place that gives requests to sessions.
"""

from collections import Counter
from collections.abc import Callable

from stepwell.server.gateway.call import Place
from stepwell.server.gateway.flight import Flight
from stepwell.server.gateway.sessions import Session, Sessions
from stepwell.wire.connect_word import ExecutorRequest


class Flights:
    """The requests of one gateway, by their ids."""

    def __init__(
        self,
        sessions: Sessions,
        now_ms: Callable[[], int],
        counts: Counter[str],
    ) -> None:
        self._sessions = sessions
        self._now_ms = now_ms
        self._counts = counts
        self._all: dict[str, Flight] = {}
        self._unplaced: dict[str, Flight] = {}

    def of(self, request_id: str) -> Flight | None:
        """The flight of a request."""
        return self._all.get(request_id)

    def all(self) -> tuple[Flight, ...]:
        """All of them, oldest first."""
        return tuple(self._all.values())

    @property
    def unplaced(self) -> tuple[Flight, ...]:
        """Those that nobody has."""
        return tuple(self._unplaced.values())

    def begin(self, request_id: str, place: Place, *, lease_ms: int, code: str = "") -> Flight:
        """A call is to be made, or is taken over: its flight, with its first lease. It is for a
        worker with this code, if one is named."""
        flight = Flight(request_id, place, now_ms=self._now_ms(), lease_ms=lease_ms, code=code)
        self._all[request_id] = flight
        return flight

    def remove(self, request_id: str) -> Flight | None:
        """A request is no longer in the gateway's care."""
        self._unplaced.pop(request_id, None)
        return self._all.pop(request_id, None)

    def send(self, flight: Flight, request: ExecutorRequest) -> None:
        """Give a request to some worker, now or as soon as one can take it."""
        flight.request = request
        self.place(flight)

    def place(self, flight: Flight) -> None:
        """Give it to whoever can take it now; without one it waits."""
        request = flight.request
        if request is None or flight.ended.done():
            return
        while True:
            session = self._sessions.pick(
                request.app_name, request.function_slug, code=flight.code, tried=flight.tried
            )
            if session is None:
                break
            flight.give_to(session)
            if session.connection.forward(request):
                self._unplaced.pop(flight.request_id, None)
                self._counts["forwarded"] += 1
                return
            flight.leave()
            flight.tried |= {session}
        # Whoever did not take it may take it when asked again.
        flight.tried = frozenset()
        if flight.request_id not in self._unplaced:
            flight.unplaced_ms = self._now_ms()
            self._unplaced[flight.request_id] = flight

    def place_all(self) -> None:
        """Somebody may have room now."""
        for flight in self.unplaced:
            self.place(flight)

    def hand_over(self, flight: Flight, session: Session) -> None:
        """Its worker came back over another connection."""
        flight.give_to(session)
        self._unplaced.pop(flight.request_id, None)
        flight.claimed = True

    def await_claims(self, session: Session, until_ms: int) -> None:
        """A worker is here again: what one of its name held waits that long for a word of it."""
        for flight in self._all.values():
            lost = flight.session is None and flight.claimed
            if lost and flight.holder == session.instance_id:
                flight.shorten(until_ms)

    def orphan(self, session: Session, until_ms: int) -> None:
        """A session is over: what it held waits that long for its worker to come back."""
        for request_id in tuple(session.requests):
            flight = self._all.get(request_id)
            if flight is not None and flight.session is session:
                flight.leave()
                flight.shorten(until_ms)
