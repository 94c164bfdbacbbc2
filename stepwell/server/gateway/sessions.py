"""Who is here: the worker connections of this node, and which of them gets a request.

The only place that picks. A worker is asked if it is ready, was heard lately, serves the function
and has room; among those the newest version of the app comes first, and within it whoever has the
most room left.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from stepwell.server.engine.row.run import AppRow
from stepwell.server.engine.state.former import age
from stepwell.server.gateway.socket_endpoint import GatewayConnection
from stepwell.wire.canonical import canonical
from stepwell.wire.connect_limit import EXTENSION_CHECKPOINT
from stepwell.wire.connect_word import AppConfig, WorkerConnect, WorkerStatus

UNLIMITED_SLOTS = 1_000
"""What a worker without a limit counts for, as the reference counts it."""


class ServedApp(msgspec.Struct, frozen=True):
    """One app of a worker, as registered."""

    name: str
    version: str
    slugs: frozenset[str]
    group: str
    """What the reference tells versions of an app apart by."""
    checksum: str = ""
    """What it registers, or would: the same for all workers of one version."""
    codes: Mapping[str, str] = {}
    """The code of its functions, where it says so."""


class Session:
    """One worker connection and what it is doing."""

    def __init__(
        self,
        connection: GatewayConnection,
        worker: WorkerConnect,
        apps: tuple[ServedApp, ...],
        *,
        number: int,
        connected_ms: int,
        extensions: tuple[str, ...],
    ) -> None:
        self.connection = connection
        self.worker = worker
        self.apps = {app.name: app for app in apps}
        self.number = number
        self.connected_ms = connected_ms
        self.extensions = extensions
        self.requests: set[str] = set()
        """The requests it was given and has not answered."""
        self.status: WorkerStatus | None = None

    @property
    def is_ours(self) -> bool:
        """Does it run on our SDK, whose code hears of the end of its run?"""
        return EXTENSION_CHECKPOINT in self.extensions

    @property
    def slots(self) -> int:
        """How many requests it takes at once."""
        return self.worker.concurrency_max or UNLIMITED_SLOTS

    @property
    def room(self) -> int:
        """How many more it takes now."""
        return self.slots - len(self.requests)

    @property
    def instance_id(self) -> str:
        """The worker's own name, the same over its reconnects."""
        return self.worker.instance_id


class Sessions:
    """Every session of this node."""

    def __init__(self, apps: Callable[[], Mapping[str, AppRow]]) -> None:
        """`apps` are those that are registered: they know which version is the newest."""
        self._apps = apps
        self._all: dict[GatewayConnection, Session] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._all.values()))

    def add(
        self,
        connection: GatewayConnection,
        worker: WorkerConnect,
        apps: tuple[ServedApp, ...],
        *,
        now_ms: int,
        extensions: tuple[str, ...],
    ) -> Session:
        """A worker was admitted."""
        self._count += 1
        session = Session(
            connection,
            worker,
            apps,
            number=self._count,
            connected_ms=now_ms,
            extensions=extensions,
        )
        self._all[connection] = session
        return session

    def remove(self, connection: GatewayConnection) -> Session | None:
        """A connection is over."""
        return self._all.pop(connection, None)

    def of(self, connection: GatewayConnection) -> Session | None:
        """The session of a connection, once it was admitted."""
        return self._all.get(connection)

    def serving(self, app: str) -> list[Session]:
        """The sessions of an app that take work now."""
        return [s for s in self._all.values() if app in s.apps and s.connection.routable()]

    def serves(self, app: str, slug: str) -> bool:
        """Is some worker here that serves this function, whether it takes work now or not?"""
        return any(app in s.apps and slug in s.apps[app].slugs for s in self._all.values())

    def brings(self, app: str, checksum: str) -> bool:
        """Is some worker here that registers just this, or would?"""
        return any(app in s.apps and s.apps[app].checksum == checksum for s in self._all.values())

    def brought(self) -> frozenset[str]:
        """What all workers here register, or would, as checksums."""
        return frozenset(app.checksum for s in self._all.values() for app in s.apps.values())

    def instance_is_here(self, instance_id: str) -> bool:
        """Is some connection of this worker alive, whatever its phase?"""
        return any(session.instance_id == instance_id for session in self._all.values())

    def capacity(self, app: str) -> int:
        """How many requests of an app its ready workers take at once, all together."""
        return sum(session.slots for session in self.serving(app))

    def code_capacity(self, app: str, slugs: Iterable[str]) -> Counter[tuple[str, str]]:
        """The same of each code of these functions: by function and code."""
        found = Counter[tuple[str, str]]()
        wanted = tuple(slugs)
        for session in self.serving(app) if wanted else ():
            codes = session.apps[app].codes
            for slug in wanted:
                if slug in codes:
                    found[slug, codes[slug]] += session.slots
        return found

    def pick(
        self, app: str, slug: str, *, code: str = "", tried: frozenset[Session] = frozenset()
    ) -> Session | None:
        """Who gets a request of this function, for this code of it if one is named; None if nobody
        can take it now."""
        able = [
            session
            for session in self.serving(app)
            if session.room > 0
            and slug in session.apps[app].slugs
            and session not in tried
            and code in ("", session.apps[app].codes.get(slug))
        ]
        if not able:
            return None
        row = self._apps().get(app)
        return max(able, key=lambda s: (age(row, s.apps[app].checksum), _leisure(s)))


def _leisure(session: Session) -> tuple[float, int]:
    return session.room / session.slots, -session.number


def group_hash(account_id: str, env_id: str, worker: WorkerConnect, app: AppConfig) -> str:
    """The id of a worker group: workers with the same one run the same version of an app.

    Raises ValueError if the functions are no JSON.
    """
    functions = hashlib.sha256(canonical(app.functions)).digest()
    before = (account_id, env_id, worker.sdk_language, worker.sdk_version, worker.platform or "-")
    text = ":".join(before).encode() + b":" + functions + b":" + (app.version or "").encode()
    return hashlib.sha256(text).hexdigest()
