"""Which process has the database, and whether it is alive, by the database's clock: the only place
that writes and judges the row of a process.

A process renews its row from a thread and a connection of its own, so that neither a busy loop nor
a long batch makes it look dead. Every batch locks the row it lives by: whoever takes over removes
the row first, so nothing that was begun before can be committed after.
"""

import logging
import os
import socket
import threading
import time
from datetime import datetime
from typing import NamedTuple

from stepwell.server.store.port import StoreError, Unavailable
from stepwell.server.store.postgres.connection import SQL, Connection, connect
from stepwell.server.store.postgres.failure import in_our_words

ALIVE_S = 10
"""So long, in seconds, a process that renews its row no more is taken for alive."""
RENEW_S = 2.5
LOOK_S = 0.25
"""So often, in seconds, whoever waits for the database looks whether it is free."""

log = logging.getLogger("stepwell.postgres")


class _Found(NamedTuple):
    """Who else has the database: until when each is taken for alive, whether one is, and which."""

    others: dict[str, datetime]
    is_alive: bool
    label: str


class Presence:
    """This process's row."""

    def __init__(self, url: str, name: str, node: str) -> None:
        """`name` is what the database is called in messages, `node` is this process."""
        self._url = url
        self._name = name
        self._node = node
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def arrive(self, connection: Connection) -> bool:
        """Take the database for this process. Whether whoever had it before had let go of it. Waits
        for one that may be dead until it is; what it leased is free then.

        Raises `Unavailable` while another process has it and is alive.
        """
        if self._thread is not None:
            return True
        first: dict[str, datetime] = {}
        while (found := self._take(connection)).is_alive:
            # Whoever renews its row while we look is alive; whoever was killed does not.
            if any(until > first.setdefault(node, until) for node, until in found.others.items()):
                raise Unavailable(
                    f"{self._name} is in use by another server ({found.label}); stop it, or use"
                    " another database"
                )
            time.sleep(LOOK_S)
        self._thread = threading.Thread(target=self._renew, name="stepwell-alive", daemon=True)
        self._thread.start()
        return not found.others

    def _take(self, connection: Connection) -> "_Found":
        """Take the database unless another process may be alive."""
        label = f"{socket.gethostname()}, process {os.getpid()}"
        with in_our_words(self._name), connection.transaction():
            connection.execute(SQL["version_locked"])
            rows = connection.execute(SQL["nodes"]).fetchall()
            found = _Found(
                {node: until for node, _, until, _ in rows},
                any(is_alive for *_, is_alive in rows),
                ", ".join(label for _, label, _, is_alive in rows if is_alive),
            )
            if not found.is_alive:
                dead = list(found.others)
                connection.execute(SQL["drop_nodes"], (dead,))
                connection.execute(SQL["drop_leases_of_nodes"], (dead,))
                connection.execute(SQL["add_node"], (self._node, label, ALIVE_S))
        return found

    def _renew(self) -> None:
        connection: Connection | None = None
        while not self._over.wait(RENEW_S):
            try:
                with in_our_words(self._name):
                    if connection is None or connection.closed:
                        connection = connect(self._url)
                    connection.execute(SQL["renew_node"], (ALIVE_S, self._node))
            except StoreError as error:
                log.warning("could not say that this server is alive: %s", error)
        if connection is not None:
            connection.close()

    def leave(self, connection: Connection) -> None:
        """Let go of the database, and of what was leased."""
        self._over.set()
        if self._thread is None:
            return
        self._thread.join()
        with in_our_words(self._name), connection.transaction():
            connection.execute(SQL["drop_nodes"], ([self._node],))
            connection.execute(SQL["drop_leases_of_nodes"], ([self._node],))

    def abandon(self) -> None:
        """Renew the row no more, and leave it there."""
        self._over.set()
