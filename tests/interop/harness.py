"""Starts the server and the apps as processes, sends events, and tells what became of them."""

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.log_lines import OF_SERVERS
from tests.process_logs import judge

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
JS = ROOT / "tests/interop/js"
PYTHON_SDKS = frozenset({"inngest", "stepwell"})
ENDED = frozenset({"Completed", "Failed", "Cancelled"})
PATIENCE_SECONDS = 120.0


def free_port() -> int:
    """A port that was free a moment ago on the loopback address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def missing(env: dict[str, str]) -> str | None:
    """Why the SDK that `env` names cannot be tested here, or None."""
    if env["SDK"] in PYTHON_SDKS:
        return None
    if shutil.which("node") is None:
        return "Node is not installed; the JavaScript SDKs were not tested"
    if not (JS / "node_modules").is_dir():
        return "the JavaScript SDKs are not installed; run scripts/test, which installs them"
    return None


def until(what: str, probe: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    """Asks again and again until the probe gives something; the error says what was awaited."""
    give_up = time.monotonic() + seconds
    while (found := probe()) is None:
        if time.monotonic() > give_up:
            msg = f"waited {seconds:.0f} s in vain for {what}"
            raise TimeoutError(msg)
        time.sleep(0.05)
    return found


def answers(url: str) -> bool | None:
    try:
        return httpx.get(url, timeout=5).status_code < 500 or None
    except httpx.HTTPError:
        return None


@contextmanager
def process(
    command: list[str], env: dict[str, str], log: Path, cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A child that is stopped by its own id, and whose output is shown if the test fails."""
    base = {k: v for k, v in os.environ.items() if not k.startswith("INNGEST_")}
    with log.open("ab") as out:
        child = subprocess.Popen(
            command, env={**base, **env}, cwd=cwd, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            yield child
        except BaseException:
            sys.stderr.write(f"--- {log.name}\n{log.read_text(errors='replace')[-8000:]}\n")
            raise
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(10)


@dataclass(slots=True)
class Server:
    """Our server as a process, known by its address."""

    url: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def send(self, name: str, data: dict[str, Any], key: str = "test") -> str:
        """Sends one event and gives the id the server knows it by."""
        answer = self.http.post(f"{self.url}/e/{key}", json={"name": name, "data": data})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["ids"][0])

    def send_all(self, events: list[dict[str, Any]], key: str = "test") -> list[str]:
        """Sends events in one request."""
        answer = self.http.post(f"{self.url}/e/{key}", json=events)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["ids"])

    def reasons(self, event: str) -> list[str]:
        """Why an event started no run of a function, or has not yet."""
        answer = self.http.get(f"{self.url}/v1/events/{event}/runs")
        return [one["reason"] for one in answer.json()["not_started"]]

    def runs(self, event: str) -> list[dict[str, Any]]:
        """The runs an event has caused so far."""
        answer = self.http.get(f"{self.url}/v1/events/{event}/runs")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"] or [])

    def ended(self, event: str, count: int = 1) -> list[dict[str, Any]] | None:
        """The event's runs once there are `count` and all have ended."""
        runs = self.runs(event)
        done = len(runs) >= count and all(run["status"] in ENDED for run in runs)
        return runs if done else None


@dataclass(frozen=True, slots=True)
class App:
    """One SDK serving the catalogue."""

    name: str
    language: str
    url: str

    @property
    def endpoint(self) -> str:
        return f"{self.url}/api/inngest"

    def log(self, token: str) -> list[dict[str, Any]]:
        """What handlers and steps noted under the token."""
        return list(httpx.get(f"{self.url}/log", params={"token": token}, timeout=30).json())


def app_command(sdk: str, program: tuple[str, str]) -> tuple[str, list[str]]:
    python, js = program
    if sdk in PYTHON_SDKS:
        return "python", [sys.executable, str(ROOT / "tests/interop/apps" / python)]
    return "js", ["node", js]


@contextmanager
def running_app(
    name: str,
    env: dict[str, str],
    server: str,
    folder: Path,
    program: tuple[str, str] = ("python_app.py", "app.mjs"),
) -> Iterator[App]:
    """Serves a program, by default the catalogue, as app `name`; `env` names the SDK. A program is
    written twice, in Python and in JavaScript."""
    language, command = app_command(env["SDK"], program)
    port = free_port()
    settings = {"APP_ID": name, "PORT": str(port), "INNGEST_DEV": server, "PYTHONPATH": str(ROOT)}
    cwd = JS if language == "js" else folder
    with process(command, {**settings, **env}, folder / f"{name}.log", cwd) as child:
        app = App(name, language, f"http://127.0.0.1:{port}")

        def ready() -> bool | None:
            assert child.poll() is None, f"{name} ended with {child.returncode}"
            return answers(f"{app.url}/log?token=x")

        until(f"app {name}", ready)
        yield app


@contextmanager
def running_server(
    folder: Path,
    *arguments: str,
    port: int | None = None,
    verb: str = "dev",
    logged: Sequence[str] = (),
) -> Iterator[Server]:
    """`stepwell dev` (or `start`) on a free port; retries come after a constant second. When it
    ended, what it wrote of level WARNING and above must be in `OF_SERVERS` or `logged`."""
    port = port or free_port()
    command = [sys.executable, "-m", "stepwell", verb]
    command += ["--no-discovery", "--no-poll"] if verb == "dev" else []
    command += ["--host", "127.0.0.1", "--port", str(port), "--retry-interval", "1", *arguments]
    with process(command, {"PYTHONPATH": str(ROOT)}, folder / "server.log", folder) as child:
        server = Server(f"http://127.0.0.1:{port}")

        def ready() -> bool | None:
            assert child.poll() is None, f"the server ended with {child.returncode}"
            return answers(f"{server.url}/health")

        until("the server", ready)
        with server.http:
            yield server
    judge(folder / "server.log", (*OF_SERVERS, *logged))


def sync(app: App) -> None:
    """Asks the app to register itself, as an operator does with a bare PUT."""

    def asked() -> bool | None:
        answer = httpx.put(app.endpoint, timeout=30)
        return True if answer.status_code == 200 and "error" not in answer.text else None

    until(f"the sync of {app.name}", asked, 20)


def connected(server: Server, app: App) -> None:
    """Waits for the app's worker to be ready for work."""

    def ready() -> bool | None:
        answer = server.http.get(f"{server.url}/v0/connect/envs/dev/conns")
        rows = answer.json()["data"]
        return True if any(r["instance_id"] == app.name and r.get("status") for r in rows) else None

    until(f"the worker of {app.name}", ready, 20)


def new_token() -> str:
    return uuid.uuid4().hex
