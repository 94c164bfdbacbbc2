"""Keys of people and programs, and what they had changed, as rows."""

from enum import IntEnum

import msgspec

AUDIT_MAX = 100_000
"""So many entries are kept, the newest."""


class Role(IntEnum):
    """What a key may: each what the one before it may, and more."""

    READ = 1
    OPERATE = 2
    ADMIN = 3


class ApiKey(msgspec.Struct, frozen=True, gc=False):
    """A key that was made by command. `hash` is the SHA-256 of what its holder sends, in hex: the
    text itself is told once and kept nowhere. `revoked_ms` is 0 as long as it opens anything."""

    id: str
    name: str
    role: Role
    hash: str
    created_ms: int
    created_by: str
    revoked_ms: int = 0


class AuditEntry(msgspec.Struct, frozen=True, gc=False):
    """Somebody had something changed: who (`key_id` is empty for whoever has the signing key),
    which operation, on what, and what was asked, as JSON, cut where it is long. `status` is 0
    unless it was refused."""

    id: str
    at_ms: int
    by: str
    key_id: str
    operation: str
    target: str
    asked: str
    status: int = 0
