"""The page's own tests of its pure parts, run by its own runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "dashboard"


def test_the_pure_parts_of_the_page() -> None:
    npm = shutil.which("npm")
    if npm is None or not (SOURCES / "node_modules").is_dir():
        pytest.skip("Node is not installed; the parts of the page were not tested")
    done = subprocess.run(
        [npm, "run", "--silent", "test"], cwd=SOURCES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
