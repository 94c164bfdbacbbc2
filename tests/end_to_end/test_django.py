"""`manage.py stepwell_dev` and `manage.py stepwell_worker` on a project, as processes."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tests.django_project  # isort: skip - sets Django up
import pytest

from tests.django_project.shop import tasks
from tests.django_project.shop.inngest import client
from tests.log_lines import OF_SERVERS
from tests.process_logs import judge
from tests.repo.source import ROOT

assert tests.django_project
START_S = 30.0


class Log:
    """What a command says."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def until(self, pattern: str, process: subprocess.Popen[bytes]) -> str:
        """The first group of the pattern, once it was said."""
        give_up = time.monotonic() + START_S
        while True:
            text = self.path.read_text(errors="replace")
            found = re.search(pattern, text)
            if found:
                return found[1]
            assert process.poll() is None and time.monotonic() < give_up, text
            time.sleep(0.02)


@contextmanager
def command(folder: Path, *words: str, **environ: str) -> Iterator[tuple[Any, Log]]:
    log = Log(folder / f"{words[0]}.log")
    with log.path.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "django", *words, "--settings", "tests.django_project.settings"],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder), **environ},
            stdout=file,
            stderr=file,
        )
    try:
        yield process, log
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    assert code == 0, log.path.read_text()
    judge(log.path, (*OF_SERVERS, "^sqlite-dir .* nothing is kept without --persist"))


def finished(result: Any, read: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + START_S
    while not result.is_finished and time.monotonic() < give_up:
        time.sleep(0.02)
        result = read()
    return result


@pytest.mark.slow
def test_the_commands(tmp_path: Path) -> None:
    options = ["-p", "0", "--connect-gateway-port", "0", "--no-poll"]
    options += ["--sqlite-dir", str(tmp_path / "data")]
    with command(tmp_path, "stepwell_dev", *options) as (server, log):
        url = log.until(r"listening at (http://[\w.:]+)", server)
        log.until(r"application is served at (\S+)", server)
        client.set_env_vars({"INNGEST_DEV": url})
        try:
            assert client.invoke_sync("shop-greet", data={"name": "you"}, timeout="30s")
            apart = client.invoke_sync("shop-where", timeout="30s")
            assert apart != server.pid
            result = tasks.tell.enqueue(name="x")
            result = finished(result, lambda: tasks.tell.get_result(result.id))
            assert result.return_value == [1, "x", []]
            with command(tmp_path, "stepwell_worker", INNGEST_DEV=url) as (worker, told):
                told.until(r"app 'shop': (4) functions", worker)
                give_up = time.monotonic() + START_S
                while client.invoke_sync("shop-where", timeout="30s") != worker.pid:
                    assert time.monotonic() < give_up, "the worker was never asked"
        finally:
            client.set_env_vars({"INNGEST_DEV": "1"})
