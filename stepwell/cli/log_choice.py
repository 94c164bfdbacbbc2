"""How a command is told to log: the choice, and the options that make it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

LEVELS = ("trace", "debug", "info", "warn", "error")

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChoice:
    """How to log: what the group was told, overridden by what the command was told."""

    as_json: bool = False
    verbose: bool = False
    level: str | None = None
    """None is "not said"."""

    def over(self, other: "LogChoice | None") -> "LogChoice":
        """This choice, completed by another."""
        if other is None:
            return self
        return LogChoice(
            as_json=self.as_json or other.as_json,
            verbose=self.verbose or other.verbose,
            level=self.level or other.level,
        )


def group_choice() -> LogChoice | None:
    """What was said before the name of the command."""
    found = click.get_current_context().obj
    return found if isinstance(found, LogChoice) else None


def log_options(function: F) -> F:
    """Gives a command the three options of logging."""
    level = click.option(
        "--log-level",
        "-l",
        type=click.Choice(LEVELS),
        help="What to log. [default: info; env: LOG_LEVEL]",
    )
    verbose = click.option("--verbose", is_flag=True, help="Log details, as --log-level debug.")
    as_json = click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Log as JSON; always so where the output is no terminal. [env: LOG_HANDLER=json]",
    )
    return level(verbose(as_json(function)))
