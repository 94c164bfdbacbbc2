"""Cloud or development: what a constructor and the environment say together.

The only way to the cloud is the documented default or an explicit wish; nothing falls back to it.
"""

from typing import Literal

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.settings.choice import FALSE, HOST, TRUE, Choices, Mode, parse_origin
from stepwell.sdk.settings.platform_hint import production_hint

_GUESS = "no hint of production; the development server is asked for before anything is sent"


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


def decide_mode(options: Options, choices: Choices) -> tuple[Mode, bool, str | None]:
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
        hint = production_hint(choices.environ)
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
    """INNGEST_DEV is a flag or the development server's URL."""
    word = text.lower()
    if word in TRUE:
        return "dev", None
    if word in FALSE:
        return "cloud", None
    if "://" not in text and not HOST.match(text):
        raise ConfigurationError(
            f"{name} is {text!r}. Set it to 1, to 0 or to the URL of a development server, "
            "for example http://127.0.0.1:8288."
        )
    return "dev", parse_origin(name, text, "dev")
