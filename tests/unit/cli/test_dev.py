"""`stepwell dev` as a process: it serves functions, follows their files, and leaves nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

pytestmark = pytest.mark.slow

FUNCTIONS = """
import stepwell

client = stepwell.Inngest(app_id="shop")


@client.create_function(fn_id="order", trigger=stepwell.TriggerEvent(event="shop/order"))
async def order(ctx: stepwell.Context) -> str:
    if ctx.event.data.get("waits"):
        await ctx.step.wait_for_event("go", event="shop/go", timeout=600_000)
    return "{version}"
"""
PATIENCE_S = 30.0


def until(what: str, probe: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    give_up = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < give_up, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


class Dev:
    """The process, its log, and what it serves."""

    def __init__(self, folder: Path, child: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.child = child
        self.url = str(until("the address", self._address))
        self.http = httpx.Client(base_url=self.url, timeout=10)

    def log(self) -> str:
        return (self.folder / "dev.log").read_text()

    def _address(self) -> str | None:
        assert self.child.poll() is None, self.log()
        _, found, rest = self.log().partition("listening at ")
        return rest.split('"')[0] if found and '"' in rest else None

    def functions(self) -> list[str]:
        return [entry["slug"] for entry in self.http.get("/dev").json()["functions"]]

    def send(self, name: str = "shop/order", **data: Any) -> str:
        answer = self.http.post("/e/k", json={"name": name, "data": data})
        return str(answer.json()["ids"][0])

    def waits(self, event: str) -> bool:
        (run,) = self.http.get(f"/v1/events/{event}/runs").json()["data"]
        told = self.http.get(f"/v1/runs/{run['run_id']}/timeline").json()["data"]
        return "waits for an event" in told["detail"]

    def output(self, event: str) -> Any:
        def ended() -> Any:
            runs = self.http.get(f"/v1/events/{event}/runs").json()["data"]
            return runs[0] if runs and runs[0]["ended_at"] else None

        return until("the run", ended)["output"]


def write(folder: Path, version: str) -> None:
    (folder / "functions.py").write_text(FUNCTIONS.format(version=version))


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Dev]:
    command = [sys.executable, "-m", "stepwell", "dev", *arguments]
    command += ["--port", "0", "--host", "127.0.0.1", "--no-discovery", "--poll-interval", "60"]
    env = {key: value for key, value in os.environ.items() if not key.startswith("INNGEST_")}
    env["PYTHONPATH"] = str(Path(__file__).parents[3])
    with (folder / "dev.log").open("wb") as log:
        child = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        dev = Dev(folder, child)
        with dev.http:
            yield dev
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(20)


def test_functions_follow_their_file(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with running(tmp_path, "functions:client") as dev:
        until("the functions", dev.functions)
        assert dev.output(dev.send()) == "one"
        under_way = dev.send(waits=True)
        until("the wait", lambda: dev.waits(under_way))
        write(tmp_path, "two")
        until("the change", lambda: dev.log().count("is served at") == 2)
        dev.send("shop/go")
        assert dev.output(under_way) == "two"
        (tmp_path / "functions.py").write_text("this is no Python\n")
        until("the error", lambda: "SyntaxError" in dev.log())
        dev.http.get("/health").raise_for_status()
        assert dev.output(dev.send()) == "two"
        write(tmp_path, "three")
        until("the last change", lambda: dev.log().count("is served at") == 3)
        assert dev.output(dev.send()) == "three"
        children = psutil.Process(dev.child.pid).children(recursive=True)
        assert children
        dev.child.send_signal(signal.SIGTERM)
        assert dev.child.wait(20) == 0
        until("their end", lambda: not any(child.is_running() for child in children))


def test_a_change_of_what_is_being_loaded_is_not_lost(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with running(tmp_path, "functions:client") as dev:
        until("the functions", dev.functions)
        loading, goes_on = tmp_path / "loading", tmp_path / "goes_on"
        slow = f"""
import pathlib, time
pathlib.Path({str(loading)!r}).touch()
while not pathlib.Path({str(goes_on)!r}).exists():
    time.sleep(0.01)
"""
        (tmp_path / "functions.py").write_text(slow + FUNCTIONS.format(version="two"))
        until("the import", loading.exists)
        write(tmp_path, "three")
        goes_on.touch()
        until("both changes", lambda: dev.log().count("is served at") == 3)
        assert dev.output(dev.send()) == "three"


def test_functions_that_are_gone_for_a_moment_come_back(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with running(tmp_path, "functions:client") as dev:
        until("the functions", dev.functions)
        (tmp_path / "functions.py").unlink()
        until("the error", lambda: "the functions cannot be served" in dev.log())
        write(tmp_path, "two")
        until("the change", lambda: dev.log().count("is served at") == 2)
        assert dev.output(dev.send()) == "two"


def test_functions_end_with_a_server_that_was_killed(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with running(tmp_path, "functions:client") as dev:
        until("the functions", dev.functions)
        children = psutil.Process(dev.child.pid).children(recursive=True)
        dev.child.kill()
        until("their end", lambda: not any(child.is_running() for child in children))


def test_without_reload_everything_is_one_process(tmp_path: Path) -> None:
    write(tmp_path, "one")
    with running(tmp_path, "functions:client", "--no-reload") as dev:
        until("the functions", dev.functions)
        assert psutil.Process(dev.child.pid).children() == []
        assert dev.output(dev.send()) == "one"


def test_a_target_that_does_not_exist_ends_the_command(tmp_path: Path) -> None:
    with running(tmp_path, "nothing:client") as dev:
        assert dev.child.wait(60) == 1
        assert "nothing: there is no such module below" in dev.log()
        assert "Traceback" not in dev.log()
