"""The demonstration: it ends by itself, and what it shows is true."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.harness import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_demonstration_shows_a_run_that_survives_its_server() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--port", str(free_port())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout
    assert shown.count("$ stepwell dev") == 2
    # Every piece of user code ran once, apart from the attempt that failed.
    for text in ("(attempt 1)", "(attempt 2)", "printing the label", "packing"):
        assert shown.count(text) == 1, text
    assert "completed shop-fulfil-order" in shown
    assert '"receipt": "receipt-7"' in shown
