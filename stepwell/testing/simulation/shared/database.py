"""A database that several servers share: rows, locks, who is alive, and messages. The only place
that says what of it survives what."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from stepwell.server.engine.row.run import Item, Lease
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.disk import Disk, Hanging, put
from stepwell.server.store.memory import MemoryReader
from stepwell.server.store.port import Hint, Unavailable
from stepwell.server.store.postgres.presence import ALIVE_S
from stepwell.server.store.postgres.session import Seen
from stepwell.server.store.postgres.writing import changes_catalog
from stepwell.testing.simulation.faults import Fault, Plan
from stepwell.testing.simulation.shared.locks import Locks, Name

IDLE_S = 10.0
"""A transaction in which nothing is asked for so long is ended by the database."""
HINT_S = (0.0, 0.001, 0.02, 1.0)


@dataclass(slots=True)
class Transaction:
    """What one server has begun. `is_alive` says whether the server was known to live then, and
    `catalog` how often apps and functions had changed."""

    number: int
    node: str
    is_alive: bool
    catalog: int
    touched_s: float
    seen: Seen = field(default_factory=Seen)
    seen_runs: set[str] = field(default_factory=set[str])
    is_cut: bool = False


class Database:
    """Committed rows, and what servers have begun."""

    def __init__(
        self, plan: Plan, freed: Callable[[Changes], None], now_s: Callable[[], float]
    ) -> None:
        """`plan` says which messages are lost; `freed` hears of leases that end without a batch;
        `now_s` is the database's clock."""
        self.plan = plan
        self._now_s = now_s
        self.disk = Disk()
        self.leases = Hanging[Lease]()
        self.catalog = 0
        self.nodes: dict[str, float] = {}
        self.leader = ""
        self.is_down = False
        self.before: dict[tuple[str, str], Item] = {}
        """Items as they were before the last commit: who began to look then may find them so."""
        self._freed = freed
        self._nodes_of: dict[tuple[str, str], str] = {}
        self._locks = Locks()
        self._begun: dict[int, Transaction] = {}
        self._listeners: dict[str, Callable[[Hint], None]] = {}
        self._numbers = 0

    @property
    def now_s(self) -> float:
        """The database's clock."""
        return self._now_s()

    def reader(self) -> MemoryReader:
        """Looks at what is committed, whatever happens to the servers."""
        return MemoryReader(self.disk, self.leases)

    # -- transactions ---------------------------------------------------------------------------

    def begin(self, node: str) -> Transaction:
        """Begin one. Whoever takes this server for dead waits until it is over."""
        self._numbers += 1
        begun = Transaction(self._numbers, node, node in self.nodes, self.catalog, self.now_s)
        self._begun[begun.number] = begun
        if begun.is_alive:
            self._locks.take(begun.number, ("node", node), alone=False)
        return begun

    def lock(self, begun: Transaction, name: Name, *, alone: bool = True) -> bool:
        """Lock something for a transaction, or begin to wait for it."""
        self._end_the_idle(name)
        return self._locks.take(begun.number, name, alone=alone)

    def lock_free(self, begun: Transaction, name: Name) -> bool:
        """Lock something, unless anybody else has it."""
        free = self._locks.is_free(begun.number, name)
        return free and self._locks.take(begun.number, name)

    def end(self, begun: Transaction) -> None:
        """It is over, in whatever way."""
        self._locks.drop(begun.number)
        self._begun.pop(begun.number, None)

    def cut(self, begun: Transaction) -> None:
        """Its connection is lost, and with it what it had begun."""
        begun.is_cut = True
        self.end(begun)

    def _end_the_idle(self, name: Name) -> None:
        for number in self._locks.holders(name):
            held = self._begun[number]
            if self.now_s - held.touched_s > IDLE_S:
                self.cut(held)

    def stop(self) -> None:
        """The database stops: nobody has a connection any more."""
        self.is_down = True
        for begun in list(self._begun.values()):
            self.cut(begun)

    def check(self) -> None:
        """Raises `Unavailable` while it is away."""
        if self.is_down:
            raise Unavailable("the database is away")

    # -- rows -----------------------------------------------------------------------------------

    def put(self, changes: Changes, node: str) -> None:
        """Make the changes of a batch true. What only the process may know stays with it."""
        kept = {slot: _without_secret(item) for slot, item in changes.items.items()}
        known = {slot: self.disk.items.get(slot) for slot in changes.items}
        self.before = {slot: item for slot, item in known.items() if item is not None}
        items, changes.items = changes.items, kept
        try:
            put(self.disk, changes)
        finally:
            changes.items = items
        for slot, lease in changes.leases.items():
            was = self.leases.get(slot)
            self.leases.put(slot, lease)
            if lease is not None and (was is None or was.until_ms != lease.until_ms):
                self._nodes_of[slot] = node
        for run_id in changes.ended.union(changes.forgotten_runs):
            self.leases.drop(run_id)
        self.catalog += changes_catalog(changes)

    # -- who is alive ---------------------------------------------------------------------------

    def arrive(self, node: str) -> bool:
        """A server begins. Whether whoever had the database let go of it, or has it still."""
        others = bool(self.nodes)
        living = any(until > self.now_s for until in self.nodes.values())
        if not living:
            self.nodes.clear()
            self._free(lambda slot: True)
        self.nodes[node] = self.now_s + ALIVE_S
        return living or not others

    def say_alive(self, node: str) -> bool:
        """A server says that it lives; whether it leads."""
        self.nodes[node] = self.now_s + ALIVE_S
        if self.leader not in self.nodes:
            self.leader = node
        self._bury()
        return self.leader == node

    def _bury(self) -> None:
        for node, until in list(self.nodes.items()):
            self._end_the_idle(("node", node))
            if until < self.now_s and not self._locks.holders(("node", node)):
                del self.nodes[node]
        for lease in list(self.leases):
            slot = lease.run_id, lease.key
            if lease.until_ms and self._nodes_of.get(slot) not in self.nodes:
                self.lose(slot)

    def lose(self, slot: tuple[str, str], lease_id: str = "") -> None:
        """A lease is over: whoever claims next takes it back."""
        lease = self.leases.get(slot)
        if lease is not None and lease_id in ("", lease.id):
            self.leases.put(slot, msgspec.structs.replace(lease, until_ms=0))

    def leave(self, node: str) -> None:
        """A server ends, and gives back what it had."""
        self.nodes.pop(node, None)
        self._listeners.pop(node, None)
        self._free(lambda slot: self._nodes_of.get(slot) == node)

    def _free(self, wanted: Callable[[tuple[str, str]], bool]) -> None:
        freed = Changes()
        for lease in list(self.leases):
            slot = lease.run_id, lease.key
            if wanted(slot):
                self.leases.put(slot, None)
                freed.leases[slot] = None
        self._freed(freed)

    # -- messages -------------------------------------------------------------------------------

    def listen(self, node: str, hear: Callable[[Hint], None]) -> None:
        """Tell a server what others say."""
        self._listeners[node] = hear

    def forget(self, node: str) -> None:
        """Nobody hears there any more."""
        self._listeners.pop(node, None)

    def tell(self, node: str, hint: Hint) -> None:
        """Tell the others, perhaps, and perhaps again later."""
        loop = asyncio.get_running_loop()
        for number, other in enumerate(sorted(self._listeners)):
            if other == node or self.plan.strikes(Fault.LOST_HINT):
                continue
            again = self.plan.strikes(Fault.REPEATED_HINT)
            for delay_s in HINT_S[number % 3 : number % 3 + 1 + again]:
                loop.call_later(delay_s, self._deliver, other, hint)

    def _deliver(self, node: str, hint: Hint) -> None:
        hear = self._listeners.get(node)
        if hear is not None:
            hear(hint)


def _without_secret(item: Item | None) -> Item | None:
    return msgspec.structs.replace(item, secret=b"") if item is not None and item.secret else item
