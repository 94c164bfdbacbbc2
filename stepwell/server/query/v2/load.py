"""How much there is to do and to keep, in the shape of the REST API's second version. Pure."""

from enum import StrEnum

import msgspec

from stepwell.server.query.v2.run import InstantV2, NamedV2


class LoadV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a function has to do now. Of the runs that are `queued`, `oldestQueuedAt` is since when
    the first of them waits, and `reason` a word for what keeps it (`none` if nothing does)."""

    function: NamedV2
    app: NamedV2
    queued: int
    running: int
    oldest_queued_at: InstantV2 | msgspec.UnsetType = msgspec.UNSET
    reason: str = ""


class DatabaseV2(StrEnum):
    """Where runs and events are kept."""

    MEMORY = "memory"
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class LatenessV2(msgspec.Struct, frozen=True, rename="camel"):
    """By how much an event loop was late at most in the last five minutes, in milliseconds; `own`
    of it the loop itself was at work, the rest is others' who share the machine."""

    longest: int
    own: int


class ServerV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The server that answers. An engine within an application tells its version alone: the rest is
    its application's."""

    version: str
    started_at: InstantV2 | msgspec.UnsetType = msgspec.UNSET
    connections: int | msgspec.UnsetType = msgspec.UNSET
    workers: int | msgspec.UnsetType = msgspec.UNSET
    late_ms: LatenessV2 | msgspec.UnsetType = msgspec.UNSET


class StorageV2(msgspec.Struct, frozen=True, rename="camel"):
    """What is kept where. Sizes are told of SQLite alone; `retentionMs` is how long runs that ended
    and their events are kept, 0 for ever."""

    database: DatabaseV2
    database_bytes: int
    log_bytes: int
    retention_ms: int
