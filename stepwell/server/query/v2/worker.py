"""A connected worker in the shape of the REST API's second version. Pure."""

from enum import StrEnum

import msgspec

from stepwell.server.query.v2.run import InstantV2


class WorkerStatusV2(StrEnum):
    """Whether a worker takes work."""

    CONNECTED = "CONNECTED"
    READY = "READY"
    DRAINING = "DRAINING"


class WorkerAppV2(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An app that a worker serves, and how many of its functions. Workers of one `group` run the
    same version of it."""

    name: str
    function_count: int
    version: str = ""
    group: str = ""


class WorkerV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A worker: its connection (`id`), its own name (`instanceId`), what it serves, how much it
    takes at once (`capacity`) and how much it has (`inUse`)."""

    id: str
    instance_id: str
    apps: tuple[WorkerAppV2, ...]
    status: WorkerStatusV2
    connected_at: InstantV2
    last_heartbeat_at: InstantV2
    capacity: int
    in_use: int
    sdk_language: str = ""
    sdk_version: str = ""
    platform: str = ""
    cpu_cores: int = 0
    mem_bytes: int = 0
    os: str = ""
