"""What processes on one database tell each other after their commits (LISTEN and NOTIFY), and what
they have in common. The only place that sends and hears messages of the database.

Nothing depends on a message: whoever hears none finds out by looking, only later. They go out on a
connection of their own, never within a batch, and not more often than every few milliseconds.
"""

import logging
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from stepwell.server.engine.name.lane import is_lane
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.lanes import LaneIndex
from stepwell.server.store.port import Hint, StoreError
from stepwell.server.store.postgres.connection import SQL, Connection, connect
from stepwell.server.store.postgres.failure import in_our_words
from stepwell.server.store.postgres.presence import Presence

SECRET_BYTES = 32
SAID_MAX = 100
"""So many lanes, keys and announcements one message names at most: PostgreSQL takes 8,000 bytes."""
WAITING_MAX = 2_000
"""So many wait to be told; what comes then is not told."""
BYTES_MAX = 7_900
TOLD_BYTES_MAX = 7_700
BETWEEN_S = 0.01
AGAIN_S = 1.0

log = logging.getLogger("stepwell.postgres")


class PostgresCluster:
    """All processes on one database, as one of them sees them."""

    def __init__(
        self, url: str, name: str, node: str, presence: Presence, lanes: LaneIndex
    ) -> None:
        """`name` is what the database is called in messages, `node` is this process."""
        self.secret = b""
        self._url = url
        self._name = name
        self._node = node
        self._presence = presence
        self._lanes = lanes
        self._hear: Callable[[Hint], None] | None = None
        self._lock = threading.Lock()
        self._is_due = False
        self._waiting_lanes: dict[str, int] = {}
        self._freed: dict[str, None] = {}
        self._told: dict[tuple[str, str], None] = {}
        self._over = False
        self._is_awake = False
        """Whether the thread was woken, and has not looked since."""
        self._thread: threading.Thread | None = None
        self._ours, self._theirs = socket.socketpair()
        for one in (self._ours, self._theirs):
            one.setblocking(False)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that does what one is enough for."""
        return self._presence.leads

    @property
    def served(self) -> frozenset[str]:
        """The checksums of registrations that workers at the other processes bring."""
        return self._presence.served

    def serve(self, checksums: frozenset[str]) -> None:
        """Have the others know, with the next sign of life, what workers at this process bring."""
        self._presence.serves = checksums

    def begin(self, connection: Connection) -> None:
        """Find what is in common, or be the first to say it."""
        connection.execute(SQL["begin_common"], (secrets.token_bytes(SECRET_BYTES),))
        row = connection.execute(SQL["secret"]).fetchone()
        assert row is not None
        self.secret = bytes(row[0])

    def listen(self, hear: Callable[[Hint], None]) -> None:
        """Call `hear`, from a thread of its own, with what other processes tell."""
        self._hear = hear
        self._thread = threading.Thread(target=self._talk, name="stepwell-hints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Say and hear nothing more."""
        self._over = True
        self._is_awake = False
        self._wake()
        if self._thread is not None:
            self._thread.join()
        self._ours.close()
        self._theirs.close()

    # -- what is said ---------------------------------------------------------------------------

    def committed(self, changes: Changes) -> None:
        """Tell the others where there is something to do after a commit of this process."""
        if self._thread is None or self._presence.is_alone:
            return
        # What was handed out in the same commit is for nobody else.
        given = {slot for slot, lease in changes.leases.items() if lease is not None}
        items = [item for slot, item in changes.items.items() if item and slot not in given]
        if not items and not changes.freed:
            return
        with self._lock:
            self._is_due = True
            for item in items:
                if is_lane(item.queue) and len(self._waiting_lanes) < WAITING_MAX:
                    self._waiting_lanes.setdefault(item.queue, item.due_ms)
            if len(self._freed) < WAITING_MAX:
                self._freed.update(dict.fromkeys(changes.freed))
        self._wake()

    def tell(self, topic: str, subject: str) -> None:
        """Tell the others of something, soon and perhaps."""
        if self._thread is None or self._presence.is_alone:
            return
        with self._lock:
            if len(self._told) < WAITING_MAX:
                self._told[topic, subject] = None
        self._wake()

    def heard(self, hint: Hint) -> None:
        """Remember what others told of lanes and keys."""
        for queue, due_ms in hint.lanes:
            if is_lane(queue):
                self._lanes.added(queue, due_ms)
        for key in hint.freed:
            self._lanes.rouse(key, 1)

    def _wake(self) -> None:
        if self._is_awake:
            return
        self._is_awake = True
        try:
            self._ours.send(b".")
        except (BlockingIOError, OSError):
            return  # it is awake, or gone

    def _next_messages(self) -> list[str]:
        """Everything that waits, as messages that fit."""
        with self._lock:
            self._is_awake = False
            hint = Hint(
                self._is_due,
                tuple(_taken(self._waiting_lanes)),
                tuple(key for key, _ in _taken(self._freed)),
                tuple(told for told, _ in _taken(self._told)),
            )
            self._is_due = False
            more = bool(self._waiting_lanes or self._freed or self._told)
        if more:
            self._wake()
        return [text for part in messages_of(hint) if len(text := self._text(part)) <= BYTES_MAX]

    def _text(self, hint: Hint) -> str:
        return msgspec.json.encode((self._node, hint)).decode()

    # -- the thread -----------------------------------------------------------------------------

    def _talk(self) -> None:
        connection: Connection | None = None
        while not self._over:
            try:
                with in_our_words(self._name):
                    if connection is None or connection.closed:
                        connection = connect(self._url)
                        if not connection.is_pooled:
                            connection.execute(b"LISTEN stepwell")
                        # Whoever was alone learns that it is not any more.
                        connection.execute(SQL["notify"], ([self._text(Hint())],))
                    self._turn(connection)
            except StoreError as error:
                log.info("no messages between servers for now: %s", error)
                time.sleep(0 if self._over else AGAIN_S)
        if connection is not None:
            connection.close()

    def _turn(self, connection: Connection) -> None:
        """Wait until there is something to say or to hear."""
        ours = self._theirs.fileno()
        ready, _, _ = select.select([connection.fileno(), ours], [], [], AGAIN_S)
        if ours in ready:
            self._theirs.recv(4_096)
            messages = self._next_messages()
            if messages and not self._presence.is_alone:
                connection.execute(SQL["notify"], (messages,))
            time.sleep(BETWEEN_S)
        for told in connection.notifies(timeout=0):
            self._take_in(told.payload)

    def _take_in(self, payload: str) -> None:
        try:
            node, hint = _DECODER.decode(payload)
        except msgspec.DecodeError:
            return  # not one of ours, or of a newer version
        if node != self._node and self._hear is not None and not self._over:
            self._presence.is_alone = False
            self._hear(hint)


Key = TypeVar("Key")
Value = TypeVar("Value")

_DECODER = msgspec.json.Decoder(tuple[str, Hint])


def _taken(waiting: dict[Key, Value]) -> list[tuple[Key, Value]]:
    taken = [(key, waiting[key]) for key in list(waiting)[:SAID_MAX]]
    for key, _ in taken:
        del waiting[key]
    return taken


def messages_of(hint: Hint) -> Iterator[Hint]:
    """What is due in one message, announcements in others that fit: what they say may be long."""
    if hint.is_due or hint.lanes or hint.freed:
        yield Hint(hint.is_due, hint.lanes, hint.freed)
    told: list[tuple[str, str]] = []
    size = 0
    for one in hint.told:
        more = len(msgspec.json.encode(one)) + 1
        if told and size + more > TOLD_BYTES_MAX:
            yield Hint(told=tuple(told))
            told, size = [], 0
        told.append(one)
        size += more
    if told:
        yield Hint(told=tuple(told))
