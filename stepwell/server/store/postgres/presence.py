"""Which processes have the database, and whether each is alive, by the database's clock: the only
place that writes and judges their rows.

A process renews its row from a thread and a connection of its own, so that neither a busy loop nor
a long batch makes it look dead. Every batch locks the row it lives by: whoever takes a process for
dead removes the row first, so nothing that one had begun can be committed after. Everybody looks
for the dead, and takes back what they had leased.

One of the living leads: it does what one is enough for. Another takes its place only when its row
is gone, so what it had begun to write by then is not written.
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from stepwell.server.store.port import Conflict, StoreError, Unavailable
from stepwell.server.store.postgres.connection import SQL, Connection, connect
from stepwell.server.store.postgres.failure import in_our_words

ALIVE_S = 10
"""So long, in seconds, a process that renews its row no more is taken for alive."""
RENEW_S = 2.5
LOOK_S = 0.25
"""So often, in seconds, whoever waits for the database looks whether it is free."""
STILL_S = 15
"""So long, in seconds, whoever begins waits for a process that stands still in a batch."""
SKEW_S = 5
"""So far, in seconds, the clock of a process may be from the database's."""

log = logging.getLogger("stepwell.postgres")


class _Found(NamedTuple):
    """Who else has the database: until when each is taken for alive, whether one is, and which of
    those shares it with nobody."""

    others: dict[str, datetime]
    is_alive: bool
    alone: str


class Presence:
    """This process's row."""

    def __init__(self, url: str, name: str, node: str) -> None:
        """`name` is what the database is called in messages, `node` is this process."""
        self._url = url
        self._name = name
        self._node = node
        self._label = f"{socket.gethostname()}, process {os.getpid()}"
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._leads_until_s = 0.0
        self.is_alone = False
        """Whether no other process had the database when this one said last that it lives."""
        self.serves = frozenset[str]()
        """What workers at this process bring, for the others to know."""
        self.served = frozenset[str]()
        """What those at the others bring, as they said last."""
        self._told_skew = False
        self._doubted: deque[tuple[str, str, str]] = deque()

    @property
    def leads(self) -> bool:
        """Whether this process does what one is enough for. It cannot be sure for longer than
        others would wait."""
        return time.monotonic() < self._leads_until_s

    def arrive(self, connection: Connection) -> bool:
        """Begin to use the database. Whether whoever had it before had let go of it, or has it
        still. Where nobody has, what was leased is free.

        Raises `Unavailable` while a process of an older version has it, which shares it with
        nobody.
        """
        if self._thread is not None:
            return True
        first: dict[str, datetime] = {}
        while (found := self._take_in_time(connection)).alone:
            # Whoever renews its row while we look is alive; whoever was killed does not.
            if any(until > first.setdefault(node, until) for node, until in found.others.items()):
                raise Unavailable(
                    f"{self._name} is in use by a server of an older version ({found.alone}) that"
                    " shares it with no other; stop that one first"
                )
            time.sleep(LOOK_S)
        self._look_at_clock(connection)
        self._say_alive(connection)
        self._thread = threading.Thread(target=self._renew, name="stepwell-alive", daemon=True)
        self._thread.start()
        return found.is_alive or not found.others

    def _take_in_time(self, connection: Connection) -> _Found:
        """Take it, and wait for a process that stands still in the middle of a batch: the database
        ends that before long."""
        until_s = time.monotonic() + STILL_S
        while True:
            try:
                return self._take(connection)
            except Conflict:
                if time.monotonic() > until_s:
                    raise
                time.sleep(LOOK_S)

    def _take(self, connection: Connection) -> _Found:
        with in_our_words(self._name), connection.transaction():
            connection.execute(SQL["version_locked"])
            rows = connection.execute(SQL["nodes"]).fetchall()
            found = _Found(
                {node: until for node, _, until, _, _ in rows},
                any(is_alive for *_, is_alive, _ in rows),
                ", ".join(label for _, label, _, alive, shares in rows if alive and not shares),
            )
            if not found.alone:
                if not found.is_alive:
                    connection.execute(SQL["drop_nodes"], (list(found.others),))
                    connection.execute(SQL["free_leases"])
                connection.execute(SQL["add_node"], (self._node, self._label, ALIVE_S))
        return found

    # -- as long as it lives --------------------------------------------------------------------

    def _renew(self) -> None:
        connection: Connection | None = None
        while not self._over.wait(RENEW_S):
            try:
                with in_our_words(self._name):
                    if connection is None or connection.closed:
                        connection = connect(self._url)
                    self._say_alive(connection)
                    self._bury_the_dead(connection)
                    self._look_at_clock(connection)
            except StoreError as error:
                log.warning("could not say that this server is alive: %s", error)
        if connection is not None:
            connection.close()

    def _say_alive(self, connection: Connection) -> None:
        asked_s = time.monotonic()
        with in_our_words(self._name):
            serves = sorted(self.serves)
            renewed = connection.execute(SQL["renew_node"], (ALIVE_S, serves, self._node))
            if not renewed.rowcount:
                self._leads_until_s = 0.0
                log.warning(
                    "this server was taken for dead, and what it was doing given to others: it did"
                    " not reach %s for %d seconds, or stood still; it goes on",
                    self._name,
                    ALIVE_S,
                )
                connection.execute(SQL["add_node"], (self._node, self._label, ALIVE_S))
            leads = connection.execute(SQL["lead"], {"node": self._node}).fetchone()
            others = connection.execute(SQL["others"], (self._node,)).fetchall()
        self.is_alone = not others
        self.served = frozenset(checksum for (brought,) in others for checksum in brought)
        self._leads_until_s = asked_s + ALIVE_S if leads is not None else 0.0

    def _bury_the_dead(self, connection: Connection) -> None:
        for (label,) in connection.execute(SQL["drop_dead_nodes"]).fetchall():
            log.warning("a server is gone without a word (%s): others do its work", label)
        connection.execute(SQL["lose_leases"])
        if doubted := list(self._doubted):
            connection.execute(
                SQL["lose_doubted"], [list(column) for column in zip(*doubted, strict=True)]
            )
            for _ in doubted:
                self._doubted.popleft()

    def doubt(self, leases: Iterable[tuple[str, str, str]]) -> None:
        """These leases (run, key and id) are nobody's if they stand: their commit was cut off."""
        self._doubted.extend(leases)

    def _look_at_clock(self, connection: Connection) -> None:
        with in_our_words(self._name):
            row = connection.execute(SQL["now_ms"]).fetchone()
        off_s = 0.0 if row is None else time.time() - row[0] / 1_000
        if abs(off_s) <= SKEW_S:
            self._told_skew = False
        elif not self._told_skew:
            self._told_skew = True
            log.warning(
                "the clock of this machine is %.0f s off that of %s: set it right (NTP), or what is"
                " due comes so much too early or too late",
                off_s,
                self._name,
            )

    # -- the end --------------------------------------------------------------------------------

    def leave(self, connection: Connection) -> None:
        """Let go of the database, and of what was leased."""
        self._over.set()
        if self._thread is None:
            return
        self._thread.join()
        self._leads_until_s = 0.0
        with in_our_words(self._name), connection.transaction():
            connection.execute(SQL["drop_nodes"], ([self._node],))
            connection.execute(SQL["free_leases_of"], (self._node,))
