"""How one setting is decided: argument, then environment, then default; and how its text is read.

Every decision carries its reason, so that `stepwell config` and error messages can say why a value
is what it is.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from stepwell.sdk.errors import ConfigurationError, URLInvalidError

Mode = Literal["cloud", "dev"]

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})
HOST = re.compile(
    r"^(localhost|\[[0-9a-f:.]+\]|[\w-]+(\.[\w-]+)+|[\w-]+(?=:\d))(:\d{1,5})?(/.*)?$",
    re.IGNORECASE,
)


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


def fingerprint(secret: str) -> str:
    """The first 12 hex digits of the SHA-256 of `secret`: enough to compare, too few to use."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def parse_flag(name: str, text: str) -> bool:
    """Read a yes/no variable: 1/true/yes/on or 0/false/no/off, in any case; others raise."""
    word = text.strip().lower()
    if word in TRUE:
        return True
    if word in FALSE:
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
        if not HOST.match(value):
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


class Choices:
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
