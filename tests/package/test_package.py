"""What people install: the wheel and the source distribution, in environments that hold nothing
else. The dependencies come from wherever pip takes them."""

import subprocess
import sys
import tarfile
import textwrap
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import pytest

from tests.docs.test_snippets import ROOT, blocks

WHEEL_BYTES_MAX = 3 * 2**20
EXTRAS = "connect,encryption,httpx,opentelemetry,opentelemetry-instrument,sentry,server"
# Modules that need an extra, and which.
OURS = {
    "stepwell.connect": "connect",
    "stepwell.embedded": "server",
    "stepwell.encryption": "encryption",
    "stepwell.httpx": "httpx",
    "stepwell.opentelemetry": "opentelemetry",
    "stepwell.opentelemetry_instrumentor": "opentelemetry",
    "stepwell.sentry": "sentry",
}

PUBLIC = """
import importlib, pathlib, sys, warnings
import stepwell
package = pathlib.Path(stepwell.__file__).parent
told = {}
for path in sorted(package.glob("*.py")):
    name = "stepwell" if path.stem == "__init__" else f"stepwell.{path.stem}"
    if path.stem == "__main__":
        continue
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        told[name] = str(error)
for name, message in told.items():
    print(f"{name}\\t{message}")
"""

ONLY_THE_SDK = """
import sys
import stepwell
brought = {name.partition(".")[0] for name in sys.modules}
print(*sorted(brought & {
    "starlette", "uvicorn", "sqlite3", "click", "rich", "fastapi", "flask", "django",
    "google", "websockets", "yaml", "prometheus_client",
}))
print(*sorted(name for name in sys.modules if name.startswith("stepwell.server")))
"""


@dataclass(frozen=True)
class Environment:
    """An empty environment, and what is run in it."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin/python")

    def install(self, *what: str) -> None:
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet"]
        run([*pip, *what], self.folder)

    def runs(self, program: str) -> str:
        return run([self.python, "-c", textwrap.dedent(program)], self.folder)


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_what_people_install(tmp_path: Path) -> None:
    """One test, since each part needs what the one before it made, which takes long."""
    dist = tmp_path / "dist"
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(ROOT)]
    run(build, tmp_path)
    (wheel,) = dist.glob("*.whl")
    (source,) = dist.glob("*.tar.gz")
    run([sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(source)], dist)
    the_wheel_holds_the_package_its_types_and_the_page(wheel)
    the_metadata_say_what_it_is(wheel)
    the_source_holds_what_a_wheel_is_made_of(source)
    run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], tmp_path)
    empty = Environment(tmp_path / "env")
    empty.install(str(wheel))
    the_sdk_alone_is_light_and_says_what_else_needs(empty)
    empty.install(f"{wheel}[{EXTRAS}]")
    all_extras_can_be_had_together(empty)
    the_readme_runs(empty)
    a_server_shows_its_page(empty)


def the_wheel_holds_the_package_its_types_and_the_page(wheel: Path) -> None:
    assert wheel.stat().st_size < WHEEL_BYTES_MAX
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "stepwell/py.typed",
        "stepwell/server/dashboard/static/index.html",
        "stepwell/docs/errors.md",
        "stepwell/docs/guides/cron.md",
        "pytest_stepwell.py",
    } <= names
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"stepwell", "pytest_stepwell.py"}


def the_metadata_say_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        said = Parser().parsestr(archive.read(name).decode())
    assert said["Requires-Python"] == ">=3.11"
    classifiers = said.get_all("Classifier") or []
    assert {"Typing :: Typed", "Programming Language :: Python :: 3.11"} <= set(classifiers)
    assert "durable" in said["Keywords"]


def the_source_holds_what_a_wheel_is_made_of(source: Path) -> None:
    with tarfile.open(source) as archive:
        names = archive.getnames()
    assert any(name.endswith("/stepwell/server/dashboard/static/index.html") for name in names)
    assert not [name for name in names if "/node_modules/" in name]


def the_sdk_alone_is_light_and_says_what_else_needs(empty: Environment) -> None:
    libraries, of_server = empty.runs(ONLY_THE_SDK).split("\n")[:2]
    assert (libraries, of_server) == ("", "")
    told = dict(line.split("\t") for line in empty.runs(PUBLIC).splitlines())
    for module, extra in OURS.items():
        assert f"pip install 'stepwell[{extra}]'" in told.pop(module), module
    # An adapter is used where its framework is.
    assert all(message.startswith("No module named") for message in told.values()), told
    assert "stepwell.asgi" not in told


def all_extras_can_be_had_together(empty: Environment) -> None:
    told = dict(line.split("\t") for line in empty.runs(PUBLIC).splitlines())
    assert not told.keys() & OURS.keys()
    assert "Run a server" in run([str(empty.folder / "bin/stepwell"), "--help"], empty.folder)


def the_readme_runs(empty: Environment) -> None:
    (empty.folder / "shop.py").write_text(
        next(
            code for _, label, code in blocks((ROOT / "README.md").read_text()) if label == "python"
        )
    )
    program = """
        import asyncio
        import stepwell, shop
        from stepwell.embedded import Engine

        async def main():
            async with Engine(shop.shop, [shop.ship_order], database="shop.db") as engine:
                ids = await shop.shop.send(stepwell.Event(name="order/placed", data={"order": 7}))
                print(await engine.result_of(ids[0], timeout_seconds=20))

        asyncio.run(main())
    """
    assert empty.runs(program).strip() == "parcel-7 is on its way"


def a_server_shows_its_page(empty: Environment) -> None:
    program = """
        import asyncio, urllib.request
        from stepwell.server.config import ServerConfig
        from stepwell.server.serving import Server

        async def main():
            async with Server(ServerConfig(port=0, connect_gateway_port=0, ui=True)) as server:
                asked = urllib.request.Request(server.url, headers={"accept": "text/html"})
                page = await asyncio.to_thread(
                    lambda: urllib.request.urlopen(asked, timeout=20).read().decode()
                )
                print("<title>Stepwell" in page)

        asyncio.run(main())
    """
    assert empty.runs(program).strip() == "True"
