"""What a client is set to: constructor, then environment, then default.

Nothing here reads the process environment by itself: the caller passes the mapping, at first use
and not at import.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.settings.choice import Choices, Decision, Mode, parse_origin
from stepwell.sdk.settings.mode import Options, decide_mode
from stepwell.sdk.settings.platform_hint import platform_in

API_ORIGIN_CLOUD = "https://api.inngest.com/"
EVENT_ORIGIN_CLOUD = "https://inn.gs/"
ORIGIN_DEV = "http://127.0.0.1:8288/"
_CLOUD_HINT = (
    "; this is Inngest's cloud: to use a server of your own, set INNGEST_BASE_URL to its address,"
    " such as http://localhost:8288"
)
EVENT_KEY_DEV = "NO_EVENT_KEY_SET"

# The words of INNGEST_LOG_LEVEL, as `logging` counts; above them all is "nothing at all".
LogLevel: TypeAlias = Literal["debug", "info", "warn", "warning", "error", "fatal", "silent"]
LOG_LEVELS: Mapping[str, int] = {
    "debug": 10,
    "info": 20,
    "warn": 30,
    "warning": 30,
    "error": 40,
    "fatal": 50,
    "silent": 60,
}

# The first that is set names the branch environment.
_ENV_VARIABLES = (
    "INNGEST_ENV",
    "BRANCH_NAME",
    "VERCEL_GIT_COMMIT_REF",
    "BRANCH",
    "CF_PAGES_BRANCH",
    "RENDER_GIT_BRANCH",
    "RAILWAY_GIT_BRANCH",
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a client is set to. `decisions` holds the same values with their reasons."""

    mode: Mode
    mode_is_explicit: bool
    api_origin: str
    event_origin: str
    origin_is_explicit: bool
    event_key: str | None
    signing_key: str | None
    signing_key_fallback: str | None
    env: str | None
    platform: str | None
    session_propagation: bool = True
    log_level: str | None = None
    advice: str | None = None
    """What the user should change, if anything was set that has no effect any more."""
    decisions: tuple[Decision, ...]

    @property
    def guessed_origin(self) -> str | None:
        """The development server's URL if mode and URL are both guesses: probe it first."""
        guessed = self.mode == "dev" and not self.mode_is_explicit
        return (
            ORIGIN_DEV if guessed and ORIGIN_DEV in {self.api_origin, self.event_origin} else None
        )

    def __repr__(self) -> str:
        return f"Settings({', '.join(map(repr, self.decisions))})"  # never the keys themselves


def cloud_hint(origin: str) -> str:
    """What to add to the failure of a request to an origin: nothing, but for that of the cloud.

    Whoever has a server of their own and named none is told where the request went.
    """
    return _CLOUD_HINT if f"{origin.rstrip('/')}/" in {API_ORIGIN_CLOUD, EVENT_ORIGIN_CLOUD} else ""


def resolve(options: Options, environ: Mapping[str, str]) -> Settings:
    """Decide everything a client needs to know. Raises ConfigurationError on a value it cannot use.

    Precedence of origins: argument, INNGEST_API_BASE_URL or
    INNGEST_EVENT_API_BASE_URL, INNGEST_BASE_URL, INNGEST_DEV when it is a URL, the mode's default.
    """
    choices = Choices(environ)
    mode, explicit, dev_url = decide_mode(options, choices)
    api, api_told = _decide_origin(
        choices,
        "api_origin",
        (("api_base_url", options.api_base_url), ("base_url", options.base_url)),
        ("INNGEST_API_BASE_URL", "INNGEST_BASE_URL", "NEXT_PUBLIC_INNGEST_BASE_URL"),
        dev_url,
        mode,
        API_ORIGIN_CLOUD,
    )
    event, event_told = _decide_origin(
        choices,
        "event_origin",
        (("event_api_base_url", options.event_api_base_url), ("base_url", options.base_url)),
        ("INNGEST_EVENT_API_BASE_URL", "INNGEST_BASE_URL", "NEXT_PUBLIC_INNGEST_BASE_URL"),
        dev_url,
        mode,
        EVENT_ORIGIN_CLOUD,
    )
    event_key = choices.text("event_key", options.event_key, "INNGEST_EVENT_KEY")
    signing_key = choices.text("signing_key", options.signing_key, "INNGEST_SIGNING_KEY")
    fallback = choices.text(
        "signing_key_fallback", options.signing_key_fallback, "INNGEST_SIGNING_KEY_FALLBACK"
    )
    env = choices.text("env", options.env, *_ENV_VARIABLES)
    platform, told_by = platform_in(environ)
    choices.note("platform", platform, told_by or "no variable of a known platform is set")
    inheriting = choices.flag(
        "session_propagation", options.session_propagation, "INNGEST_SESSION_PROPAGATION", True
    )
    log_level = _decide_log_level(choices)
    return Settings(
        mode=mode,
        mode_is_explicit=explicit,
        api_origin=api,
        event_origin=event,
        origin_is_explicit=api_told or event_told,
        event_key=event_key,
        signing_key=signing_key,
        signing_key_fallback=fallback,
        env=env,
        platform=platform,
        session_propagation=inheriting,
        log_level=log_level,
        advice=_advice(choices),
        decisions=tuple(choices.made),
    )


def _decide_log_level(choices: Choices) -> str | None:
    found = choices.variable("INNGEST_LOG_LEVEL")
    if found is None:
        choices.note("log_level", None, "as logging is configured; no INNGEST_LOG_LEVEL")
        return None
    word = found[1].lower()
    if word not in LOG_LEVELS:
        raise ConfigurationError(
            f"INNGEST_LOG_LEVEL is {found[1]!r}. Set it to one of {', '.join(LOG_LEVELS)}, or"
            " unset it."
        )
    choices.note("log_level", word, f"{found[0]}={found[1]}")
    return word


def _advice(choices: Choices) -> str | None:
    """What to say about a variable that older SDKs read."""
    found = choices.variable("INNGEST_DEVSERVER_URL")
    if found is None or choices.variable("INNGEST_DEV") is not None:
        return None
    return f"INNGEST_DEVSERVER_URL is not read any more: set INNGEST_DEV={found[1]} instead"


def _decide_origin(
    choices: Choices,
    name: str,
    told: tuple[tuple[str, str | None], ...],
    variables: tuple[str, ...],
    dev_url: str | None,
    mode: Mode,
    cloud: str,
) -> tuple[str, bool]:
    """The origin, and whether anybody named it."""
    found = next(((label, value) for label, value in told if value), None)
    reason = None if found is None else f"argument {found[0]}"
    if found is None:
        found = choices.variable(*variables)
        reason = None if found is None else found[0]
    if found is not None and reason is not None:
        origin = parse_origin(found[0], found[1], mode)
        choices.note(name, origin, reason)
        return origin, True
    if dev_url is not None:
        choices.note(name, dev_url, "INNGEST_DEV")
        return dev_url, True
    origin = ORIGIN_DEV if mode == "dev" else cloud
    choices.note(name, origin, f"default of {mode} mode")
    return origin, False
