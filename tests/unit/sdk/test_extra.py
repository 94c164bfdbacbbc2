"""Who installed the SDK alone is told what else a part needs, and how to get it."""

import subprocess
import sys
from pathlib import Path

import pytest

from stepwell.sdk.extra import Extra


def run_without(*blocked: str, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process in which some packages are not installed."""
    hide = f"sys.modules.update(dict.fromkeys({blocked!r}))"
    missing = f"import sys; {hide}; sys.argv = ['stepwell']; {program}"
    command = [sys.executable, "-c", missing]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("module", "blocked", "said"),
    [
        ("connect", "google.protobuf", "a worker needs an extra: pip install 'stepwell[connect]'"),
        ("connect", "websockets", "pip install 'stepwell[connect]'"),
        ("embedded", "cel_expr_python", "an engine of your own needs an extra: pip install"),
        ("encryption", "nacl", "pip install 'stepwell[encryption]'"),
        ("httpx", "httpx", "pip install 'stepwell[httpx]'"),
        ("sentry", "sentry_sdk", "pip install 'stepwell[sentry]'"),
        ("opentelemetry", "opentelemetry", "pip install 'stepwell[opentelemetry]'"),
    ],
)
def test_a_part_whose_extra_is_missing_names_it(module: str, blocked: str, said: str) -> None:
    done = run_without(blocked, program=f"import stepwell.{module}")
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]


def test_the_command_without_its_extra_says_one_sentence() -> None:
    done = run_without("click", program="from stepwell.cli.entry import main; main()")
    assert done.returncode == 1
    assert done.stderr.startswith("the command stepwell needs an extra: pip install 'stepwell[ser")
    assert "Traceback" not in done.stderr


ONLY_IN_SERVER = (
    *("brotli", "cel_expr_python", "graphql", "httptools", "jwt"),
    *("prometheus_client", "starlette", "uvicorn", "yaml"),
)
"""What the extra `server` brings and `connect` does not."""

WORKER = """import stepwell

client = stepwell.Inngest(app_id="shop", api_base_url="http://127.0.0.1:9", is_production=False)


@client.create_function(fn_id="a", trigger=stepwell.TriggerEvent(event="a"))
async def a(ctx: stepwell.Context) -> None: ...
"""


def test_the_extra_connect_is_enough_for_the_command_worker(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(WORKER)
    there = f"import os; os.chdir({str(tmp_path)!r})"
    asked = "sys.argv += ['worker', 'shop:client', '--give-up-after', '0.1']"
    program = f"{there}; {asked}; from stepwell.cli.entry import main; main()"
    done = run_without(*ONLY_IN_SERVER, program=program)
    assert "Error: no connection for 0.1 s; giving up" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


def test_a_module_of_our_own_that_is_missing_is_our_fault() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^No module named"), Extra("server", "this"):
        __import__("stepwell.nothing")


def test_whatever_else_goes_wrong_is_told_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), Extra("server", "this"):
        raise ZeroDivisionError
