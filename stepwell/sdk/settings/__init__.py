"""What a client and an endpoint are set to: the names that other rooms use."""

from stepwell.sdk.settings.choice import Decision, Mode, fingerprint, parse_flag, parse_origin
from stepwell.sdk.settings.client import (
    API_ORIGIN_CLOUD,
    EVENT_KEY_DEV,
    EVENT_ORIGIN_CLOUD,
    LOG_LEVELS,
    ORIGIN_DEV,
    LogLevel,
    Settings,
    cloud_hint,
    resolve,
)
from stepwell.sdk.settings.mode import Options, mode_is_told
from stepwell.sdk.settings.serve import (
    Introspected,
    ServeOptions,
    ServeSettings,
    Streaming,
    StreamingChoice,
    resolve_serve,
)

__all__ = [
    "Decision",
    "Mode",
    "fingerprint",
    "parse_flag",
    "parse_origin",
    "API_ORIGIN_CLOUD",
    "EVENT_KEY_DEV",
    "EVENT_ORIGIN_CLOUD",
    "LOG_LEVELS",
    "LogLevel",
    "ORIGIN_DEV",
    "Settings",
    "cloud_hint",
    "resolve",
    "Options",
    "mode_is_told",
    "Introspected",
    "ServeOptions",
    "ServeSettings",
    "Streaming",
    "StreamingChoice",
    "resolve_serve",
]
