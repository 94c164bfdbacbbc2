"""The only place that turns what an operator wrote into a value, or says what is wrong with it."""

from collections.abc import Sequence
from typing import TypeAlias

from stepwell.server.config.setting import Kind, Setting, Value

Written: TypeAlias = "str | int | float | bool | Sequence[object] | None"

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})


class SettingError(ValueError):
    """One setting nobody can use: names the setting, the value, where it came from and the fix."""


def value_of(setting: Setting, written: Written, origin: str) -> Value:
    """What was written for a setting, checked. `origin` says where, for the error message."""
    match setting.kind:
        case Kind.LIST:
            return _texts(setting, written, origin)
        case Kind.SWITCH:
            return _switch(setting, written, origin)
        case Kind.NUMBER | Kind.FRACTION:
            return _number(setting, written, origin)
        case Kind.TEXT | Kind.CHOICE:
            return _text(setting, written, origin)


def _bad(setting: Setting, written: Written, origin: str, fix: str) -> SettingError:
    shown = "a secret" if setting.secret else repr(written)
    return SettingError(f"{setting.flag} ({origin}): {shown} cannot be used; {fix}")


def _texts(setting: Setting, written: Written, origin: str) -> tuple[str, ...]:
    if isinstance(written, str):
        written = (written,)
    if isinstance(written, Sequence) and all(isinstance(part, str) for part in written):
        parts = (part.strip() for text in written for part in str(text).split(","))
        return tuple(part for part in parts if part)
    raise _bad(setting, written, origin, "write texts, or one text with commas between them")


def _switch(setting: Setting, written: Written, origin: str) -> bool:
    if isinstance(written, bool):
        return written
    text = str(written).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise _bad(setting, written, origin, "write true or false")


def _number(setting: Setting, written: Written, origin: str) -> int | float:
    whole = setting.kind is Kind.NUMBER
    fix = "write a whole number" if whole else "write a number"
    if setting.low is not None and setting.high is not None:
        fix += f" between {setting.low:.0f} and {setting.high:.0f}"
    if setting.unit:
        fix += f" ({setting.unit})"
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        raise _bad(setting, written, origin, fix)
    try:
        number = int(str(written).strip()) if whole else float(written)
    except ValueError:
        raise _bad(setting, written, origin, fix) from None
    low = float("-inf") if setting.low is None else setting.low
    high = float("inf") if setting.high is None else setting.high
    if not low <= number <= high:
        raise _bad(setting, written, origin, fix)
    return number


def _text(setting: Setting, written: Written, origin: str) -> str | None:
    if written is None:
        return None
    if not isinstance(written, str):
        raise _bad(setting, written, origin, "write a text")
    text = written.strip()
    if setting.choices and text not in setting.choices:
        raise _bad(setting, written, origin, f"choose one of {', '.join(setting.choices)}")
    return text or None
