"""How a command logs: what was said on the way decides, and a pipe gets JSON."""

import io
import json
import logging
import sys
from collections.abc import Iterator, Mapping

import pytest
from rich.logging import RichHandler

from stepwell.cli.log_choice import LogChoice
from stepwell.cli.log_setup import (
    JsonLines,
    print_lines_of_functions,
    set_up_last_resort,
    set_up_logging,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("stepwell")
    before, last = (root.handlers[:], root.level, ours.level), logging.lastResort
    yield
    root.handlers[:], level, own = before
    logging.lastResort = last
    root.setLevel(level)
    ours.setLevel(own)


def set_up(
    environment: Mapping[str, str], *, as_json: bool = False, verbose: bool = False, level: str = ""
) -> logging.Handler:
    """The one handler there is then."""
    set_up_logging(LogChoice(as_json=as_json, verbose=verbose, level=level or None), environment)
    (handler,) = logging.getLogger().handlers
    return handler


@pytest.mark.parametrize(
    ("environment", "as_json"), [({}, True), ({"LOG_HANDLER": "json"}, False), ({}, False)]
)
def test_json_is_for_machines(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], as_json: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    asked = as_json or bool(environment)
    handler = set_up(environment, as_json=as_json)
    assert isinstance(handler, RichHandler) is not asked
    assert isinstance(handler.formatter, JsonLines) is asked
    record = logging.LogRecord("stepwell", 20, "", 1, "listening", None, None)
    assert (handler.format(record) == "listening") is not asked


def test_where_the_output_is_no_terminal_the_log_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    set_up({})
    logging.getLogger("stepwell.x").warning("told %s", 1, extra={"facts": {"run_id": "01A"}})
    line = json.loads(stream.getvalue())
    assert (line["level"], line["msg"], line["run_id"]) == ("warning", "told 1", "01A")


@pytest.mark.parametrize(
    ("environment", "said", "level"),
    [
        ({}, {}, logging.INFO),
        ({"LOG_LEVEL": "error"}, {}, logging.ERROR),
        ({"LOG_LEVEL": "error"}, {"level": "warn"}, logging.WARNING),
        ({"LOG_LEVEL": "error"}, {"verbose": True}, logging.DEBUG),
        ({"LOG_LEVEL": "loud"}, {}, logging.INFO),
    ],
)
def test_what_is_said_goes_before_the_variable(
    environment: dict[str, str], said: dict[str, object], level: int
) -> None:
    set_up(environment, **said)  # type: ignore[arg-type]
    assert logging.getLogger("stepwell").level == level


def test_what_the_group_was_told_is_completed_by_the_command() -> None:
    group = LogChoice(as_json=True, verbose=False, level="warn")
    chosen = LogChoice(as_json=False, verbose=False, level=None).over(group)
    assert (chosen.as_json, chosen.level) == (True, "warn")
    assert LogChoice(as_json=False, verbose=True, level="error").over(group).level == "error"


def test_lines_of_functions_have_what_they_belong_to(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    set_up({})
    place = {"run_id": "01A", "at": {1}}
    logging.getLogger("stepwell").info("packing %d", 7, extra=place)
    line = json.loads(stream.getvalue())
    assert (line["msg"], line["run_id"], line["at"]) == ("packing 7", "01A", "{1}")
    assert "args" not in line


@pytest.mark.parametrize(
    ("configured", "printed"),
    [("nothing", True), ("a handler", False), ("its level", False), ("the level of all", False)],
)
def test_the_last_resort_is_for_programs_that_configure_nothing(
    monkeypatch: pytest.MonkeyPatch, configured: str, printed: bool
) -> None:
    own, ours = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", ours)
    root, logger = logging.getLogger(), logging.getLogger("stepwell")
    root.handlers[:] = []
    root.setLevel(logging.ERROR if configured == "the level of all" else logging.WARNING)
    logger.setLevel(logging.WARNING if configured == "its level" else logging.NOTSET)
    choice = LogChoice(level="info")
    set_up_last_resort(choice, {})
    if configured == "a handler":
        root.handlers[:] = [logging.StreamHandler(own)]
    print_lines_of_functions(choice, {})
    logger.info("packing")
    logger.debug("too fine")
    logging.getLogger("shop").info("as Python has it: warnings alone")
    logger.critical("gone")
    assert own.getvalue() == ("gone\n" if configured == "a handler" else "")
    assert ("packing" in ours.getvalue()) is printed
    assert len(ours.getvalue().splitlines()) == printed + (configured != "a handler")
