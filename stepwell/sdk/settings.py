"""The only place that decides what a client is set to: constructor, then environment, then default.

Nothing here reads the process environment by itself: the caller passes the mapping, at first use
and not at import. Every decision carries its reason, so that `stepwell config` and error messages
can say why a value is what it is. The only way to a cloud URL is the documented default mode or an
explicit wish; nothing falls back to one.

Sources: http.md section 1; features A.9 (E-180 to E-186) and A.10 (E-190 to E-193).
"""

import enum
import hashlib
import re
from collections.abc import Mapping
from typing import Literal, cast
from urllib.parse import urlsplit

import msgspec

from stepwell.sdk.errors import ConfigurationError, URLInvalidError

Mode = Literal["cloud", "dev"]
Introspected = Literal["signed", "open"]
"""Whom an endpoint in cloud mode tells of itself on GET: whoever signed, or anybody a little."""

API_ORIGIN_CLOUD = "https://api.inngest.com/"
EVENT_ORIGIN_CLOUD = "https://inn.gs/"
ORIGIN_DEV = "http://127.0.0.1:8288/"
EVENT_KEY_DEV = "NO_EVENT_KEY_SET"

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_HOST = re.compile(
    r"^(localhost|\[[0-9a-f:.]+\]|[\w-]+(\.[\w-]+)+|[\w-]+(?=:\d))(:\d{1,5})?(/.*)?$",
    re.IGNORECASE,
)

# The words of INNGEST_LOG_LEVEL, as `logging` counts; above them all is "nothing at all".
LOG_LEVELS: Mapping[str, int] = {
    "debug": 10,
    "info": 20,
    "warn": 30,
    "warning": 30,
    "error": 40,
    "fatal": 50,
    "silent": 60,
}

# The first that is set names the branch environment (E-190).
_ENV_VARIABLES = (
    "INNGEST_ENV",
    "BRANCH_NAME",
    "VERCEL_GIT_COMMIT_REF",
    "BRANCH",
    "CF_PAGES_BRANCH",
    "RENDER_GIT_BRANCH",
    "RAILWAY_GIT_BRANCH",
)
# (variable, its value or None for "any", platform name): E-193.
_PLATFORMS: tuple[tuple[str, str | None, str], ...] = (
    ("VERCEL", "1", "vercel"),
    ("NETLIFY", "true", "netlify"),
    ("CF_PAGES", "1", "cloudflare-pages"),
    ("RENDER", "true", "render"),
    ("RAILWAY_ENVIRONMENT", None, "railway"),
    ("AWS_LAMBDA_FUNCTION_NAME", None, "aws-lambda"),
    ("K_SERVICE", None, "google-cloud-run"),
    ("WEBSITE_INSTANCE_ID", None, "azure-functions"),
    ("DYNO", None, "heroku"),
    ("FLY_APP_NAME", None, "fly"),
    ("MODAL_TASK_ID", None, "modal"),
    ("__OW_ACTION_NAME", None, "digitalocean"),
    ("KUBERNETES_SERVICE_HOST", None, "kubernetes"),
)
# Production hints of mode "auto" (E-183): set at all, or beginning with "prod".
_HINTS_SET = (
    "DENO_DEPLOYMENT_ID",
    "NETLIFY",
    "RENDER",
    "RAILWAY_GIT_BRANCH",
    "CF_PAGES",
    "AWS_LAMBDA_FUNCTION_NAME",
    "K_SERVICE",
    "WEBSITE_INSTANCE_ID",
    "DYNO",
    "FLY_APP_NAME",
    "KUBERNETES_SERVICE_HOST",
)
_GUESS = "no hint of production; the development server is asked for before anything is sent"
_HINTS_PROD = (
    "CONTEXT",
    "ENVIRONMENT",
    "NODE_ENV",
    "VERCEL_ENV",
    "FLASK_ENV",
    "APP_ENV",
    "PYTHON_ENV",
)


class Streaming(enum.Enum):
    """Whether a served function answers at once with 201 and keep-alive bytes (http.md 6.10)."""

    DISABLE = "disable"
    FORCE = "force"


class Decision(msgspec.Struct, frozen=True):
    """One setting as it was decided: its name, its value and where the value came from."""

    name: str
    value: str | bool | int | None
    reason: str
    secret: bool = False

    @property
    def shown(self) -> str:
        """The value as it may be printed: of a secret only a fingerprint (12 hex digits)."""
        if self.value is None:
            return "not set"
        if self.secret:
            return f"sha256:{fingerprint(str(self.value))}"
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)

    def __repr__(self) -> str:
        return f"{self.name}={self.shown} ({self.reason})"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a constructor was told; None means "not said"."""

    api_base_url: str | None = None
    event_api_base_url: str | None = None
    base_url: str | None = None
    env: str | None = None
    event_key: str | None = None
    signing_key: str | None = None
    signing_key_fallback: str | None = None
    is_production: bool | None = None
    is_dev: bool | None = None
    mode: Literal["cloud", "dev", "auto"] | None = None
    session_propagation: bool | None = None


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `serve(...)` was told; None means "not said"."""

    serve_origin: str | None = None
    serve_path: str | None = None
    public_path: str | None = None
    streaming: Streaming | None = None
    enable_unauthed_sync: bool | None = None
    allow_in_band_sync: bool | None = None
    trust_proxy: bool | None = None
    introspection: Introspected | None = None


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
        """The development server's URL if mode and URL are both guesses: probe it first (E-184)."""
        guessed = self.mode == "dev" and not self.mode_is_explicit
        return (
            ORIGIN_DEV if guessed and ORIGIN_DEV in {self.api_origin, self.event_origin} else None
        )

    def __repr__(self) -> str:
        return f"Settings({', '.join(map(repr, self.decisions))})"  # never the keys themselves


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


def fingerprint(secret: str) -> str:
    """The first 12 hex digits of the SHA-256 of `secret`: enough to compare, too few to use."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def parse_flag(name: str, text: str) -> bool:
    """Read a yes/no variable: 1/true/yes/on or 0/false/no/off, in any case; others raise."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ConfigurationError(
        f"{name} is {text!r}, which is neither yes nor no. Set it to 1 or 0, or unset it."
    )


def parse_origin(name: str, text: str, mode: Mode) -> str:
    """Read a server's URL. Without a scheme, http is added in dev mode and https in cloud mode.

    A path is kept as a prefix for every request; query and fragment are refused, as is all that is
    no URL: with URLInvalidError.
    """
    value = text.strip()
    if "://" not in value:
        if not _HOST.match(value):
            raise URLInvalidError(
                message=f"{name} is {text!r}, which is not a URL. Give scheme and host, for "
                "example http://127.0.0.1:8288."
            )
        value = f"{'http' if mode == 'dev' else 'https'}://{value}"
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise URLInvalidError(
            message=f"{name} is {text!r}, which is not a URL: {error}."
        ) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise URLInvalidError(
            message=f"{name} is {text!r}; only http and https URLs with a host can be used."
        )
    if parts.query or parts.fragment:
        raise URLInvalidError(message=f"{name} is {text!r}; remove everything from '?' or '#' on.")
    return value


class _Choices:
    """Collects decisions while they are made: argument, then variables, then default."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.made: list[Decision] = []

    def note(self, name: str, value: str | bool | int | None, reason: str) -> None:
        self.made.append(Decision(name, value, reason, "_key" in name))

    def variable(self, *names: str) -> tuple[str, str] | None:
        """The first of the variables that is set and not blank, with its value."""
        for name in names:
            value = self.environ.get(name, "").strip()
            if value:
                return name, value
        return None

    def text(self, name: str, told: str | None, variable: str, *more: str) -> str | None:
        if told:
            self.note(name, told, f"argument {name}")
            return told
        found = self.variable(variable, *more)
        if found is None:
            others = f" or {len(more)} others" if len(more) > 1 else ""
            self.note(name, None, f"no argument {name}, no {variable}{others}")
            return None
        self.note(name, found[1], found[0])
        return found[1]

    def flag(
        self, name: str, told: bool | None, variable: str, default: bool, why: str = ""
    ) -> bool:
        if told is not None:
            self.note(name, told, f"argument {name}")
            return told
        found = self.variable(variable)
        value = default if found is None else parse_flag(*found)
        untold = why or f"default; no {variable}"
        self.note(name, value, untold if found is None else f"{found[0]}={found[1]}")
        return value


def resolve(options: Options, environ: Mapping[str, str]) -> Settings:
    """Decide everything a client needs to know. Raises ConfigurationError on a value it cannot use.

    Precedence of origins (http.md 1.3): argument, INNGEST_API_BASE_URL or
    INNGEST_EVENT_API_BASE_URL, INNGEST_BASE_URL, INNGEST_DEV when it is a URL, the mode's default.
    """
    choices = _Choices(environ)
    mode, explicit, dev_url = _decide_mode(options, choices)
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
    platform, told_by = _platform(environ)
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


def resolve_serve(options: ServeOptions, environ: Mapping[str, str], mode: Mode) -> ServeSettings:
    """Decide what one endpoint needs to know. Raises ConfigurationError as `resolve` does."""
    choices = _Choices(environ)
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
    platform, _ = _platform(environ)
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


def _decide_introspection(told: Introspected | None, choices: _Choices) -> Introspected:
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


def _decide_streaming(told: Streaming | None, choices: _Choices) -> Streaming:
    if told is not None:
        if not isinstance(cast(object, told), Streaming):
            raise ConfigurationError(
                f"streaming = {told!r}: give Streaming.FORCE or Streaming.DISABLE"
            )
        choices.note("streaming", told.value, "argument streaming")
        return told
    found = choices.variable("INNGEST_STREAMING")
    if found is None:
        choices.note("streaming", Streaming.DISABLE.value, "default; no INNGEST_STREAMING")
        return Streaming.DISABLE
    word = found[1].lower()
    if word in {"force", "allow", *_TRUE}:
        value = Streaming.FORCE
    elif word in {"disable", *_FALSE}:
        value = Streaming.DISABLE
    else:
        raise ConfigurationError(
            f"INNGEST_STREAMING is {found[1]!r}. Set it to 'force' or 'disable', or unset it."
        )
    choices.note("streaming", value.value, f"INNGEST_STREAMING={found[1]}")
    return value


def _decide_threads(choices: _Choices) -> int | None:
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


def _decide_log_level(choices: _Choices) -> str | None:
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


def _advice(choices: _Choices) -> str | None:
    """What to say about a variable that older SDKs read."""
    found = choices.variable("INNGEST_DEVSERVER_URL")
    if found is None or choices.variable("INNGEST_DEV") is not None:
        return None
    return f"INNGEST_DEVSERVER_URL is not read any more: set INNGEST_DEV={found[1]} instead"


def _decide_mode(options: Options, choices: _Choices) -> tuple[Mode, bool, str | None]:
    """The mode, whether somebody said so, and the URL in INNGEST_DEV if there is one."""
    told = _told_mode(options)
    dev = choices.variable("INNGEST_DEV", "NEXT_PUBLIC_INNGEST_DEV")
    from_variable, url = (None, None) if dev is None else _read_dev(*dev)
    if told is not None:
        choices.note("mode", told[0], told[1])
        return told[0], True, url
    if dev is not None and from_variable is not None:
        choices.note("mode", from_variable, f"{dev[0]}={dev[1]}")
        return from_variable, True, url
    if options.mode == "auto":
        hint = _production_hint(choices.environ)
        mode: Mode = "dev" if hint is None else "cloud"
        choices.note("mode", mode, f"auto: {hint or _GUESS}")
        return mode, False, None
    choices.note("mode", "cloud", "default; set INNGEST_DEV=1 for development")
    return "cloud", False, None


def mode_is_told(options: Options) -> bool:
    """Did the constructor say the mode, rather than leave it to the environment?"""
    return _told_mode(options) is not None


def _told_mode(options: Options) -> tuple[Mode, str] | None:
    """What the constructor's three spellings say together; raises if they contradict."""
    said: list[tuple[Mode, str]] = []
    if options.is_production is not None:
        said.append(
            ("cloud" if options.is_production else "dev", f"is_production={options.is_production}")
        )
    if options.is_dev is not None:
        said.append(("dev" if options.is_dev else "cloud", f"is_dev={options.is_dev}"))
    if options.mode is not None and options.mode not in {"cloud", "dev", "auto"}:
        raise ConfigurationError(f"mode is {options.mode!r}. It can be 'cloud', 'dev' or 'auto'.")
    if options.mode in {"cloud", "dev"}:
        said.append(("dev" if options.mode == "dev" else "cloud", f"mode={options.mode!r}"))
    if len({mode for mode, _ in said}) > 1:
        raise ConfigurationError(
            f"{' and '.join(reason for _, reason in said)} contradict each other. Keep one of them."
        )
    return (said[0][0], f"argument {said[0][1]}") if said else None


def _read_dev(name: str, text: str) -> tuple[Mode, str | None]:
    """INNGEST_DEV is a flag or the development server's URL (E-181, E-182)."""
    word = text.lower()
    if word in _TRUE:
        return "dev", None
    if word in _FALSE:
        return "cloud", None
    if "://" not in text and not _HOST.match(text):
        raise ConfigurationError(
            f"{name} is {text!r}. Set it to 1, to 0 or to the URL of a development server, "
            "for example http://127.0.0.1:8288."
        )
    return "dev", parse_origin(name, text, "dev")


def _production_hint(environ: Mapping[str, str]) -> str | None:
    """The variable that speaks for production, as NAME=value, or None (E-183)."""
    for name in _HINTS_PROD:
        value = environ.get(name, "")
        if value.lower().startswith("prod"):
            return f"{name}={value}"
    vercel = environ.get("VERCEL_ENV", "")
    if vercel and vercel != "development":
        return f"VERCEL_ENV={vercel}"
    for name in _HINTS_SET:
        if environ.get(name):
            return f"{name}={environ[name]}"
    django = environ.get("DJANGO_SETTINGS_MODULE", "")
    return f"DJANGO_SETTINGS_MODULE={django}" if django.endswith("production") else None


def _decide_origin(
    choices: _Choices,
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


def _platform(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The platform, and the variable that tells it as NAME=value (E-193)."""
    for name, wanted, platform in _PLATFORMS:
        value = environ.get(name)
        if value and (wanted is None or value.lower() == wanted):
            return platform, f"{name}={value}"
    return None, None
