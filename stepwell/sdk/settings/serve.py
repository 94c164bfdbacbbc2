"""What one endpoint is set to: argument, then environment, then default."""

import enum
from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.settings.choice import FALSE, TRUE, Choices, Decision, Mode, parse_origin
from stepwell.sdk.settings.platform_hint import platform_in

Introspected = Literal["signed", "open"]
"""Whom an endpoint in cloud mode tells of itself on GET: whoever signed, or anybody a little."""


class Streaming(enum.Enum):
    """Whether a served function answers at once with 201 and keep-alive bytes."""

    DISABLE = "disable"
    ALLOW = "allow"
    """On platforms that are known to pass pieces on, with adapters that can."""
    FORCE = "force"


StreamingChoice: TypeAlias = Streaming | bool | Literal["allow", "force", "disable"]
"""What `streaming=` takes: one of these, or its word; True is to force it, False to leave it."""
_PASS_PIECES_ON = frozenset({"vercel", "cloudflare-pages"})


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `serve(...)` was told; None means "not said"."""

    serve_origin: str | None = None
    serve_path: str | None = None
    public_path: str | None = None
    streaming: StreamingChoice | None = None
    enable_unauthed_sync: bool | None = None
    allow_in_band_sync: bool | None = None
    trust_proxy: bool | None = None
    introspection: Introspected | None = None


class ServeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What one served endpoint is set to. `threads_max` None means Python's own default."""

    serve_origin: str | None
    serve_path: str | None
    public_path: str | None
    streaming: Streaming
    unauthed_sync: bool
    in_band_sync: bool
    threads_max: int | None
    trust_proxy: bool
    introspection: Introspected
    decisions: tuple[Decision, ...]


def resolve_serve(options: ServeOptions, environ: Mapping[str, str], mode: Mode) -> ServeSettings:
    """Decide what one endpoint needs to know. Raises ConfigurationError as `resolve` does."""
    choices = Choices(environ)
    for name in ("serve_origin", "serve_path", "public_path"):
        told = cast(object, getattr(options, name))
        if told is not None and not isinstance(told, str):
            raise ConfigurationError(f"{name} = {told!r}: give text")
    origin = choices.text(
        "serve_origin", options.serve_origin, "INNGEST_SERVE_ORIGIN", "INNGEST_SERVE_HOST"
    )
    if origin is not None and "://" not in origin:
        origin = f"https://{origin}"
    path = choices.text("serve_path", options.serve_path, "INNGEST_SERVE_PATH")
    unauthed = choices.flag(
        "enable_unauthed_sync", options.enable_unauthed_sync, "INNGEST_ENABLE_UNAUTHED_SYNC", False
    )
    in_band = choices.flag(
        "allow_in_band_sync", options.allow_in_band_sync, "INNGEST_ALLOW_IN_BAND_SYNC", True
    )
    # On a known platform the proxy is the platform's own and overwrites what strangers send (E.1).
    platform, _ = platform_in(environ)
    managed = platform not in {None, "kubernetes"}
    trust = choices.flag(
        "trust_proxy",
        options.trust_proxy,
        "STEPWELL_TRUST_PROXY",
        managed,
        f"the proxy is that of {platform}" if managed else "",
    )
    return ServeSettings(
        serve_origin=None if origin is None else parse_origin("serve_origin", origin, mode),
        serve_path=_with_slash(path),
        public_path=_with_slash(options.public_path),
        streaming=_decide_streaming(options.streaming, choices),
        # A development server has no key to sign with.
        unauthed_sync=unauthed or mode == "dev",
        in_band_sync=in_band,
        threads_max=_decide_threads(choices),
        trust_proxy=trust,
        introspection=_decide_introspection(options.introspection, choices),
        decisions=tuple(choices.made),
    )


def _with_slash(path: str | None) -> str | None:
    return None if not path else path if path.startswith("/") else f"/{path}"


def _decide_introspection(told: Introspected | None, choices: Choices) -> Introspected:
    found = choices.variable("STEPWELL_INTROSPECTION")
    if told is not None:
        value, reason = str(told), "argument introspection"
    elif found is not None:
        value, reason = found[1], f"{found[0]}={found[1]}"
    else:
        value, reason = "signed", "default; no STEPWELL_INTROSPECTION"
    if value not in {"signed", "open"}:
        raise ConfigurationError(
            f"introspection is {value!r} ({reason}). Set it to 'signed' or 'open', or unset it."
        )
    choices.note("introspection", value, reason)
    return "open" if value == "open" else "signed"


def _decide_streaming(told: StreamingChoice | None, choices: Choices) -> Streaming:
    wish = _streaming_wish(told, choices)
    platform, _ = platform_in(choices.environ)
    if wish is not Streaming.ALLOW or platform in _PASS_PIECES_ON:
        return wish
    where = "no known platform" if platform is None else f"platform {platform}"
    choices.note("streaming", Streaming.DISABLE.value, f"allowed, but on {where}")
    return Streaming.DISABLE


def _streaming_wish(told: StreamingChoice | None, choices: Choices) -> Streaming:
    if told is not None:
        wish = _streaming_of(told)
        choices.note("streaming", wish.value, "argument streaming")
        return wish
    found = choices.variable("INNGEST_STREAMING")
    if found is None:
        choices.note("streaming", Streaming.DISABLE.value, "default; no INNGEST_STREAMING")
        return Streaming.DISABLE
    word = found[1].lower()
    if word in {"force", *TRUE}:
        value = Streaming.FORCE
    elif word == "allow":
        value = Streaming.ALLOW
    elif word in {"disable", *FALSE}:
        value = Streaming.DISABLE
    else:
        raise ConfigurationError(
            f"INNGEST_STREAMING is {found[1]!r}. Set it to 'force', 'allow' or 'disable', or unset"
            " it."
        )
    choices.note("streaming", value.value, f"INNGEST_STREAMING={found[1]}")
    return value


def _streaming_of(told: object) -> Streaming:
    if isinstance(told, bool):
        return Streaming.FORCE if told else Streaming.DISABLE
    try:
        return Streaming(told)
    except ValueError:
        raise ConfigurationError(
            f"streaming = {told!r}: give Streaming.FORCE, Streaming.ALLOW or Streaming.DISABLE, or"
            " True or False"
        ) from None


def _decide_threads(choices: Choices) -> int | None:
    found = choices.variable("INNGEST_THREAD_POOL_MAX_WORKERS")
    if found is None:
        choices.note("threads_max", None, "Python's own number; no INNGEST_THREAD_POOL_MAX_WORKERS")
        return None
    if not found[1].isdecimal():
        raise ConfigurationError(
            f"{found[0]} is {found[1]!r}. Give the number of threads for plain functions; 0 means "
            "none."
        )
    choices.note("threads_max", int(found[1]), f"{found[0]}={found[1]}")
    return int(found[1])
