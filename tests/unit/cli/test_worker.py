"""`stepwell worker` as a process of its own, against a small server."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from stepwell.cli.main import main
from stepwell.cli.verbs.worker import LOOK_EVERY_S
from tests.fake_server import FakeServer

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import os
import stepwell as inngest

client = inngest.Inngest(app_id="app", is_production=False, api_base_url=os.environ["API"])

@client.create_function(fn_id="fn", trigger=inngest.TriggerEvent(event="x"))
async def fn(ctx):
    return "WORD"
"""
SLOW = """
import pathlib
import time
pathlib.Path("loading").touch()
while not pathlib.Path("goes_on").exists():
    time.sleep(0.01)
"""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@contextmanager
def running(
    folder: Path,
    server: FakeServer,
    *arguments: str,
    target: str = "shop:client",
    program: str = PROGRAM,
) -> Iterator[subprocess.Popen[str]]:
    (folder / "shop.py").write_text(program)
    process = subprocess.Popen(
        [sys.executable, "-m", "stepwell", "worker", target, *arguments],
        cwd=folder,
        env={**os.environ, "API": server.url, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ready(server: FakeServer) -> None:
    server.until(lambda: any(c.routable() for c in server.connections), within_s=30)


def answer(server: FakeServer) -> bytes:
    call = server.call("app-fn")
    server.until(lambda: call.answer is not None)
    assert call.answer is not None
    return call.answer.body


def test_it_serves_until_it_is_told_to_end(server: FakeServer, tmp_path: Path) -> None:
    options = ("--instance-id", "mine", "--max-concurrency", "3")
    with running(tmp_path, server, *options) as process:
        ready(server)
        assert answer(server) == b'"WORD"'
        assert server.workers[0].instance_id == "mine"
        assert server.workers[0].concurrency_max == 3
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "the worker is connected and serves app" in said
    assert "SIGTERM: the worker finishes what runs, then ends" in said


def test_it_begins_anew_after_so_many_requests(server: FakeServer, tmp_path: Path) -> None:
    with running(tmp_path, server, "--max-requests", "1") as process:
        ready(server)
        answer(server)
        server.until(lambda: len(server.workers) == 2, within_s=30)
        ready(server)
        answer(server)
        assert process.poll() is None


def test_it_follows_its_files_even_through_a_broken_one(server: FakeServer, tmp_path: Path) -> None:
    with running(tmp_path, server, "--reload") as process:
        ready(server)
        (tmp_path / "shop.py").write_text("this is no Python\n")
        server.until(lambda: not server.connections, within_s=30)
        assert process.poll() is None
        (tmp_path / "shop.py").write_text(PROGRAM.replace("WORD", "CHANGED"))
        server.until(lambda: len(server.workers) == 2, within_s=30)
        ready(server)
        assert answer(server) == b'"CHANGED"'


def test_what_changes_while_it_is_imported_counts(server: FakeServer, tmp_path: Path) -> None:
    with running(tmp_path, server, "--reload", program=SLOW + PROGRAM):
        server.until((tmp_path / "loading").exists, within_s=30)
        (tmp_path / "shop.py").write_text(PROGRAM.replace("WORD", "CHANGED"))
        (tmp_path / "goes_on").touch()
        ready(server)
        server.until(lambda: answer(server) == b'"CHANGED"', within_s=30)


def test_what_a_function_imports_is_followed_and_no_change_itself(
    server: FakeServer, tmp_path: Path
) -> None:
    later = tmp_path / "later.py"
    later.write_text("import time\nIMPORTED_NS = time.time_ns()\n")
    importing = PROGRAM.replace('return "WORD"', "import later; return later.IMPORTED_NS")
    with running(tmp_path, server, "--reload", program=importing):
        ready(server)
        imported = answer(server)
        time.sleep(3 * LOOK_EVERY_S)
        assert answer(server) == imported
        later.write_text(later.read_text() + "IMPORTED_NS += 1\n")
        server.until(lambda: len(server.workers) == 2, within_s=30)
        ready(server)
        assert answer(server) != imported


def test_it_tells_how_it_is(server: FakeServer, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def asked(path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    server.api_status = 500
    with running(tmp_path, server, "--health-port", str(port)):
        server.until(lambda: asked("/healthz") == 503, within_s=30)
        server.api_status = 200
        ready(server)
        server.until(lambda: asked("/readyz") == asked("/healthz") == 200)


def test_it_gives_up_when_told_to(server: FakeServer, tmp_path: Path) -> None:
    server.api_status = 500
    with running(tmp_path, server, "--give-up-after", "0.2") as process:
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "giving up" in said


def test_what_it_cannot_serve_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web_of_tests.py").write_text("async def app(scope, receive, send): ...\n")
    for target, words in (
        ("nowhere_at_all:client", "there is no such module"),
        ("web_of_tests:app", "is an application; a worker serves clients"),
    ):
        result = CliRunner().invoke(main, ["worker", target])
        assert result.exit_code == 1
        assert words in result.output
