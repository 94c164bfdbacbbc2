"""How much there is to do and to keep, in the shape of the REST API's second version. Pure."""

from enum import StrEnum

import msgspec

from stepwell.server.query.run_v2 import InstantV2, NamedV2


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


class StorageV2(msgspec.Struct, frozen=True, rename="camel"):
    """What is kept where. Sizes are told of SQLite alone; `retentionMs` is how long runs that ended
    and their events are kept, 0 for ever."""

    database: DatabaseV2
    database_bytes: int
    log_bytes: int
    retention_ms: int
