"""What the HTTP API stands on, handed in once by whoever builds a server."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import NamedTuple, TypeVar

from stepwell.server.api.access.role import Access
from stepwell.server.api.access.session import Sessions
from stepwell.server.api.feed import Feed
from stepwell.server.api.run_watch import RunWatch
from stepwell.server.clock import Clock
from stepwell.server.config import ServerConfig
from stepwell.server.drivers.port import LaneSeen
from stepwell.server.engine.row.run import AppRow, Run
from stepwell.server.ledger import Ledger
from stepwell.server.meters import Spread
from stepwell.server.query.run_object import ACCOUNT_ID, ENVIRONMENT_ID
from stepwell.server.query.v2.worker import WorkerV2
from stepwell.server.realtime.hub import Hub
from stepwell.server.realtime.minter import Minter
from stepwell.server.store.port import Reader
from stepwell.wire.identifier import ENTROPY_BYTES, ulid_at

T = TypeVar("T")

_SECRET_BYTES = 32


class ProcessSeen(NamedTuple):
    """What the process is at, as it is now. Sizes in bytes, times in seconds; `began_ms` is when it
    started, 0 where it is an application's."""

    began_ms: int = 0
    database_bytes: int = 0
    log_bytes: int = 0
    connections: int = 0
    workers: int = 0
    body_bytes: int = 0
    bodies_refused: int = 0
    stall_s: float = 0.0
    stall_work_s: float = 0.0
    lag: Spread = Spread(())


class Synced(NamedTuple):
    """What came of asking an app to register: the app that is registered now, if it is known which,
    and what is wrong, or nothing."""

    app: AppRow | None
    problem: str


async def _asks_none(url: str) -> Synced:
    """Apps register by themselves."""
    return Synced(None, "unreachable: nobody asks apps to register here")


def _no_calls() -> list[Run]:
    """Nobody calls."""
    return []


def _nothing(app: AppRow) -> None:
    """Nobody wants to know."""


def _nowhere(app: str) -> str:
    """No app was named with its address."""
    return ""


def _own_hub() -> Hub:
    """Nothing publishes but this API."""
    return Hub(lambda: 0, "0")


def _open(app: str) -> LaneSeen:
    """As long as nobody says otherwise, calls can be made."""
    return LaneSeen(0, 1, 0)


@dataclass(frozen=True, slots=True)
class ApiDeps:
    """The ledger takes inputs, the reader answers questions; `on_app` hears of every app that has
    registered, after its commit; `ends` wakes requests that wait for a run; `lane` says how calls
    of an app stand; `named`, at which of the addresses it was started with an app answered;
    `sync` asks the app at a URL to register; `workers`, who is connected; `under_way`, the runs
    that are called; `process`, what the process
    is at; `hub`, who hears what is published; `secret`, what is signed with if there is no signing
    key."""

    ledger: Ledger
    reader: Reader
    clock: Clock
    config: ServerConfig
    on_app: Callable[[AppRow], None] = _nothing
    entropy: Callable[[int], bytes] = token_bytes
    ends: RunWatch = field(default_factory=RunWatch)
    lane: Callable[[str], LaneSeen] = _open
    named: Callable[[str], str] = _nowhere
    sync: Callable[[str], Awaitable[Synced]] = _asks_none
    workers: Callable[[], Sequence[WorkerV2]] = tuple
    under_way: Callable[[], list[Run]] = _no_calls
    process: Callable[[], ProcessSeen] = ProcessSeen
    hub: Hub = field(default_factory=_own_hub)
    secret: bytes = b""
    access: Access = field(init=False)
    feed: Feed = field(init=False)
    sessions: Sessions = field(init=False)
    tokens: Minter = field(init=False)

    def __post_init__(self) -> None:
        """Keys are looked at once; the feed begins now. A reader that blocks is waited for beside
        the loop."""
        if self.reader.blocks:
            from stepwell.server.api.awaited import awaited  # noqa: PLC0415 - greenlet

            object.__setattr__(self, "reader", awaited(self.reader))
        object.__setattr__(self, "access", Access.of(self.config))
        object.__setattr__(self, "feed", Feed(f"{self.clock.now_ms():x}"))
        secret = self.secret or self.entropy(_SECRET_BYTES)
        keys = self.config.signing_keys
        object.__setattr__(self, "sessions", Sessions.of(keys, secret))
        object.__setattr__(self, "tokens", Minter.of(keys, secret, ACCOUNT_ID, ENVIRONMENT_ID))

    async def searched(self, look: Callable[[], T]) -> T:
        """What a question finds that may go through many rows: the engine does not wait for it."""
        return await asyncio.to_thread(look)

    def fresh_id(self, now_ms: int) -> str:
        """A new ULID of this instant."""
        return ulid_at(now_ms, self.entropy(ENTROPY_BYTES))
