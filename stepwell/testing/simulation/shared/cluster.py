"""What servers on one database in memory tell each other: lost and repeated as a plan says."""

from collections.abc import Callable

from stepwell.server.engine.name.lane import is_lane
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.lanes import LaneIndex
from stepwell.server.store.port import Hint
from stepwell.testing.simulation.faults import Fault
from stepwell.testing.simulation.shared.database import Database


class SharedCluster:
    """What servers tell each other, as one of them sees it."""

    secret = bytes(32)

    def __init__(self, database: Database, node: str, lanes: LaneIndex) -> None:
        self._database = database
        self._node = node
        self._lanes = lanes
        self.leads_until_s = 0.0
        self.served = frozenset[str]()

    def serve(self, checksums: frozenset[str]) -> None:
        """Servers in the simulation have no workers."""

    @property
    def leads(self) -> bool:
        """Whether it is the one that does what one is enough for; sometimes several think so."""
        if self._database.plan.strikes(Fault.TWO_LEADERS):
            return True
        return self._database.now_s < self.leads_until_s

    def listen(self, hear: Callable[[Hint], None]) -> None:
        """Hear what others tell."""
        self._database.listen(self._node, hear)

    def tell(self, topic: str, subject: str) -> None:
        """Tell the others of something."""
        self._database.tell(self._node, Hint(told=((topic, subject),)))

    def committed(self, changes: Changes) -> None:
        """Tell the others what there is to do after a commit."""
        items = [item for item in changes.items.values() if item is not None]
        if items or changes.freed:
            lanes = tuple((i.queue, i.due_ms) for i in items if is_lane(i.queue))
            self._database.tell(self._node, Hint(True, lanes, tuple(changes.freed)))

    def heard(self, hint: Hint) -> None:
        """Remember what others told of lanes and keys."""
        for queue, due_ms in hint.lanes:
            self._lanes.added(queue, due_ms)
        for key in hint.freed:
            self._lanes.rouse(key, 1)
