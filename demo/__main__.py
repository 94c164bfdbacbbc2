"""Shows the product at work, with its own commands.

A function with several steps, one that fails and is tried again, a server that is killed in the
middle, and the run that goes on all the same.
"""

import argparse
import contextlib
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from demo.seeds import fill

ROOT = Path(__file__).resolve().parents[1]
STEPWELL = (sys.executable, "-m", "stepwell")
USUAL_PORT = 8288
PATIENCE_SECONDS = 120.0
SHOP, TOUR = ("demo.shop", "shop"), ("demo.tour", "studio")
"""The module with the functions, and the name of its app."""


def say(text: str = "") -> None:
    print(text, flush=True)


def show(*words: str) -> None:
    """A command as a reader would type it."""
    say(f"\n$ stepwell {shlex.join(words)}")


def a_port() -> int:
    """The usual port if it is free, else any that is."""
    for wanted in (USUAL_PORT, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", wanted)) as probe:
            return int(probe.getsockname()[1])
    raise SystemExit("no port is free on 127.0.0.1")


def read(url: str) -> Any:
    """The JSON behind a URL, or None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own server
            return json.load(answer)
    except (urllib.error.URLError, OSError):
        return None


def until(what: str, holds: Callable[[], bool]) -> None:
    """Waits until it holds; a demonstration that hangs would show nothing."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > give_up:
            raise SystemExit(f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}")
        time.sleep(0.05)


class Demo:
    """One demonstration: where the server is, and where its database."""

    def __init__(self, folder: Path, port: int | None, app: tuple[str, str] = SHOP) -> None:
        self.folder = folder
        self.port = port or a_port()
        self._module, self._app = app
        self.url = f"http://localhost:{self.port}"
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "STEPWELL_URL": self.url}
        if not sys.stdout.isatty():
            self.environment.setdefault("COLUMNS", "110")

    @contextlib.contextmanager
    def server(self) -> Iterator[subprocess.Popen[bytes]]:
        """`stepwell dev` with the shop's functions in its process, on a SQLite file."""
        words = ["dev", self._module, "--persist", "--no-reload", "--retry-interval", "1"]
        show(*words)
        words += ["--no-discovery", "--port", str(self.port), "--sqlite-dir", str(self.folder)]
        quiet = ("--log-level", "warn")
        command = [*STEPWELL, *words, *quiet]
        with (self.folder / "server.log").open("ab") as log:
            child = subprocess.Popen(command, cwd=ROOT, env=self.environment, stderr=log)
        try:
            until("the server", lambda: self.serves(child))
            say(f"  the server and its dashboard are at {self.url}, the database in {self.folder}")
            yield child
        finally:
            child.terminate()
            child.wait()

    def serves(self, child: subprocess.Popen[bytes]) -> bool:
        if child.poll() is not None:
            raise SystemExit((self.folder / "server.log").read_text(encoding="utf-8"))
        return bool(read(f"{self.url}/v1/apps/{self._app}/functions"))

    def call(self, *words: str) -> str:
        """Runs a command and gives what it printed."""
        show(*words)
        done = subprocess.run(
            [*STEPWELL, *words], cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, check=True
        )
        text = done.stdout.decode().strip()
        say(f"  {text}")
        return text

    def draw(self, event: str) -> None:
        """The timeline, straight to the terminal."""
        show("run", event)
        subprocess.run([*STEPWELL, "run", event], cwd=ROOT, env=self.environment, check=True)

    def run_of(self, event: str) -> dict[str, Any]:
        runs = (read(f"{self.url}/v1/events/{event}/runs") or {}).get("data")
        return runs[0] if runs else {}

    def waits(self, event: str) -> bool:
        """Has the run come to its wait?"""
        run_id = self.run_of(event).get("run_id")
        timeline = read(f"{self.url}/v1/runs/{run_id}/timeline") if run_id else None
        return timeline is not None and '"approval"' in json.dumps(timeline)

    def ended(self, event: str) -> bool:
        return self.run_of(event).get("status") in {"Completed", "Failed", "Cancelled"}

    def play(self, *, keep: bool) -> None:
        """The whole story."""
        with self.server() as first:
            event = self.call("send", "order/placed", '{"order": 7}')
            until("the run to wait for its approval", lambda: self.waits(event))
            say("\n  The order waits for its approval. Now the server is killed (kill -9).")
            first.kill()
            first.wait()
        say("  It is started again, on the same database; nothing else is done.")
        with self.server() as second:
            self.call("send", "order/approved", '{"order": 7}')
            until("the run to end", lambda: self.ended(event))
            self.draw(event)
            if keep:
                self.stay(second)

    def tour(self) -> None:
        """A server with runs of every shape, to look at."""
        with self.server() as server:
            say("  filling it with runs of every shape; one of them is tried twenty times")
            for name, run_id in fill(self.url, until).items():
                say(f"  {name:<18} {self.url}/runs/{run_id}")
            self.stay(server)

    def stay(self, server: subprocess.Popen[bytes]) -> None:
        """The server stays until it is interrupted."""
        say(f"\nThe server stays until you press Ctrl-C. Its dashboard is at {self.url}.")
        say("In another terminal, try:")
        say(f"  export STEPWELL_URL={self.url}")
        say("  stepwell send order/placed '{\"order\": 8}'")
        say("  stepwell runs")
        with contextlib.suppress(KeyboardInterrupt):
            server.wait()


def main() -> None:
    """Plays the demonstration in a folder that is removed at the end."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the server up at the end")
    parser.add_argument("--tour", action="store_true", help="runs of every shape, to look at")
    parser.add_argument("--port", type=int, help="of the server [default: 8288 if it is free]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stepwell-demo-") as folder:
        if given.tour:
            Demo(Path(folder), given.port, TOUR).tour()
        else:
            Demo(Path(folder), given.port).play(keep=given.keep)


if __name__ == "__main__":
    main()
