"""A server for tests, in a process of its own: `server.start()`, `server.stop()`.

`DEV_SERVER_PORT` chooses its port, 8288 by default; with `DEV_SERVER_ENABLED=0` nothing is started,
because somebody else does; with `DEV_SERVER_LOGS=1` its lines go to `artifacts/dev_server.log`.
"""

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PORT = 8288
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10.0
LOG = Path("artifacts") / "dev_server.log"


class DevServer:
    """The server of this package, keeping nothing on disk."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where it listens; workers connect one port further."""
        return int(os.environ.get("DEV_SERVER_PORT") or PORT)

    @property
    def origin(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises RuntimeError if it runs already, or does not begin to answer.
        """
        if not _enabled():
            return
        if self._process is not None:
            raise RuntimeError("the dev server is running already")
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(_log().open("wb")) if _log_wanted() else subprocess.DEVNULL
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*_COMMAND, "--port", str(self.port), "--connect-gateway-port", str(self.port + 1)],
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                code = self._process.poll()
                self.stop()
                raise RuntimeError(
                    f"the dev server did not start on port {self.port} (exit code {code}); set"
                    f" DEV_SERVER_LOGS=1 and look into {LOG}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server and wait for its end. Raises RuntimeError if none was started."""
        if not _enabled():
            return
        if self._process is None:
            raise RuntimeError("the dev server is not running")
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.origin}/health", timeout=1):  # noqa: S310 - ours
                return True
        except (urllib.error.URLError, OSError):
            return False


_COMMAND = (
    *(sys.executable, "-m", "stepwell", "dev", "--host", "127.0.0.1"),
    *("--no-discovery", "--no-poll"),
)


def _enabled() -> bool:
    return os.environ.get("DEV_SERVER_ENABLED") != "0"


def _log_wanted() -> bool:
    return os.environ.get("DEV_SERVER_LOGS") == "1"


def _log() -> Path:
    LOG.parent.mkdir(exist_ok=True)
    return LOG


server = DevServer()
"""The one server of a test run."""
