"""The workers that are connected, as the REST API tells them."""

from stepwell.server.gateway.phase import GatewayPhase
from stepwell.server.gateway.sessions import Session, Sessions
from stepwell.server.query.v2.worker import WorkerAppV2, WorkerStatusV2, WorkerV2
from stepwell.wire.duration import format_instant

_STATUS = {
    GatewayPhase.READY: WorkerStatusV2.READY,
    GatewayPhase.DRAINING: WorkerStatusV2.DRAINING,
}


def workers(sessions: Sessions, now_ms: int) -> list[WorkerV2]:
    """Every worker, in the order in which they came."""
    return [_worker(one, now_ms) for one in sorted(sessions, key=lambda one: one.number)]


def _worker(session: Session, now_ms: int) -> WorkerV2:
    worker, system = session.worker, session.worker.system
    apps = sorted(session.apps.values(), key=lambda app: app.name)
    heard_ms = now_ms - max(int(session.connection.silence_s * 1000), 0)
    return WorkerV2(
        id=worker.connection_id,
        instance_id=session.instance_id,
        apps=tuple(WorkerAppV2(app.name, len(app.slugs), app.version, app.group) for app in apps),
        status=_STATUS.get(session.connection.protocol.phase, WorkerStatusV2.CONNECTED),
        connected_at=format_instant(session.connected_ms),
        last_heartbeat_at=format_instant(heard_ms),
        capacity=session.slots,
        in_use=len(session.requests),
        sdk_language=worker.sdk_language,
        sdk_version=worker.sdk_version,
        platform=worker.platform or "",
        cpu_cores=system.cpu_cores,
        mem_bytes=system.mem_bytes,
        os=system.os,
    )
