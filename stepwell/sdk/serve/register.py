"""What is said at a sync, in both of its kinds: which functions an app has, and what came of it."""

from urllib.parse import quote

import msgspec

from stepwell.sdk.net.agent import AUTHOR, LANGUAGE, SDK_IN_BODY, VERSION
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.net.server_api import ApiRequest
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.settings import ServeSettings, Settings
from stepwell.wire import header, limit
from stepwell.wire.function_config import FunctionConfig
from stepwell.wire.registration import (
    CAPABILITIES,
    REGISTERED_MESSAGE,
    InBandAnswer,
    Introspection,
    RegisterProblem,
    Registration,
    SyncAnswer,
    decode_register_answer,
    encode_in_band_answer,
    encode_registration,
    encode_sync_answer,
    fields_of_answer,
)

FRAMEWORK_PLAIN = Framework.ASGI
"""The name for a server that does not know the framework's own."""

_FAILED_UNTOLD = "Failed to register: the app's log says why"


class App(msgspec.Struct, frozen=True):
    """What is registered besides the functions."""

    app_id: str
    framework: str
    app_version: str | None = None
    event_schemas: msgspec.Raw | None = None


def is_in_band(sync_kind: str | None, settings: Settings, serve: ServeSettings) -> bool:
    """Whether the configuration goes into the answer itself, instead of a request of our own."""
    # A development server does not sign, and an in-band answer is for a signed request only.
    return serve.in_band_sync and settings.mode == "cloud" and sync_kind == header.SYNC_IN_BAND


def registration_request(
    app: App,
    functions: tuple[FunctionConfig, ...],
    url: str,
    *,
    deploy_id: str | None,
    server_kind: str | None,
) -> ApiRequest:
    """The request of an out-of-band sync."""
    registration = Registration(
        url=url,
        app_name=app.app_id,
        functions=functions,
        sdk=SDK_IN_BODY,
        framework=app.framework,
        app_version=app.app_version or "",
        capabilities=dict(CAPABILITIES),
        event_schemas=app.event_schemas,
    )
    headers = {header.FRAMEWORK: app.framework, header.SYNC_KIND: header.SYNC_OUT_OF_BAND}
    if server_kind is not None:
        headers[header.EXPECTED_SERVER_KIND] = server_kind
    query = f"?{header.QUERY_DEPLOY_ID}={quote(deploy_id, safe='')}" if deploy_id else ""
    return ApiRequest(
        method="POST",
        path=f"/fn/register{query}",
        body=encode_registration(registration),
        headers=headers,
        timeout_seconds=limit.REGISTER_MS_MAX / 1000,
    )


def refuses_framework(reply: HttpReply) -> bool:
    """Whether a server knows only some names of frameworks, and not this one (E.4)."""
    return reply.status == 400 and b"framework" in reply.body.lower()


def registration_outcome(reply: HttpReply) -> tuple[int, SyncAnswer]:
    """What the PUT is answered: 200, or the server's own refusal with its status."""
    answer, told = decode_register_answer(reply.body), fields_of_answer(reply.body)
    if isinstance(answer, RegisterProblem) or reply.status >= 300:
        text = answer.error if isinstance(answer, RegisterProblem) else f"HTTP {reply.status}"
        status = reply.status if 400 <= reply.status < 500 else 500
        return status, SyncAnswer(text.strip(), modified=False, server=told)
    return 200, SyncAnswer(REGISTERED_MESSAGE, answer.modified, told)


def untold(status: int, answer: SyncAnswer) -> SyncAnswer:
    """What whoever did not sign is told: whether it worked. Hosts, exceptions and the server's own
    words are not for strangers."""
    return SyncAnswer(answer.message if status == 200 else _FAILED_UNTOLD, answer.modified)


def registration_warnings(reply: HttpReply) -> tuple[str, ...]:
    """What the server took and thinks a mistake; nothing of what it knew already."""
    answer = decode_register_answer(reply.body)
    if isinstance(answer, RegisterProblem) or not answer.modified:
        return ()
    return answer.warnings


def sync_body(answer: SyncAnswer) -> bytes:
    """The body of the answer to an out-of-band PUT."""
    return encode_sync_answer(answer)


def in_band_body(
    app: App,
    functions: tuple[FunctionConfig, ...],
    url: str,
    settings: Settings,
    inspection: Introspection,
) -> bytes:
    """The body of the answer to an in-band PUT."""
    return encode_in_band_answer(
        InBandAnswer(
            app_id=app.app_id,
            url=url,
            sdk_language=LANGUAGE,
            sdk_version=VERSION,
            sdk_author=AUTHOR,
            functions=functions,
            inspection=inspection,
            framework=app.framework,
            app_version=app.app_version,
            env=settings.env,
            platform=settings.platform,
            event_schemas=app.event_schemas,
        )
    )
