"""Every line of level WARNING and above is expected by name, or fails its test.

A test says what it expects, `@pytest.mark.logs("regular expression", ...)`, which must then be
written. What tests of one file may write is in `log_lines.py`. A test that takes `caplog` judges
the lines itself. The logs of processes are read by `process_logs.py`.
"""

import logging
import re
from collections.abc import Generator

import pytest

from tests.log_lines import OF_FILES, OF_FOLDERS
from tests.machine_clock import machine

ANYWHERE = (
    r"the app '.*' is connected without functions",
    # Lines that say how a test is made, not that something went wrong.
    r"app '.*' serves no functions",
    # Sanic's own, where a connection is closed while it reads on.
    r"^protocol\.connection_task uncaught$",
)


class _Lines(logging.Handler):
    """Keeps what is written while a test runs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)


lines = _Lines()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "logs(*patterns): lines of WARNING and above a test writes")


def _listen() -> None:
    """Listen before each test: one that sets logging up takes the handlers of the root away."""
    for name in ("", "stepwell"):
        logger = logging.getLogger(name)
        if name == "" or not logger.propagate:
            logger.addHandler(lines)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    _listen()
    lines.kept.clear()
    result = yield
    if "caplog" in getattr(item, "fixturenames", ()):
        return result
    expected = [p for mark in item.iter_markers("logs") for p in mark.args]
    told = [record.getMessage() for record in lines.kept]
    of_file = OF_FILES.get(item.nodeid.partition("::")[0], ())
    of_folder = [
        p for begin, told in OF_FOLDERS.items() if item.nodeid.startswith(begin) for p in told
    ]
    patterns = (*expected, *ANYWHERE, *of_file, *of_folder, *machine.lines())
    odd = [text for text in told if not any(re.search(one, text) for one in patterns)]
    assert not odd, f"lines nobody expects, name them with @pytest.mark.logs: {odd}"
    missing = [one for one in expected if not any(re.search(one, text) for text in told)]
    assert not missing, f"lines that were expected and not written: {missing}"
    return result
