"""The only place that decides how the log looks: lines for people, or JSON for machines."""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import click
from rich.logging import RichHandler

from stepwell.cli.terminal import console

LEVELS = ("trace", "debug", "info", "warn", "error")
_NUMBERS = {"trace": 5, "debug": 10, "info": 20, "warn": 30, "error": 40}

F = TypeVar("F", bound=Callable[..., Any])


class LogChoice:
    """How to log: what the group was told, overridden by what the command was told."""

    def __init__(self, *, as_json: bool, verbose: bool, level: str | None) -> None:
        """`level` None is "not said"."""
        self.as_json = as_json
        self.verbose = verbose
        self.level = level

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


def set_up_logging(choice: LogChoice, environment: Mapping[str, str]) -> None:
    """Configure the process's log. Call once, from a command that serves."""
    level = choice.level or environment.get("LOG_LEVEL", "").lower()
    number = _NUMBERS.get(level, 20)
    if choice.verbose:
        number = min(number, 10)
    machine = choice.as_json or environment.get("LOG_HANDLER") == "json" or not sys.stderr.isatty()
    handler: logging.Handler
    if machine:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
    else:
        handler = RichHandler(console=console(stderr=True), show_path=False, log_time_format="[%X]")
        handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("stepwell").setLevel(number)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, msg, the facts a record brings (such as run_id),
    and the error where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        facts = cast("dict[str, Any]", getattr(record, "facts", {}))
        line.update({key: fact for key, fact in facts.items() if key not in line})
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = "".join(traceback.format_exception(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False)
