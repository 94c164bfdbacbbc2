"""`/session`: giving a key to the dashboard, giving it back, and asking who one is. Ours."""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stepwell.server.api.access.door import Rate, caller_by
from stepwell.server.api.access.role import API_KEY, Caller
from stepwell.server.api.access.session import COOKIE, LIFE_S
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, as_json, told
from stepwell.server.api.routing.route import NOTHING, Body, Takes, refuse_others
from stepwell.server.engine.row.key import Role
from stepwell.server.hosts import is_foreign_page
from stepwell.wire import header

PATH = "/session"


class Login(msgspec.Struct, forbid_unknown_fields=True):
    """The key that somebody has: an API key, or the signing key of the server."""

    key: str


LOGIN = Body(Login, 'send {"key": "swk_…"}, a key made with `stepwell keys create`')


def routes(deps: ApiDeps, rate: Rate) -> list[Route]:
    """Giving a key, giving it back, and asking who one is."""

    async def begin(request: Request) -> Response:
        now_ms = deps.clock.now_ms()
        rate.check(f"session {request.client.host if request.client else ''}", now_ms)
        if is_foreign_page(request.headers):
            raise Problem(403, "a page of another site may not log in here")
        caller = _holder(deps, (await LOGIN.read(request)).key.strip())
        if caller is None:
            raise Problem(401, "the server does not know this key, or it was revoked")
        answer = _told(caller, by_cookie=True)
        answer.set_cookie(
            COOKIE,
            deps.sessions.cookie(caller, now_ms),
            max_age=LIFE_S,
            httponly=True,
            samesite="strict",
            secure=_is_secure(request),
        )
        return answer

    async def end(request: Request) -> Response:
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=_is_secure(request))
        return answer

    async def who(request: Request) -> Response:
        caller = caller_by(deps, request)
        if caller is None:
            raise Problem(401, "give a key first")
        by_key = deps.access.caller(request.headers, deps.reader.api_key_of) is not None
        return _told(caller, by_cookie=not by_key)

    made = (("POST", begin, Takes(body=LOGIN)), ("DELETE", end, NOTHING), ("GET", who, NOTHING))
    return [Route(PATH, told(_strict(asked, takes)), methods=[m]) for m, asked, takes in made]


def _strict(
    asked: Callable[[Request], Awaitable[Response]], takes: Takes
) -> Callable[[Request], Awaitable[Response]]:
    """The route, which refuses what it would ignore."""

    async def refusing(request: Request) -> Response:
        await refuse_others(request, takes)
        return await asked(request)

    return refusing


def _holder(deps: ApiDeps, key: str) -> Caller | None:
    """Whose key this is."""
    if not key.startswith(API_KEY) and not deps.access.signing_keys:
        return None
    headers = {header.AUTHORIZATION: f"Bearer {key}"}
    return deps.access.caller(headers, deps.reader.api_key_of)


def _told(caller: Caller, *, by_cookie: bool) -> Response:
    role = Role(min(caller.may, Role.ADMIN)).name.lower()
    return as_json({"data": {"name": caller.name, "role": role, "byCookie": by_cookie}})


def _is_secure(request: Request) -> bool:
    forwarded = request.headers.get("x-forwarded-proto", "")
    return request.url.scheme == "https" or forwarded == "https"
