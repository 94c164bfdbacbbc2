"""What a worker is, and how it says so to a gateway."""

import msgspec

from stepwell.sdk.connect.backoff import SCHEDULE_S
from stepwell.wire.connect_word import AppConfig, StartResponse, SystemAttributes, WorkerConnect


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is and how it behaves; decided once, by the shell. Times in seconds."""

    instance_id: str
    apps: tuple[AppConfig, ...]
    capabilities: bytes
    sdk_version: str
    sdk_language: str = "py"
    framework: str = "connect"
    environment: str | None = None
    platform: str | None = None
    system: SystemAttributes = SystemAttributes()
    concurrency_max: int | None = None
    keys: int = 0
    """How many signing keys the shell has; they are numbered from 0."""
    outbox_bytes_max: int = 256 * 1024 * 1024
    outbox_count_max: int = 10_000
    give_up_after_s: float | None = None
    """Without a connection for so long the worker fails; None: it tries for ever."""
    shutdown_timeout_s: float | None = None
    """How long closing waits for running functions; None: until they end."""
    backoff_max_s: float = SCHEDULE_S[-1]


def introduction(
    config: WorkerConfig, start: StartResponse, *, began_ms: int | None
) -> WorkerConnect:
    """The message a worker introduces itself with. `began_ms`: when this attempt began."""
    return WorkerConnect(
        connection_id=start.connection_id,
        instance_id=config.instance_id,
        session_token=start.session_token,
        sync_token=start.sync_token,
        capabilities=config.capabilities,
        apps=config.apps,
        # READY is sent at once, unless this worker will not take work: then never.
        manual_readiness=True,
        system=config.system,
        environment=config.environment,
        framework=config.framework,
        platform=config.platform,
        sdk_version=config.sdk_version,
        sdk_language=config.sdk_language,
        started_at_ms=began_ms,
        concurrency_max=config.concurrency_max,
    )
