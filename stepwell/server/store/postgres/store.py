"""The store on PostgreSQL: rows decide, and nothing that others may change is remembered between
two batches, however many processes there are. Decisions behind this: docs/decisions/024 and 025.

What is loaded is locked until the batch is written or given up; so is what may not be there yet
(`locks.py`). Whatever is remembered only says where to look first.
"""

import logging
import secrets
from collections.abc import Callable, Container
from typing import Literal

from stepwell.server.engine.message.need import NOTHING, Need
from stepwell.server.engine.name.lane import is_lane
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.flow_state import KINDS
from stepwell.server.engine.state.view import View
from stepwell.server.store.port import EVERY_NAME, CallState, StoreError, Unavailable
from stepwell.server.store.postgres.cluster import PostgresCluster
from stepwell.server.store.postgres.connection import SQL
from stepwell.server.store.postgres.failure import in_our_words
from stepwell.server.store.postgres.loading import Loader
from stepwell.server.store.postgres.migrating import migrate
from stepwell.server.store.postgres.pool import LIMITS, Pool, PoolLimits
from stepwell.server.store.postgres.presence import Presence
from stepwell.server.store.postgres.reader import PostgresReader
from stepwell.server.store.postgres.session import Session, Slot
from stepwell.server.store.postgres.waiting import CAN_WAIT, on_loop
from stepwell.server.store.postgres.writing import Writer
from stepwell.server.store.row import app_of, function_of, key_of

SECRETS_MAX = 10_000
"""So many requests of the server's own are remembered."""

log = logging.getLogger("stepwell.postgres")


class PostgresStore:
    """A store in a database that other processes may use at the same time."""

    commit_blocks = True
    is_shared = True

    def __init__(
        self,
        url: str,
        *,
        durability: Literal["full", "relaxed"] = "full",
        limits: PoolLimits = LIMITS,
    ) -> None:
        """`url` of the database, as `postgresql://user:password@host:port/name`; `durability`,
        whether what is acknowledged survives a database that stops without warning (`full`), or
        perhaps not its last second (`relaxed`); `limits` of the connections that read. Besides
        those the store has two.

        Raises `Unavailable` where it cannot be reached.
        """
        self._url = url
        self._limits = limits
        self.node = secrets.token_hex(8)
        """The name under which this process has the database, and grants leases."""
        self._session = Session(url, self.node, is_synced=durability == "full")
        self._presence = Presence(url, self._session.name, self.node)
        self._secrets: dict[Slot, bytes] = {}
        self._states: dict[str, CallState] = {}
        self._assumed: frozenset[str] = frozenset()
        self._loader = Loader(self._session, self._secrets)
        self._writer = Writer(self._session, self.node)
        self.cluster = PostgresCluster(
            url, self._session.name, self.node, self._presence, self._loader.lanes
        )
        self._ended_in_order = True
        self._closed = False

    @property
    def name(self) -> str:
        """What the database is called in messages."""
        return self._session.name

    @property
    def waited(self) -> Container[str]:
        """Others may begin to wait at any time: whoever wants to know must look."""
        return EVERY_NAME

    def migrate(self) -> None:
        """Bring the database to the schema of this version, and begin to use it.

        Raises `Corrupt` if it is newer, `Unavailable` while a process has it that shares it with
        nobody.
        """
        self._session.rollback()
        migrate(self._session.connection, self.name)
        self._ended_in_order &= self._presence.arrive(self._session.connection)
        with in_our_words(self.name):
            self._loader.begin_lanes()
            self._session.rollback()
            self.cluster.begin(self._session.connection)

    @property
    def ended_in_order(self) -> bool:
        """Whether whoever had the database before let go of it. Known after `migrate`."""
        return self._ended_in_order

    def catalog(self) -> Catalog:
        """Every registered app and function."""
        with in_our_words(self.name):
            db = self._session.connection
            row = db.execute(SQL["catalog_is"]).fetchone()
            self._session.catalog = 0 if row is None else row[0]
            apps = [app_of(row) for row in db.execute(SQL["apps"])]
            functions = [function_of(row) for row in db.execute(SQL["functions"])]
            kinds = (db.execute(SQL["flow_keys"], (int(kind),)) for kind in KINDS)
            flow = [key_of(row) for rows in kinds for row in rows]
        return Catalog.of(apps, functions, flow)

    def newest_place(self) -> int:
        """The place of the step that was saved last."""
        with in_our_words(self.name):
            row = self._session.connection.execute(SQL["newest_place"]).fetchone()
        return 0 if row is None or row[0] is None else row[0]

    def on_loop(self, do: Callable[[], None], done: Callable[[BaseException | None], None]) -> bool:
        """Have one of the verbs below wait on the running loop, where there is a connection."""
        if not (CAN_WAIT and self._session.is_connected):
            return False
        on_loop(do, done)
        return True

    def load(self, need: Need, view: View) -> None:
        """Fill the view with the rows of the need, and lock them."""
        if need is not NOTHING:
            with in_our_words(self.name):
                self._loader.load(need, view)

    def assume(self, need: Need, view: View) -> bool:
        """That nobody waits for events of a name is nearly always so."""
        if not self._loader.waited.may_assume(need):
            return False
        for name in need.names:
            view.see_name(name, waited=False)
        self._session.assumed = self._assumed = need.names
        return True

    def write(self, changes: Changes) -> None:
        """Put the rows into the transaction: they are sent together with its end."""
        with in_our_words(self.name):
            self._writer.write(changes)

    def commit(self) -> None:
        """Make the written rows durable. Leases that were perhaps granted, because nobody can tell,
        are lost soon: whoever asked for them was not told."""
        try:
            self._session.commit()
        except Unavailable:
            self._presence.doubt(self._writer.granted)
            raise
        self._assumed = frozenset()
        told = self._writer.told
        self._states = {} if told is None else told.states()

    def confirm(self) -> None:
        """Let go of what was loaded; that it is there, the loads have shown."""
        if self._session.assumed:
            with in_our_words(self.name):
                self._session.make_sure()
                self._session.send()
        self._assumed = frozenset()
        self._session.rollback()

    def rollback(self) -> None:
        """Forget what was written since the last commit. Of what was assumed for it, nobody knows
        whether that was the reason: it is looked for the next time."""
        if self._assumed:
            self._loader.waited.seen(self._assumed)
            self._assumed = frozenset()
        self._session.rollback()

    def keep(self, changes: Changes) -> None:
        """Remember which lanes have something to do, and what is never written."""
        lanes, bound = self._loader.lanes, self._loader.bound
        bound.keep(changes)
        for slot, item in changes.items.items():
            if item is not None and item.secret:
                self._remember(slot, item.secret)
            else:
                self._secrets.pop(slot, None)
            if item is not None and is_lane(item.queue):
                lanes.added(item.queue, item.due_ms)
        if changes.ended and self._secrets:
            for slot in [slot for slot in self._secrets if slot[0] in changes.ended]:
                del self._secrets[slot]
        lanes.keep(changes)
        self.cluster.committed(changes)

    def state_of(self, lease_id: str) -> CallState | None:
        """What the call of a lease that the last commit granted is told."""
        return self._states.pop(lease_id, None)

    def _remember(self, slot: Slot, secret: bytes) -> None:
        """What nobody asks for any more, because others did it, is forgotten in time."""
        self._secrets[slot] = secret
        if len(self._secrets) > SECRETS_MAX:
            del self._secrets[next(iter(self._secrets))]

    def clock_moved(self, by_ms: int, now_ms: int) -> None:
        """The leases this process granted keep their distance from now. Items keep their times,
        which other processes go by, too."""
        with in_our_words(self.name):
            self._session.connection.execute(SQL["move_leases"], (by_ms, self.node))
        self._loader.lanes.clock_moved()
        self._loader.bound.forget()

    def reader(self) -> PostgresReader:
        """A read side of this store, safe from any thread."""
        return PostgresReader(Pool(self._url, self._limits))

    def tidy(self) -> None:
        """Nothing to do: the database does it itself."""

    def close(self) -> None:
        """Give back what this process has leased, and let go of the database. Closing twice does
        nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self.cluster.close()
            self._session.rollback()
            self._presence.leave(self._session.connection)
        except StoreError:
            # The next process finds out that this one is gone.
            log.warning("could not let go of %s: it is away", self.name)
        finally:
            self._session.close()
