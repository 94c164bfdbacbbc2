"""The plugin in test runs of its own, as users have them: beside other plugins, over several
processes, and at no cost to those who do not use it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]

SHOP = """
import stepwell

client = stepwell.Inngest(app_id="shop", is_production=False)

@client.create_function(fn_id="greet", trigger=stepwell.TriggerEvent(event="shop/visitor"))
async def greet(ctx: stepwell.Context) -> str:
    return await ctx.step.run("look-up", lambda: "Ada")

@client.create_function(fn_id="plain", trigger=stepwell.TriggerEvent(event="shop/plain"))
def plain(ctx: stepwell.ContextSync) -> str:
    return ctx.step.run("look-up", lambda: "Bo")
"""
WEB = """
from shop import client, greet, plain
FUNCTIONS = [greet, plain]
app = object()
"""
TESTS = """
import threading
import unittest

import pytest
import stepwell as sw
from stepwell.testing import AsyncStepwellTestCase, StepwellTestCase
from web import app

VISITOR = sw.Event(name="shop/visitor")
PLAIN = sw.Event(name="shop/plain")


@pytest.fixture(autouse=True)
def no_threads_left():
    before = set(threading.enumerate())
    yield
    assert [t for t in threading.enumerate() if t not in before and t.is_alive()] == []


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.{mark}
async def test_coroutine(stepwell, turn):
    assert (await stepwell.send(VISITOR)).run.result == "Ada"
    assert (await stepwell.send(PLAIN)).run.result == "Bo"


class TestClass:
    @pytest.mark.{mark}
    async def test_method(self, stepwell):
        assert (await stepwell.send(VISITOR)).run.result == "Ada"

    def test_plain_method(self, stepwell):
        assert stepwell.send(PLAIN).run.result == "Bo"


class TestUnit(StepwellTestCase):
    def test_unit(self):
        assert self.stepwell.send(PLAIN).run.result == "Bo"


class TestAsyncUnit(AsyncStepwellTestCase):
    async def test_unit(self):
        assert (await self.stepwell.send(VISITOR)).run.result == "Ada"


def test_send_sync_of_the_application(stepwell):
    from shop import client

    client.send_sync(PLAIN)
    stepwell.run_until_idle()
    assert [run.result for run in stepwell.runs()] == ["Bo"]
"""
ALONE = """
import pytest
import stepwell as sw

client = sw.Inngest(app_id="shop", is_production=False)

@client.create_function(fn_id="greet", trigger=sw.TriggerEvent(event="shop/visitor"))
async def greet(ctx: sw.Context) -> str:
    return await ctx.step.run("look-up", lambda: "Ada")

@pytest.mark.stepwell(crash_everywhere=True)
async def test_coroutine(stepwell):
    assert (await stepwell.invoke(greet)).result == "Ada"

class TestClass:
    @pytest.mark.xfail(raises=AssertionError, strict=True)
    async def test_method(self, stepwell):
        assert (await stepwell.invoke(greet)).result == "Bo"
"""
ANYIO = """
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""

PLUGIN = ("-p", "pytest_stepwell")


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    # Other plugins that happen to be installed take seconds to begin.
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PLUGIN, *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def project(folder: Path, mark: str) -> None:
    (folder / "shop.py").write_text(SHOP)
    (folder / "web.py").write_text(WEB)
    (folder / "test_shop.py").write_text(TESTS.replace("{mark}", mark))


@pytest.mark.slow
def test_under_pytest_asyncio_and_xdist(tmp_path: Path) -> None:
    project(tmp_path, "asyncio")
    done = run_pytest(tmp_path, "-p", "pytest_asyncio.plugin", "-p", "xdist", "-n", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout


@pytest.mark.slow
def test_under_anyio_and_for_those_that_no_other_plugin_runs(tmp_path: Path) -> None:
    project(tmp_path, "anyio")
    (tmp_path / "conftest.py").write_text(ANYIO)
    (tmp_path / "test_alone.py").write_text(ALONE)
    done = run_pytest(tmp_path, "-p", "anyio.pytest_plugin")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 passed, 1 xfailed" in done.stdout


@pytest.mark.slow
def test_who_does_not_use_it_imports_nothing_and_bad_words_are_refused(tmp_path: Path) -> None:
    (tmp_path / "test_apart.py").write_text(
        "import sys\n\n\ndef test_apart():\n    assert 'stepwell' not in sys.modules\n"
    )
    (tmp_path / "test_marked.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.stepwell(then=3)\ndef test_unknown(stepwell): ...\n\n"
        "@pytest.mark.stepwell(now='soon')\ndef test_no_time(stepwell): ...\n\n"
        "def test_unused(stepwell):\n    stepwell.stub('nothing')\n\n"
        "@pytest.fixture\ndef anyio_backend(): return 'trio'\n\n"
        "@pytest.mark.anyio\nasync def test_trio(stepwell): ...\n"
    )
    done = run_pytest(tmp_path, "-p", "anyio.pytest_plugin")
    assert "1 passed" in done.stdout
    assert "@pytest.mark.stepwell: then is unknown: use now=, seed=" in done.stdout
    assert "now = 'soon' is no date" in done.stdout
    assert "the fixture stepwell needs asyncio" in done.stdout
    assert 'stub("nothing") was never used' in done.stdout


def test_pytest_finds_it_by_itself(request: pytest.FixtureRequest) -> None:
    assert request.config.pluginmanager.has_plugin("stepwell")
