"""Who installs one framework never needs another: an adapter imports its own and nothing else."""

import json
import re
import subprocess
import sys
import tomllib

import pytest

from tests.repo.source import ROOT

# Each adapter with the frameworks it may bring: its own, and what that one is made of.
OWN = {
    "aiohttp": {"aiohttp"},
    "asgi": set[str](),
    "aws_lambda": set[str](),
    "azure": {"azure", "werkzeug"},
    "blacksheep": {"blacksheep"},
    "bottle": {"bottle"},
    "digital_ocean": set[str](),
    "django": {"django"},
    "falcon": {"falcon"},
    "fast_api": {"fastapi", "starlette"},
    "flask": {"flask", "werkzeug"},
    "google_cloud": {"flask", "werkzeug"},
    "http_server": set[str](),
    "litestar": {"litestar"},
    "pyramid": {"pyramid"},
    "quart": {"quart", "flask", "werkzeug"},
    "robyn": {"robyn"},
    "sanic": {"sanic"},
    "starlette": {"starlette"},
    "tornado": {"tornado"},
    "vercel": set[str](),
    "wsgi": set[str](),
}
FRAMEWORKS = {"uvicorn", "jinja2"}.union(*OWN.values()) - {"aiohttp"}  # the SDK's own HTTP client

# One interpreter imports the SDK, then forks for each adapter: starting it once is enough.
PROGRAM = """
import importlib, json, os, sys
import stepwell
for name in sys.argv[1:]:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        importlib.import_module(f"stepwell.{name}")
        print(json.dumps([name, sorted({module.split(".")[0] for module in sys.modules})]))
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
"""


WORKER = """
import sys, importlib.abc
missing = set(sys.argv[1:])
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
sys.argv = ["stepwell", "worker", "--help"]
from stepwell.cli.entry import main
main()
"""
MODULES = {"cel-expr-python": "cel_expr_python", "pyyaml": "yaml", "protobuf": "google"}


def _brought_by(extra: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = [re.split("[>=; ]", line)[0] for line in project["optional-dependencies"][extra]]
    return {MODULES.get(name, name) for name in names}


def test_a_worker_needs_no_more_than_its_extra() -> None:
    missing = _brought_by("server") - _brought_by("connect")
    assert missing >= {"starlette", "uvicorn", "cel_expr_python"}
    command = [sys.executable, "-c", WORKER, *sorted(missing)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "Connect to a server" in told.stdout


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, *OWN]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    found = (json.loads(line) for line in out.splitlines() if line.startswith("["))
    return {name: set(modules) for name, modules in found}


@pytest.mark.parametrize("name", OWN)
def test_an_adapter_brings_no_other_framework(imported: dict[str, set[str]], name: str) -> None:
    assert (imported[name] & FRAMEWORKS) - _made_of(name) == set()


def _made_of(name: str) -> set[str]:
    # Some frameworks bring a template engine, none of them another framework.
    return OWN[name] | {"jinja2"} if OWN[name] else set()


def test_no_framework_is_needed_by_the_package_itself() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = " ".join(project["dependencies"]).lower()
    assert [name for name in FRAMEWORKS if name in text] == []
