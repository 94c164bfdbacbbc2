"""The only place that knows the cookie of the dashboard: it stands for a key, for a while.

A browser cannot keep a key out of reach of scripts, so whoever has one gives it once and gets a
cookie that no script reads and no other site sends. The cookie names the key and is signed; a
revoked key opens nothing from the next request on, and a new signing key ends every session.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping

import msgspec

from stepwell.server.api.access.role import SIGNER, SIGNING, Caller
from stepwell.server.engine.row.key import ApiKey
from stepwell.server.hosts import is_foreign_page
from stepwell.wire import header

COOKIE = "stepwell_session"
LIFE_S = 12 * 3_600
_SIGNING_ID = "signing"


class Sessions(msgspec.Struct, frozen=True):
    """Cookies of one server, or of all that have its signing key."""

    secret: bytes

    @classmethod
    def of(cls, signing_keys: tuple[str, ...], chance: bytes) -> "Sessions":
        """Signed with what follows from the signing key, with `chance` where there is none."""
        secret = signing_keys[0].encode() if signing_keys else chance
        return cls(hmac.digest(secret, b"stepwell dashboard session", hashlib.sha256))

    def cookie(self, caller: Caller, now_ms: int) -> str:
        """What a browser keeps for whoever gave a key."""
        named = f"{caller.key_id or _SIGNING_ID}.{now_ms + LIFE_S * 1_000}"
        return f"{named}.{self._sign(named)}"

    def caller(
        self,
        headers: Mapping[str, str],
        cookie: str,
        now_ms: int,
        known: Callable[[str], ApiKey | None],
    ) -> Caller | None:
        """Who asks by a cookie; None for a page of another site, and where a key is given."""
        named, _, signature = cookie.rpartition(".")
        if header.AUTHORIZATION in headers or is_foreign_page(headers):
            return None
        if not hmac.compare_digest(self._sign(named).encode(), signature.encode()):
            return None
        key_id, _, until_ms = named.partition(".")
        if now_ms >= int(until_ms):
            return None
        if key_id == _SIGNING_ID:
            return Caller(SIGNING, SIGNER)
        key = known(key_id)
        return Caller(key.role, key.name, key.id) if key and not key.revoked_ms else None

    def _sign(self, named: str) -> str:
        return hmac.new(self.secret, named.encode(), hashlib.sha256).hexdigest()
