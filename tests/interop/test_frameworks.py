"""The seed's three systems in real projects: Next.js, Astro and Bun, each with its own SDK and
with functions in Python beside it. Every one syncs, gets an event and completes two steps.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.interop.harness import (
    JS,
    PATIENCE_SECONDS,
    ROOT,
    Server,
    answers,
    free_port,
    missing,
    process,
    running_server,
    until,
)

pytestmark = [pytest.mark.interop, pytest.mark.slow]

PACKAGES = JS / "node_modules"
QUIET = {"NEXT_TELEMETRY_DISABLED": "1", "ASTRO_TELEMETRY_DISABLED": "1"}
NEXT = ["node", str(PACKAGES / "next/dist/bin/next"), "dev", "-H", "127.0.0.1", "-p"]
ASTRO = ["node", str(PACKAGES / "astro/astro.js"), "dev", "--host", "127.0.0.1", "--port"]


@dataclass(frozen=True)
class Project:
    """A project of a JavaScript framework, and the Python file it hands calls on to, if any."""

    folder: Path
    command: list[str]
    endpoints: dict[str, tuple[str, str]]
    """The path, and the framework that names itself there, of each app."""
    python: Path | None = None
    pages: dict[str, str] = field(default_factory=dict[str, str])
    """Pages of its own, which it serves beside the endpoint, and words on them."""


PROJECTS = {
    "next": Project(
        JS / "next",
        NEXT,
        {
            "next-app-router": ("/api/inngest", "nextjs"),
            "next-pages-router": ("/api/pages-inngest", "nextjs"),
            "next-edge": ("/api/edge-inngest", "nextjs"),
        },
    ),
    "next-python": Project(
        JS / "next-python",
        NEXT,
        {"next-python": ("/api/inngest", "vercel")},
        JS / "next-python/api/inngest.py",
        {"/": "served by the Pages Router", "/about": "served by the App Router"},
    ),
    "astro": Project(JS / "astro", ASTRO, {"astro-js": ("/api/inngest", "astro")}),
    "astro-python": Project(
        JS / "astro-python",
        ASTRO,
        {"astro-python": ("/api/inngest", "asgi")},
        JS / "astro-python/api/inngest.py",
        {"/": "written in Python"},
    ),
    "bun": Project(
        JS / "bun",
        [str(PACKAGES / ".bin/bun"), "server.mjs"],
        {"bun-js": ("/api/inngest", "bun")},
    ),
    "asgi-python": Project(
        ROOT / "tests/interop/apps",
        [sys.executable, "standalone.py"],
        {"asgi-python": ("/api/inngest", "asgi")},
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


def start(stack: ExitStack, project: Project, server: Server, folder: Path) -> str:
    """Starts the project, and its Python beside it; gives the project's origin."""
    env = {**QUIET, "INNGEST_DEV": server.url, "PYTHONPATH": str(ROOT)}
    port = free_port()
    if project.python is not None:
        inner = free_port()
        run = [sys.executable, str(ROOT / "tests/interop/apps/endpoint_file.py")]
        # The address a browser uses is what the project's server says of it.
        told = {"PORT": str(inner), "STEPWELL_TRUST_PROXY": "1"}
        stack.enter_context(
            process([*run, str(project.python)], {**env, **told}, folder / "python.log", folder)
        )
        env["PYTHON_ORIGIN"] = f"http://127.0.0.1:{inner}"
        until("the Python beside it", lambda: answers(f"{env['PYTHON_ORIGIN']}/api/inngest"))
    command = project.command + ([str(port)] if project.command[0] == "node" else [])
    child = stack.enter_context(
        process(command, {**env, "PORT": str(port)}, folder / "project.log", project.folder)
    )
    origin = f"http://127.0.0.1:{port}"

    def ready() -> bool | None:
        assert child.poll() is None, f"it ended with {child.returncode}"
        return answers(f"{origin}/api/inngest")

    until(f"{project.folder.name} to answer", ready)
    return origin


@pytest.mark.parametrize("name", ["bun", "asgi-python"])
def test_f30_who_serves_one_path_serves_no_other(name: str, server: Server, tmp_path: Path) -> None:
    if name == "bun" and (reason := missing({"SDK": "framework"})):
        pytest.skip(reason)
    with ExitStack() as stack:
        origin = start(stack, PROJECTS[name], server, tmp_path)
        assert httpx.get(f"{origin}/elsewhere").status_code == 404


def called_at(server: Server, app_id: str) -> str:
    """Where the server calls the app's one function."""
    (function,) = server.http.get(f"{server.url}/v1/apps/{app_id}/functions").json()
    return str(function["config"]["steps"]["step"]["runtime"]["url"])


@pytest.mark.parametrize("name", PROJECTS)
def test_f20_f29_two_steps_complete(name: str, server: Server, tmp_path: Path) -> None:
    project = PROJECTS[name]
    if name != "asgi-python" and (reason := missing({"SDK": "framework"})):
        pytest.skip(reason)
    with ExitStack() as stack:
        origin = start(stack, project, server, tmp_path)
        for app_id, (path, framework) in project.endpoints.items():
            url = f"{origin}{path}"
            asked = httpx.get(url, timeout=PATIENCE_SECONDS)
            assert (asked.status_code, asked.headers["x-inngest-framework"]) == (200, framework)
            synced = httpx.put(url, timeout=PATIENCE_SECONDS)
            assert synced.status_code == 200, synced.text
            assert called_at(server, app_id) == f"{url}?fnId={app_id}-two-steps&stepId=step"
            event = server.send(f"{app_id}/go", {"n": 1})
            runs = until(f"the run of {app_id}", lambda event=event: server.ended(event), 30)
            assert [(run["status"], run["output"]) for run in runs] == [
                ("Completed", {"second": 20})
            ]
        for path, words in project.pages.items():
            assert words in httpx.get(f"{origin}{path}", timeout=PATIENCE_SECONDS).text
