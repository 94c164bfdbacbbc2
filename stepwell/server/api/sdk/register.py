"""`POST /fn/register` and `DELETE /fn/remove`: apps say which functions they have, or leave."""

import logging
from functools import partial
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.advice import advice
from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing import parameter
from stepwell.server.api.routing.problem import Problem, body_of, raw_json
from stepwell.server.api.routing.route import Takes
from stepwell.server.engine.message.input import AppRegistered, AppRemoved, Done, Verdict
from stepwell.server.intake import registered
from stepwell.server.registration import RegistrationRefused, app_registered, normal_url
from stepwell.wire import header
from stepwell.wire.function_config import MalformedFunction
from stepwell.wire.identifier import app_uuid
from stepwell.wire.limit import REGISTRATION_BYTES_MAX
from stepwell.wire.registration import (
    MalformedRegistration,
    RegisterAnswer,
    decode_registration,
    encode_register_answer,
)

_URL = parameter.plain("url", "The URL of the app.")
REMOVED = Takes((_URL,))

SHORT_BYTES = 65_536
"""A longer body is checked on another thread."""

log = logging.getLogger("stepwell.registration")


async def register(deps: ApiDeps, request: Request) -> Response:
    """Register an app and its functions; functions it no longer names are forgotten."""
    try:
        return await _register(deps, request)
    except Problem as problem:
        log.warning("a registration was refused: %s", problem.message)
        raise


async def _register(deps: ApiDeps, request: Request) -> Response:
    _check_kind(deps, request)
    try:
        body = await body_of(request, REGISTRATION_BYTES_MAX)
        judge = partial(_judged, deps, body)
        given, warnings = judge() if len(body) <= SHORT_BYTES else await deps.searched(judge)
    except RegistrationRefused as refused:
        raise Problem(400, refused.message, refused.code) from None
    except (MalformedRegistration, MalformedFunction) as malformed:
        raise Problem(400, _invalid_request(str(malformed))) from None
    answer = await registered(deps.ledger, given)
    deps.on_app(given.app)
    modified = answer.verdict is Verdict.APPLIED
    for warning in warnings if modified else ():
        log.warning("%s", warning)
    return raw_json(
        encode_register_answer(
            RegisterAnswer(
                modified=modified,
                sync_id=str(uuid4()),
                app_id=app_uuid(given.app.name),
                warnings=warnings,
            )
        )
    )


def _judged(deps: ApiDeps, body: bytes) -> tuple[AppRegistered, tuple[str, ...]]:
    """What a body says, once it was checked, and what is odd about it."""
    registration = decode_registration(body)
    given = app_registered(registration, "serve", deps.ledger.catalog, deps.clock.now_ms())
    return given, advice(registration.functions)


async def remove(deps: ApiDeps, request: Request) -> Response:
    """`DELETE /fn/remove?url=`: forget an app and its functions."""
    url = _URL.read(request.query_params)
    if not url:
        raise Problem(400, "url is missing: DELETE /fn/remove?url=<the URL of the app>")
    apps = deps.ledger.catalog.apps.values()
    known = next((app.name for app in apps if normal_url(app.url) == normal_url(url)), url)
    answer = await deps.ledger.submit(AppRemoved(known))
    assert isinstance(answer, Done)
    if answer.verdict is Verdict.GONE:
        raise Problem(404, f"App not found: {url}")
    return Response(status_code=200)


def _check_kind(deps: ApiDeps, request: Request) -> None:
    """An app that expects another kind of server is told both; it would verify in vain."""
    expected = request.headers.get(header.EXPECTED_SERVER_KIND)
    if expected is not None and expected != deps.config.kind:
        raise Problem(400, f"Expected server kind {deps.config.kind}, got {expected}")


def _invalid_request(text: str) -> str:
    return text if text.startswith("Invalid request") else f"Invalid request: {text}"
