"""What every `serve` takes besides the arguments it names: the only list of them."""

from typing import TypedDict

from stepwell.sdk.net.given import HttpCallable, HttpxClient
from stepwell.sdk.net.port import HttpPort
from stepwell.sdk.settings import Introspected, LogLevel


class MoreOptions(TypedDict, total=False):
    """Options of endpoints that few need. Whatever is left out is decided by the client's settings
    and the environment."""

    serve_host: str | None
    """Another name of `serve_origin`."""
    base_url: str | None
    """Origin of the server's APIs, in place of the client's; for all that the client does."""
    signing_key: str | None
    """Key that server and app sign with, in place of the client's, for this endpoint; for all that
    the client does if it has none."""
    signing_key_fallback: str | None
    """The previous signing key, during a rotation."""
    allow_in_band_sync: bool | None
    """Put the configuration into the answer to a signed sync, default true."""
    fetch: HttpPort | HttpCallable | HttpxClient | None
    """What makes HTTP requests, in place of the client's; for all that the client does."""
    id: str | None
    """Deprecated: the app's id. It is the client's `app_id`; another one is refused."""
    introspection: Introspected | None
    """Whom the endpoint tells of itself in cloud mode: "signed" requests (the default), or "open"
    for a little to anybody."""
    log_level: LogLevel | None
    """From which level on the SDK writes to its own logger, as `INNGEST_LOG_LEVEL` says."""
