"""`/v2/keys` and `/v2/audit`: who may ask a server, and what they had changed. Ours."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.access.door import caller_of
from stepwell.server.api.access.role import API_KEY, key_hash
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem
from stepwell.server.api.routing.route import Body, Takes
from stepwell.server.api.v2.answer import answered, by_id, whole
from stepwell.server.engine.message.input import KeyCreated, KeyRevoked
from stepwell.server.engine.row.key import ApiKey
from stepwell.server.query.v2.access import KeyMadeV2, RoleV2, audit_v2, key_v2

NAME_CHARS_MAX = 100
KEY_BYTES = 32
DEFAULT, MOST = 20, 100
_LIMIT = parameter.limit(DEFAULT, MOST)
_CURSOR = parameter.entry("`page.cursor` of the page before.")
LISTED = Takes((_LIMIT, _CURSOR))


class KeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """What to call a key, and what it may."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
    role: RoleV2


KEY = Body(KeyBody, 'send {"name": "ci", "role": "read"}; roles are read, operate and admin')


async def create(deps: ApiDeps, request: Request) -> Response:
    """Make a key. The answer holds the text that opens the server: it is told this once."""
    asked = await KEY.read(request)
    now_ms = deps.clock.now_ms()
    text = API_KEY + urlsafe_b64encode(deps.entropy(KEY_BYTES)).decode().rstrip("=")
    key = ApiKey(
        id=deps.fresh_id(now_ms),
        name=asked.name,
        role=asked.role.stored,
        hash=key_hash(text),
        created_ms=now_ms,
        created_by=caller_of(request).name,
    )
    await deps.ledger.submit(KeyCreated(key))
    made = msgspec.structs.asdict(key_v2(key))
    return answered(deps, KeyMadeV2(**made, key=text))


async def many(deps: ApiDeps, request: Request) -> Response:
    """Keys, the newest first, also those that were revoked."""
    count = _LIMIT.read(request.query_params)
    found = deps.reader.api_keys(_CURSOR.read(request.query_params), count + 1)
    return by_id(deps, [(key.id, key_v2(key)) for key in found], count)


class ConfiguredKeyV2(msgspec.Struct, frozen=True):
    """A key that the server was started with, as it is written in its settings."""

    name: str
    environment: str
    key: str


async def event_keys(deps: ApiDeps, request: Request) -> Response:
    """Event keys that the server was started with, in clear: who has one may send events."""
    return _configured(deps, request, "event key", deps.config.event_keys)


async def signing_keys(deps: ApiDeps, request: Request) -> Response:
    """Signing keys that the server was started with, in clear, told to who shows one of them; the
    first signs what the server sends."""
    return _configured(deps, request, "signing key", deps.config.signing_keys)


def _configured(deps: ApiDeps, request: Request, called: str, keys: Sequence[str]) -> Response:
    environment = "dev" if deps.config.kind == "dev" else "production"
    told = [
        ConfiguredKeyV2(f"{called} {place}", environment, key) for place, key in enumerate(keys, 1)
    ]
    return whole(deps, request, told)


async def revoke(deps: ApiDeps, request: Request) -> Response:
    """Have a key open nothing any more, from the next request on."""
    key = deps.reader.api_key(str(request.path_params["key_id"]))
    if key is None:
        raise Problem(404, "Key not found")
    await deps.ledger.submit(KeyRevoked(key.id))
    known = deps.reader.api_key(key.id)
    return answered(deps, key_v2(known or key))


async def audit(deps: ApiDeps, request: Request) -> Response:
    """What was changed by hand, the newest first: who asked for it, and for what. Events that were
    sent and functions that were invoked are not here: their events tell of them."""
    count = _LIMIT.read(request.query_params)
    found = deps.reader.audit(_CURSOR.read(request.query_params), count + 1)
    return by_id(deps, [(entry.id, audit_v2(entry)) for entry in found], count)
