"""A Chromium of the tests' own: the only place that starts one.

One process for a session, on a profile that goes away with it. Each test talks to it anew, with its
own window, cookies and storage.
"""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "Chromium is missing: install it (Debian and Ubuntu: apt-get install chromium)"
START_SECONDS = 60
_LISTENS = re.compile(r"DevTools listening on (ws://\S+)")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--remote-debugging-port=0",
    "--remote-debugging-address=127.0.0.1",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)


def program() -> str | None:
    """Where the browser is, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[str]:
    """A running browser; gives the address that it is steered by."""
    browser = program()
    assert browser is not None, MISSING
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log"
        with log.open("wb") as out:
            child = subprocess.Popen(
                [browser, *_FLAGS, f"--user-data-dir={folder}/profile", "about:blank"],
                stdout=subprocess.DEVNULL,
                stderr=out,
            )
        try:
            yield _address(child, log)
        finally:
            child.terminate()
            child.wait()


def _address(child: "subprocess.Popen[bytes]", log: Path) -> str:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and child.poll() is None:
        told = log.read_text(errors="replace")
        if found := _LISTENS.search(told):
            return found[1]
        time.sleep(0.02)
    raise RuntimeError(f"Chromium did not start:\n{log.read_text(errors='replace')[-2000:]}")
