"""The server is killed again and again under load; nobody helps, and nothing is lost.

Law: every acknowledged event's run ends with the right result; a step's result is stored once.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import aiohttp
import pytest

from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.store.port import RunFilter, Store
from stepwell.server.store.sqlite.store import SqliteStore
from tests.log_lines import OF_SERVERS
from tests.process_logs import judge

EVENTS = 2_000
KILLS = 24
BATCH = 20
KEY = "crash-key"
SIGNING_KEY = "0123456789abcdef"
KINDS = ("row", "nap", "fork", "parent", "patient", "stumble")
SETTLE_S = 180.0

EXPECTED = {
    "row": lambda n: 4 * n + 6,
    "nap": lambda n: 2 * n,
    "fork": lambda n: 3 * n + 3,
    "parent": lambda n: n + 1,
    "patient": lambda n: n,
    "stumble": lambda n: n,
    "narrow": lambda n: n,
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Victim:
    """The server process: killed without warning, started again on the same files."""

    def __init__(self, folder: Path, app_url: str, *kept: str, logged: Iterable[str] = ()) -> None:
        """`kept` are the flags that say where everything is kept; `logged`, what it may write of
        level WARNING and above besides what all servers may."""
        self._logged = (*OF_SERVERS, *logged)
        self.port = free_port()
        self.folder = folder
        self._log = (folder / "server.log").open("ab")
        self._command = [sys.executable, "-m", "stepwell", "start", "--host", "127.0.0.1"]
        self._command += ["--port", str(self.port), "--connect-gateway-port", str(free_port())]
        self._command += [*kept, "--retry-interval", "1"]
        self._command += ["--signing-key", SIGNING_KEY, "--event-key", KEY, "-u", app_url]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def end(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=30)
        self._log.close()

    def restart(self) -> None:
        """Stop it as a service is stopped, and start it again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=30)
        self.start()

    def said(self) -> str:
        """What it wrote."""
        return (self.folder / "server.log").read_text(errors="replace")

    def stop(self) -> None:
        self.end()
        self.judge()

    def judge(self) -> None:
        judge(self.folder / "server.log", self._logged)


async def until_it_answers(http: aiohttp.ClientSession, url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            async with http.get(url):
                return
        except aiohttp.ClientError:
            assert time.monotonic() < deadline, f"nobody answers at {url}"
            await asyncio.sleep(0.05)


async def until_it_is_known(http: aiohttp.ClientSession, url: str, app: str = "crash") -> None:
    deadline = time.monotonic() + 30
    headers = {"Authorization": f"Bearer {SIGNING_KEY}"}
    while True:
        async with http.get(f"{url}/v1/apps/{app}/functions", headers=headers) as reply:
            if len(await reply.json(content_type=None)) >= len(KINDS):
                return
        assert time.monotonic() < deadline, "the app was never registered"
        await asyncio.sleep(0.1)


async def send_all(
    http: aiohttp.ClientSession,
    urls: Sequence[str],
    acked: dict[str, tuple[str, int]],
    count: int,
    kinds: Sequence[str] = KINDS,
    first: int = 0,
) -> None:
    """Send the events from the first up to so many, each until it is acknowledged: same ids again,
    as any client would. Each try goes to the next of the servers. Of a kind as `app/kind`, another
    app than `crash` hears."""
    places = itertools.cycle(urls)
    for start in range(first, count, BATCH):
        numbers = range(start, start + BATCH)
        events = [
            {"name": _name_of(kinds[n % len(kinds)]), "id": f"event-{n}", "data": {"n": n}}
            for n in numbers
        ]
        while True:
            try:
                async with http.post(f"{next(places)}/e/{KEY}", json=events) as reply:
                    if reply.status == 200:
                        break
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
        acked.update({f"event-{n}": (kinds[n % len(kinds)], n) for n in numbers})
        await asyncio.sleep(0.15)


def _name_of(kind: str) -> str:
    return kind if "/" in kind else f"crash/{kind}"


async def _kill_now_and_then(victim: Victim, dice: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(dice.uniform(0.3, 1.4))
        await asyncio.to_thread(victim.kill)
        victim.start()


async def all_ended(
    http: aiohttp.ClientSession, victim: Victim, settle_s: float = SETTLE_S
) -> None:
    """Wait until no run is scheduled or running."""
    deadline = time.monotonic() + settle_s
    headers = {"Authorization": f"Bearer {SIGNING_KEY}"}
    params = [("status", "Scheduled"), ("status", "Running"), ("limit", "1")]
    while True:
        async with http.get(f"{victim.url}/v1/runs", params=params, headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            left = (await reply.json(content_type=None))["data"]
        if not left:
            return
        assert time.monotonic() < deadline, f"a run never ended: {left}"
        await asyncio.sleep(0.5)


class Scene:
    """A server, the app it calls, and what was acknowledged."""

    def __init__(self, folder: Path, *kept: str, logged: Iterable[str] = ()) -> None:
        self._port = free_port()
        self.app_url = f"http://127.0.0.1:{self._port}/api/inngest"
        self._folder = folder
        self.victim = Victim(folder, self.app_url, *kept, logged=logged)
        self.log = folder / "steps.log"
        self.acked: dict[str, tuple[str, int]] = {}

    def start_app(self) -> "subprocess.Popen[bytes]":
        """The app that servers call."""
        return self._start(str(self._port), self.victim.url, "crash")

    def start_worker(self, url: str, name: str) -> "subprocess.Popen[bytes]":
        """A worker of an app of this name, that asks this server where to connect."""
        return self._start("connect", url, name)

    def _start(self, where: str, url: str, name: str) -> "subprocess.Popen[bytes]":
        env = {
            **os.environ,
            "CRASH_APP": name,
            "CRASH_LOG": str(self.log),
            "INNGEST_BASE_URL": url,
            "INNGEST_SIGNING_KEY": f"signkey-prod-{SIGNING_KEY}",
            "INNGEST_EVENT_KEY": KEY,
        }
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("crash_app.py")), where],
            env=env,
            stdout=(self._folder / f"{name}.log").open("ab"),
            stderr=subprocess.STDOUT,
        )

    async def play(self, count: int, trouble: Callable[[Victim], Awaitable[None]]) -> None:
        """So many events, while there is trouble; then everything ends."""
        app = self.start_app()
        victim = self.victim
        victim.start()
        try:
            async with aiohttp.ClientSession() as http:
                await until_it_answers(http, self.app_url)
                await until_it_answers(http, f"{victim.url}/health")
                await until_it_is_known(http, victim.url)
                await asyncio.gather(
                    send_all(http, [victim.url], self.acked, count), trouble(victim)
                )
                await until_it_answers(http, f"{victim.url}/health")
                await all_ended(http, victim)
        finally:
            victim.stop()
            app.terminate()
            try:
                app.wait(timeout=10)
            except subprocess.TimeoutExpired:
                app.kill()
                raise


@pytest.mark.timeout(400)
async def test_a_server_that_is_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    dice = random.Random(os.environ.get("STEPWELL_CRASH_SEED", "1"))
    data = tmp_path / "data"
    scene = Scene(tmp_path, "--sqlite-dir", str(data))
    await scene.play(EVENTS, lambda victim: _kill_now_and_then(victim, dice))
    assert len(scene.acked) == EVENTS
    judge_runs(SqliteStore(next(data.glob("*.db")), durability="full"), scene)


def judge_runs(store: Store, scene: Scene) -> None:
    """Whatever was acknowledged has ended, right and once."""
    store.migrate()
    acked = scene.acked
    reader = store.reader()
    try:
        runs = reader.runs(RunFilter(limit=1_000_000))
        by_event = {run.dedup: run for run in runs if run.dedup}
        assert set(by_event) == set(acked)
        assert sum(bool(run.dedup) for run in runs) == len(acked), "an event started two runs"
        for event_id, (kind, n) in acked.items():
            run = by_event[event_id]
            assert run.status is RunStatus.COMPLETED, (event_id, run)
            assert json.loads(run.output or b"null") == _expected(kind, n), (event_id, run)
        _judge_steps(runs, {run.id: reader.steps(run.id) for run in runs}, scene.log)
        assert reader.stranded(10) == []
    finally:
        reader.close()
        store.close()


def _expected(kind: str, n: int) -> int:
    return EXPECTED[kind.rpartition("/")[2]](n)


def _judge_steps(runs: list[Run], steps: dict[str, list[object]], log: Path) -> None:
    ran = Counter(tuple(json.loads(line)[:2]) for line in log.read_text().splitlines())
    for run in runs:
        saved = [step for step in steps[run.id] if step.op == "StepRun"]  # type: ignore[attr-defined]
        assert len({step.id for step in saved}) == len(saved)  # type: ignore[attr-defined]
        for step in saved:
            assert ran[run.id, step.name] >= 1  # type: ignore[attr-defined]
