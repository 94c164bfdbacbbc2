"""What of a process's log is judged, and what is not."""

from pathlib import Path

import pytest

from tests.process_logs import TRACEBACK, judge, warned

LOG = f"""stepwell dev
{{"level": "info", "msg": "app shop registered"}}
{{"level": "warning", "msg": "app shop is away", "error": "{TRACEBACK}"}}
{{"level": "error", "msg": "the disk is full"}}
{{not json
{TRACEBACK}:
  File "a.py"
"""


def test_warnings_errors_and_bare_tracebacks_are_read() -> None:
    assert warned(LOG) == ["app shop is away", "the disk is full", f"{TRACEBACK}:"]


def test_what_nobody_expects_fails(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text(LOG)
    with pytest.raises(AssertionError, match=r"server\.log nobody expects: .*the disk is full"):
        judge(log, ("is away", "^Traceback"))
    judge(log, ("is away", "^Traceback", "^the disk"))
