"""The only place that decides who may ask what: event keys for sending, signing keys for all else,
and API keys, made by command, for what their role may.

In development without keys everybody on this machine may do everything, except a web page of
another origin, which may only send events. Unlike the official server nothing but `/health` is open
where keys are set.
"""

import hashlib
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Literal, TypeAlias

import msgspec

from stepwell.server.config import ServerConfig
from stepwell.server.engine.row.key import ApiKey, Role
from stepwell.server.hosts import is_foreign_page
from stepwell.wire import header
from stepwell.wire.signature import is_authorized

EventKeyVerdict: TypeAlias = Literal["welcome", "missing", "unknown", "closed"]


SIGNING = Role.ADMIN + 1
"""What whoever has the signing key may: everything, and what apps and workers ask besides."""
SIGNER = "signing key"
"""What they are called."""
API_KEY = "swk_"
"""How API keys begin."""


class Caller(msgspec.Struct, frozen=True):
    """Who asks: what they may (a role, or `SIGNING`), what they are called, and the id of their API
    key, if it is one."""

    may: int
    name: str
    key_id: str = ""


def key_hash(key: str) -> str:
    """What is kept of an API key."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


class Access(msgspec.Struct, frozen=True):
    """The keys of a server. `needs_keys` says that it is open to nobody without them."""

    event_keys: tuple[bytes, ...]
    signing_keys: tuple[str, ...]
    needs_keys: bool

    @classmethod
    def of(cls, config: ServerConfig) -> "Access":
        """The keys a server was started with."""
        return cls(
            tuple(key.encode() for key in config.event_keys),
            config.signing_keys,
            config.kind == "cloud",
        )

    def may_send(self, event_key: str) -> EventKeyVerdict:
        """Whether events may be sent with this key."""
        if not event_key:
            return "missing"
        if not self.event_keys:
            return "closed" if self.needs_keys else "welcome"
        given = event_key.encode(errors="replace")
        held = False
        for key in self.event_keys:
            held |= compare_digest(given, key)
        return "welcome" if held else "unknown"

    def caller(
        self, headers: Mapping[str, str], known: Callable[[str], ApiKey | None]
    ) -> Caller | None:
        """Who asks, by the headers of a request (lower-case names); None for a stranger. `known`
        finds the API key of a hash."""
        scheme, _, text = headers.get(header.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer" and text.strip().startswith(API_KEY):
            key = known(key_hash(text.strip()))
            return Caller(key.role, key.name, key.id) if key and not key.revoked_ms else None
        if not self.may_ask(headers):
            return None
        return Caller(SIGNING, SIGNER if self.signing_keys else "development")

    def may_ask(self, headers: Mapping[str, str]) -> bool:
        """Whether a request with these headers (lower-case names) comes from whoever has the
        signing key, or needs none."""
        if self.signing_keys:
            return is_authorized(headers.get(header.AUTHORIZATION), self.signing_keys)
        return not self.needs_keys and not is_foreign_page(headers)
