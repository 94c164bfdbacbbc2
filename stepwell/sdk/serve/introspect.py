"""What an endpoint tells of itself on GET: little to anybody, more to whoever holds the key."""

from collections.abc import Generator

import msgspec

from stepwell.sdk.net.agent import LANGUAGE, VERSION
from stepwell.sdk.net.probing import PROBE_PATH, PROBE_SECONDS, is_dev_server
from stepwell.sdk.net.server_api import ApiRequest
from stepwell.sdk.serve import answer, gate, page
from stepwell.sdk.serve.effect import ApiRequests, Effect, Outcome, Steps
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.served import Served
from stepwell.sdk.serve.setup import Setup
from stepwell.sdk.settings import ServeSettings, Settings, Streaming
from stepwell.wire.execution import CallResponse
from stepwell.wire.identifier import event_key_hash
from stepwell.wire.registration import Introspection, TrustedIntrospection, encode_introspection
from stepwell.wire.signature import SigningKeyError, hashed_key


def introspected(
    served: Served, setup: Setup, request: ServeRequest, judged: gate.Passed | gate.Refused
) -> Steps:
    """The answer to GET."""
    mismatch = gate.kind_mismatch(request, setup.settings)
    if mismatch is not None:
        served.log.error(mismatch)
        return answer.KIND_FORBIDDEN
    is_dev = setup.settings.mode == "dev"
    if is_dev and page.wants_page(request.headers.get("accept")):
        return page.page(served.app_id, served.table.by_id.values(), setup.settings)
    if isinstance(judged, gate.Refused) or judged.key is None:
        there = None
        if setup.settings.guessed_origin is not None:
            there = yield from _dev_server_is_there()
        seen = describe(setup.settings, len(served.table), dev_server=there)
    else:
        seen = inspection(served, setup)
    return CallResponse(200, encode_introspection(seen))


def inspection(served: Served, setup: Setup) -> TrustedIntrospection:
    """What the server may know of this endpoint."""
    return describe_to_server(
        setup.settings,
        setup.serve,
        len(served.table),
        app_id=served.app_id,
        framework=served.framework,
    )


def _dev_server_is_there() -> Generator[Effect, Outcome, bool]:
    """Whether the development server that mode "auto" guesses answers now."""
    asked = ApiRequest(method="GET", path=PROBE_PATH, timeout_seconds=PROBE_SECONDS)
    outcome = yield ApiRequests((asked,))
    return isinstance(outcome, list) and is_dev_server(outcome[0])


def describe(
    settings: Settings, function_count: int, *, dev_server: bool | None = None
) -> Introspection:
    """What anybody may know. `dev_server`: whether the one mode "auto" guessed answers."""
    extra: dict[str, bool] | msgspec.UnsetType = msgspec.UNSET
    # What official SDKs cannot say is added where it tells something: the mode was a guess.
    if dev_server is not None:
        extra = {
            "is_mode_explicit": settings.mode_is_explicit,
            "is_dev_server_available": dev_server,
        }
    return Introspection(
        function_count=function_count,
        has_event_key=settings.event_key is not None,
        has_signing_key=settings.signing_key is not None,
        has_signing_key_fallback=settings.signing_key_fallback is not None,
        mode=settings.mode,
        extra=extra,
    )


def describe_to_server(
    settings: Settings,
    serve: ServeSettings,
    function_count: int,
    *,
    app_id: str,
    framework: str,
) -> TrustedIntrospection:
    """What the server may know, after its signature was right."""
    return TrustedIntrospection(
        function_count=function_count,
        has_event_key=settings.event_key is not None,
        has_signing_key=settings.signing_key is not None,
        has_signing_key_fallback=settings.signing_key_fallback is not None,
        mode=settings.mode,
        authentication_succeeded=True,
        extra={
            "is_mode_explicit": settings.mode_is_explicit,
            "is_streaming": serve.streaming is not Streaming.DISABLE,
        },
        app_id=app_id,
        sdk_language=LANGUAGE,
        sdk_version=VERSION,
        api_origin=settings.api_origin,
        event_api_origin=settings.event_origin,
        framework=framework,
        env=settings.env,
        serve_origin=serve.serve_origin,
        serve_path=serve.serve_path,
        event_key_hash=None if settings.event_key is None else event_key_hash(settings.event_key),
        signing_key_hash=_bare_hash(settings.signing_key),
        signing_key_fallback_hash=_bare_hash(settings.signing_key_fallback),
    )


def _bare_hash(signing_key: str | None) -> str | None:
    """The hash of a signing key without its prefix, as the official Python SDK reports it."""
    if signing_key is None:
        return None
    try:
        return hashed_key(signing_key).rpartition("-")[2]
    except SigningKeyError:
        return None
