"""Every example runs as the first lines of its README say, and gives what they say it gives."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stepwell.sdk.background import BackgroundLoop
from stepwell.server.config import ServerConfig
from stepwell.server.serving import Server
from stepwell.testing.contract.adapter_peer import Reply, send
from tests.log_lines import OF_SERVERS
from tests.process_logs import judge
from tests.repo.source import ROOT
from tests.serving.adapters import ADAPTERS

EXAMPLES = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())
START_S = 60.0
BLOCK = re.compile(r"\A# .+\n\n```console\n(.+?)```\n", re.DOTALL)
PORT = "8000"
PACKAGES = {"azure-functions": "azure.functions", "functions-framework": "functions_framework"}


@dataclass(frozen=True)
class Readme:
    """The commands an example's README begins with, and what it says the last of them prints."""

    install: str
    start: str
    serve: str
    use: str
    printed: str

    @property
    def url(self) -> str:
        """Where the functions are served."""
        return self.serve.removeprefix("stepwell dev -u ")

    @property
    def waits(self) -> bool:
        """Is there a route that waits? Else an event is sent."""
        return self.use.startswith("curl ")


def readme(name: str) -> Readme:
    text = (ROOT / "examples" / name / "README.md").read_text("utf-8")
    found = BLOCK.match(text)
    assert found is not None, f"examples/{name}/README.md does not begin with what to type"
    commands = [line[2:] for line in found[1].splitlines() if line.startswith("$ ")]
    printed = [line for line in found[1].splitlines() if not line.startswith("$ ")]
    return Readme(*commands[:4], "\n".join(printed))


@dataclass
class Running:
    """An example that was started."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def here(self, text: str) -> str:
        """A command or a URL with the port this example was given."""
        return text.replace(PORT, str(self.port))

    def ready(self, url: str, serves: Callable[[Reply], bool] = lambda told: True) -> None:
        give_up = time.monotonic() + START_S
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < give_up, self.log.read_text()
            try:
                told = send("GET", url)
            except OSError:
                pass
            else:
                if told.status == 200 and serves(told):
                    return
            time.sleep(0.05)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server on a loop of its own."""
    loop = BackgroundLoop()
    sock = socket.create_server(("127.0.0.1", 0))
    config = ServerConfig(host="127.0.0.1", discovery=False, poll=False)
    made = loop.run(_started(config, sock))
    yield made
    loop.run(made.stop())
    loop.stop()


async def _started(config: ServerConfig, sock: socket.socket) -> Server:
    server = Server(config, sockets=[sock])
    await server.start()
    return server


@pytest.fixture(scope="module")
def running(server: Server, tmp_path_factory: Any) -> Iterator[dict[str, Running]]:
    """All of them, started at once: most of the time they wait for one another's imports."""
    folder = tmp_path_factory.mktemp("examples")
    ports = free_ports(len(EXAMPLES))
    started = {
        name: start(name, server.url, folder, port)
        for name, port in zip(EXAMPLES, ports, strict=True)
    }
    yield started
    for one in started.values():
        os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait()


def start(name: str, url: str, folder: Path, port: int) -> Running:
    variable, _, command = readme(name).start.partition(" ")
    assert variable == "INNGEST_DEV=1"
    return launch(command.replace(PORT, str(port)), name, url, folder / f"{name}.log", port)


def environment(url: str) -> dict[str, str]:
    # Other tests of this process have Django projects of their own.
    inherited = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "INNGEST_DEV": url,
    }


def launch(command: str, name: str, url: str, log: Path, port: int) -> Running:
    with log.open("wb") as file:
        process = subprocess.Popen(
            shlex.split(command),
            cwd=ROOT / "examples" / name,
            env=environment(url),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    return Running(process, port, log)


def app_id(name: str) -> str:
    return f"{name.replace('_', '-')}-example"


def run(command: str, name: str, url: str) -> str:
    """What a command prints that ends by itself."""
    done = subprocess.run(
        shlex.split(command),
        cwd=ROOT / "examples" / name,
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=True,
    )
    return done.stdout.strip()


def free_ports(count: int) -> list[int]:
    """So many different ports: all are held until the last is found."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def get(url: str) -> str:
    return send("GET", url).body.decode().strip()


def run_of(event_id: str, function: str, server: str) -> Any:
    """The ended run that an event started; other examples may listen to it, too."""
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up:
        for run in send("GET", f"{server}/v1/events/{event_id}/runs").json["data"]:
            if run["function"] == function:
                return send("GET", f"{server}/v1/runs/{run['run_id']}?wait=20").json["data"]
        time.sleep(0.05)
    raise AssertionError(f"the event started no run of {function}")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example(name: str, running: dict[str, Running], server: Server) -> None:
    example, told = running[name], readme(name)
    url = example.here(told.url)
    example.ready(url)
    synced = send("PUT", url)
    assert (synced.status, synced.json["message"]) == (200, "Successfully registered")
    if not told.waits:
        event_id = run(told.use, name, server.url)
        ended = run_of(event_id, f"{app_id(name)}-welcome", server.url)
        assert (ended["status"], ended["output"]) == ("Completed", "Welcome, Ada")
        return
    assert get(example.here(told.use.removeprefix("curl "))) == told.printed
    origin = f"http://localhost:{example.port}"
    if name in {"fast_api", "flask", "django"}:
        run_id = get(f"{origin}/start/Bob").strip('"')
        ended = send("GET", f"{server.url}/v1/runs/{run_id}?wait=20").json["data"]
        assert (ended["status"], ended["output"]) == ("Completed", "Welcome, Bob")
    if name == "django":
        assert get(f"{origin}/arrive/Eve") == "noted"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fast_api", "aws_lambda"])
def test_a_readme_word_for_word(name: str, tmp_path: Path) -> None:
    """With the server it starts; of the words, only the ports are others."""
    told, ports = readme(name), free_ports(2)
    server = f"http://localhost:{ports[1]}"
    options = f" -p {ports[1]} --connect-gateway-port 0 --no-discovery"
    started = [start(name, server, tmp_path, ports[0])]
    try:
        started[0].ready(started[0].here(told.url))
        started.append(
            launch(
                f"{started[0].here(told.serve)}{options}",
                name,
                server,
                tmp_path / "server.log",
                ports[1],
            )
        )
        started[1].ready(f"{server}/v1/apps/{app_id(name)}/functions", lambda told: told.json != [])
        if told.waits:
            assert run(started[0].here(told.use), name, server) == told.printed
        else:
            event_id = run(told.use, name, server)
            assert run_of(event_id, f"{app_id(name)}-welcome", server)["status"] == "Completed"
            assert "welcome" in run("stepwell runs", name, server).lower()
    finally:
        for one in started:
            os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()
    judge(tmp_path / "server.log", OF_SERVERS)


def test_every_door_has_an_example() -> None:
    assert sorted(ADAPTERS) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_an_example_needs(name: str) -> None:
    """Its requirements name the framework and the server it starts, and installed ones at that."""
    lines = (ROOT / "examples" / name / "requirements.txt").read_text().splitlines()
    assert lines[0].startswith("../..[server"), "stepwell with a server, from this checkout"
    assert readme(name).install == "pip install -r requirements.txt"
    needed = lines[1:]
    assert len(needed) == len(set(needed))
    for package in needed:
        __import__(PACKAGES.get(package, package))
