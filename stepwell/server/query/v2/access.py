"""API keys and the audit in the shape of the REST API's second version. Pure."""

from enum import StrEnum

import msgspec

from stepwell.server.engine.row.key import ApiKey, AuditEntry, Role
from stepwell.server.query.v2.run import InstantV2
from stepwell.wire.duration import format_instant


class RoleV2(StrEnum):
    """What a key may: each what the one before it may, and more."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"

    @property
    def stored(self) -> Role:
        """The same as it is kept."""
        return Role[self.name]


class KeyV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A key. What its holder sends is told once, when it is made, and kept nowhere."""

    id: str
    name: str
    role: RoleV2
    created_at: InstantV2
    created_by: str
    revoked_at: InstantV2 | msgspec.UnsetType = msgspec.UNSET


class KeyMadeV2(KeyV2, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A new key, with the text that opens the server."""

    key: str


class AuditV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Somebody had something changed; `refused` is the status with which it was refused."""

    id: str
    at: InstantV2
    by: str
    key_id: str = ""
    operation: str
    target: str
    asked: str = ""
    refused: int | msgspec.UnsetType = msgspec.UNSET


def key_v2(key: ApiKey) -> KeyV2:
    """A key as v2 tells it."""
    return KeyV2(
        id=key.id,
        name=key.name,
        role=RoleV2[key.role.name],
        created_at=format_instant(key.created_ms),
        created_by=key.created_by,
        revoked_at=format_instant(key.revoked_ms) if key.revoked_ms else msgspec.UNSET,
    )


def audit_v2(entry: AuditEntry) -> AuditV2:
    """An entry of the audit as v2 tells it."""
    return AuditV2(
        id=entry.id,
        at=format_instant(entry.at_ms),
        by=entry.by,
        key_id=entry.key_id,
        operation=entry.operation,
        target=entry.target,
        asked=entry.asked,
        refused=entry.status or msgspec.UNSET,
    )
