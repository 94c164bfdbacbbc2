"""Who may talk to an endpoint: the one place of the SDK that judges signatures and server kinds."""

import msgspec

from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.settings import Settings
from stepwell.sdk.step.log import Logger
from stepwell.wire import header
from stepwell.wire.signature import SignatureError, verify


class Passed(msgspec.Struct, frozen=True):
    """The request may go on. `key` signed it and signs the answer; None in development."""

    key: str | None


class Refused(msgspec.Struct, frozen=True):
    """The request is not signed as it should be. The reason is for our log, never for the peer."""

    reason: str


def judge(request: ServeRequest, settings: Settings, now_ms: int) -> Passed | Refused:
    """Check the signature over the raw body. In dev mode nobody signs and everything passes."""
    if settings.mode == "dev":
        return Passed(None)
    keys = [key for key in (settings.signing_key, settings.signing_key_fallback) if key]
    try:
        return Passed(verify(request.body, request.headers.get(header.SIGNATURE), keys, now_ms))
    except SignatureError as error:
        return Refused(str(error))


def note_refusal(log: Logger, request: ServeRequest, refused: Refused) -> None:
    """Say in our log why a request was refused; its sender hears nothing of it."""
    log.warning("%s request refused: %s", request.method, refused.reason)


def kind_mismatch(request: ServeRequest, settings: Settings) -> str | None:
    """What to say to a server of the other kind; None if the kinds agree or none was named."""
    kind = header.server_kind(request.headers.get(header.SERVER_KIND))
    if kind is None or kind == settings.mode:
        return None
    names = {"dev": "Dev Server", "cloud": "Cloud"}
    article = "a " if kind == "dev" else ""
    fix = "unset INNGEST_DEV" if settings.mode == "dev" else "set INNGEST_DEV=1"
    return (
        f"Sync rejected since it's from {article}{names[kind]} but expected {names[settings.mode]}:"
        f" the request names the kind {kind!r}, the app is in {settings.mode!r} mode. To change the"
        f" app's mode, {fix}."
    )
