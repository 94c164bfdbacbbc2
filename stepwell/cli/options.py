"""The options of `dev` and `start`, made from the one list of settings."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from stepwell.server.config import (
    SDK_VARIABLES,
    Command,
    ConfigError,
    Kind,
    ServerConfig,
    Setting,
    Surroundings,
    server_config,
    settings_of,
)

_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
_METAVARS = {Kind.TEXT: "TEXT", Kind.LIST: "TEXT", Kind.NUMBER: "N", Kind.FRACTION: "N"}

F = TypeVar("F", bound=Callable[..., Any])


def setting_options(command: Command) -> Callable[[F], F]:
    """Gives a click command one option for each setting it knows, in the order of the list."""

    def decorate(function: F) -> F:
        for setting in reversed(settings_of(command)):
            function = _option(setting, command)(function)
        return function

    return decorate


def configured(command: Command, given: Mapping[str, Any]) -> ServerConfig:
    """The configuration of this process; exits with every problem where there is one."""
    flags = {
        setting.flag: _said(setting, given.get(setting.field)) for setting in settings_of(command)
    }
    try:
        return server_config(command, flags, surroundings())
    except ConfigError as error:
        problems = "\n".join(f"  - {problem}" for problem in error.problems)
        raise click.ClickException(f"stepwell {command} cannot start:\n{problems}") from None


def surroundings() -> Surroundings:
    """What this process knows about where it runs."""
    in_container = any(Path(mark).exists() for mark in _CONTAINER_MARKS)
    return Surroundings(os.environ, Path.cwd(), Path.home(), in_container)


def _said(setting: Setting, value: Any) -> Any:
    """What the command line said; nothing where an option was not given."""
    if setting.kind is Kind.LIST:
        return value or None
    if setting.kind is Kind.SWITCH:
        return True if value else None
    return value


def _option(setting: Setting, command: Command) -> Callable[[F], F]:
    names = [f"--{setting.flag}", *([f"-{setting.short}"] if setting.short else [])]
    more: dict[str, Any] = {"metavar": _METAVARS.get(setting.kind)}
    if setting.kind is Kind.SWITCH:
        more = {"is_flag": True}
    elif setting.kind is Kind.LIST:
        more["multiple"] = True
    elif setting.kind is Kind.CHOICE:
        more["metavar"] = "|".join(setting.choices)
    return click.option(*names, setting.field, help=_help(setting, command), **more)


def _help(setting: Setting, command: Command) -> str:
    default = setting.default_of(command)
    if setting.kind is Kind.SWITCH:
        shown = "off"
    elif default is None or default == ():
        shown = "none"
    else:
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        shown += f" {setting.unit}" if setting.unit else ""
    text = f"{setting.help}."
    if setting.idle:
        text += f" Accepted without effect: {setting.idle}."
    by_flag_alone = command is Command.DEV and setting.flag in SDK_VARIABLES
    variable = "" if by_flag_alone else f"; env: {setting.variables[1]}"
    return f"{text} [default: {shown}{variable}]"
