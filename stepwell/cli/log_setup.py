"""The only place that decides how the log looks: lines for people, or JSON for machines."""

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from rich.logging import RichHandler

from stepwell.cli.log_choice import LogChoice
from stepwell.cli.terminal import console

_NUMBERS = {"trace": 5, "debug": 10, "info": 20, "warn": 30, "error": 40}

_OF_LOGGING = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def set_up_logging(choice: LogChoice, environment: Mapping[str, str]) -> None:
    """Configure the process's log. Call once, from a command that serves."""
    logging.basicConfig(level=logging.WARNING, handlers=[_handler(choice, environment)], force=True)
    logging.getLogger("stepwell").setLevel(_level(choice, environment))


def set_up_last_resort(choice: LogChoice, environment: Mapping[str, str]) -> None:
    """Have lines that a program does not handle itself look like ours."""
    logging.lastResort = _handler(choice, environment)


def print_lines_of_functions(choice: LogChoice, environment: Mapping[str, str]) -> None:
    """From the level that was asked for, if the program, which is loaded, configured nothing."""
    root, ours = logging.getLogger(), logging.getLogger("stepwell")
    if not root.handlers and root.level == logging.WARNING and ours.level == logging.NOTSET:
        ours.setLevel(_level(choice, environment))


def _level(choice: LogChoice, environment: Mapping[str, str]) -> int:
    level = choice.level or environment.get("LOG_LEVEL", "").lower()
    number = _NUMBERS.get(level, 20)
    return min(number, 10) if choice.verbose else number


def _handler(choice: LogChoice, environment: Mapping[str, str]) -> logging.Handler:
    machine = choice.as_json or environment.get("LOG_HANDLER") == "json" or not sys.stderr.isatty()
    handler: logging.Handler
    if machine:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
    else:
        handler = RichHandler(console=console(stderr=True), show_path=False, log_time_format="[%X]")
        handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, msg, the facts a record brings (such as run_id)
    and what it was given as `extra`, and the error where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        more = {key: value for key, value in vars(record).items() if key not in _OF_LOGGING}
        facts = cast("dict[str, Any]", more.pop("facts", {}))
        line.update({key: fact for key, fact in (facts | more).items() if key not in line})
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = "".join(traceback.format_exception(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False, default=str)
