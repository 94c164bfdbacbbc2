"""The only place that lets a request in: who asks, whether they may, how often, and what they have
changed is written down before it happens.

Apps and workers, which have the signing key, are not slowed down; whoever has an API key, or none,
has so many requests a second.
"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Scope

from stepwell.server.api.access.role import SIGNING, Caller
from stepwell.server.api.access.session import COOKIE
from stepwell.server.api.declared import Declared
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, as_problem, body_of
from stepwell.server.api.routing.route import refuse_others
from stepwell.server.engine.message.input import ChangeAsked, ChangeRefused
from stepwell.server.engine.row.key import AuditEntry, Role
from stepwell.server.flow.bucket import Bucket, bucket_of, take
from stepwell.server.ledger import EngineFault, LedgerClosed
from stepwell.server.repeated import Repeated
from stepwell.server.store.port import StoreError

ASKED_CHARS = 1_000
"""So much of a request's body is written down."""
BURST = 4
"""Whoever was quiet may ask so many times what a second allows."""
KNOWN_MAX = 10_000
_S: Final = 1_000
_CALLER = "stepwell.caller"

# The body is the official server's, which SDKs pass on; what to do stands beside it.
_HOW = {
    "www-authenticate": 'Bearer realm="stepwell", error_description="send the signing key this'
    " server was started with, or a key made with `stepwell keys create`: Authorization: Bearer"
    ' <key>"'
}


log = logging.getLogger("stepwell.server")


class Rate:
    """How often each may ask: so many requests a second; 0 is no limit."""

    def __init__(self, per_s: int) -> None:
        self._bucket: Bucket | None = bucket_of(per_s, _S, per_s * BURST) if per_s else None
        self._used: OrderedDict[str, int] = OrderedDict()
        self.refusals = Repeated(log)
        """What apps and workers were refused, for the log."""

    def check(self, who: str, now_ms: int) -> None:
        """Raises `Problem` for one request too many."""
        if self._bucket is None:
            return
        taken = take(self._bucket, self._used.pop(who, 0), now_ms)
        self._used[who] = taken.value
        # Whoever has not asked for long has a full bucket again, known or not.
        if len(self._used) > KNOWN_MAX:
            self._used.popitem(last=False)
        if not taken.admitted:
            wait_s = max(-(-(taken.next_ms - now_ms) // _S), 1)
            told = f"too many requests: ask again in {wait_s} s, or raise --api-rate"
            raise Problem(429, told, "rate_limited", headers={"retry-after": str(wait_s)})


def guarded(deps: ApiDeps, rate: Rate, route: Declared) -> Callable[[Request], Awaitable[Response]]:
    """The route behind the door. Raises `Problem` for whoever may not."""

    async def asked(request: Request) -> Response:
        now_ms = deps.clock.now_ms()
        caller = caller_by(deps, request)
        if caller is None:
            peer = request.client.host if request.client else ""
            if route.takes.others:
                # An app or a worker with another key: whoever runs them looks here.
                text = f"{request.url.path} is refused to {peer}: it takes the signing key"
                rate.refusals.tell(logging.WARNING, route.path, text)
            rate.check(peer, now_ms)
            return PlainTextResponse("Authentication failed\n", 401, _HOW)
        if caller.key_id:
            rate.check(caller.key_id, now_ms)
        if caller.may < route.needs:
            raise Problem(403, _refusal(caller, route), "access_denied")
        request.scope[_CALLER] = caller
        if route.is_change:
            return await _written_down(deps, route, caller, request)
        await refuse_others(request, route.takes)
        return await route.asked(deps, request)

    return asked


def known_caller(scope: Scope, caller: Caller) -> Scope:
    """A request of whom the application around the API knows who asks: no key is looked for."""
    return {**scope, _CALLER: caller}


def caller_by(deps: ApiDeps, request: Request) -> Caller | None:
    """Who asks, as it is known already, by the key of a request, or by its cookie; None for a
    stranger."""
    known: Caller | None = request.scope.get(_CALLER)
    if known is not None:
        return known
    caller = deps.access.caller(request.headers, deps.reader.api_key_of)
    cookie = request.cookies.get(COOKIE)
    if caller is not None or not cookie:
        return caller
    now_ms = deps.clock.now_ms()
    return deps.sessions.caller(request.headers, cookie, now_ms, deps.reader.api_key)


def caller_of(request: Request) -> Caller:
    """Who asks, as the door found."""
    caller: Caller = request.scope[_CALLER]
    return caller


def _refusal(caller: Caller, route: Declared) -> str:
    if route.needs == SIGNING:
        return "this takes the signing key of the server: it is for apps and workers"
    role = Role(route.needs).name.lower()
    return f"the key {caller.name!r} may not do this: it takes one of the role {role!r}"


async def _written_down(
    deps: ApiDeps, route: Declared, caller: Caller, request: Request
) -> Response:
    """Nothing is changed that is not in the audit; what was refused is marked there."""
    body = await body_of(request)
    await refuse_others(_again(request, body), route.takes)
    now_ms = deps.clock.now_ms()
    entry = AuditEntry(
        id=deps.fresh_id(now_ms),
        at_ms=now_ms,
        by=caller.name,
        key_id=caller.key_id,
        operation=route.name or f"{route.method} {route.path}",
        target=request.url.path,
        asked=body.decode(errors="replace")[:ASKED_CHARS],
    )
    await deps.ledger.submit(ChangeAsked(entry))
    try:
        response = await route.asked(deps, _again(request, body))
    except (Problem, LedgerClosed, StoreError, EngineFault) as error:
        await deps.ledger.submit(ChangeRefused(entry.id, as_problem(error).status))
        raise
    if response.status_code >= 400:
        await deps.ledger.submit(ChangeRefused(entry.id, response.status_code))
    return response


def _again(request: Request, body: bytes) -> Request:
    """A request whose body was read, to be read again."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)
