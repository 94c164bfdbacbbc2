"""The apps judged alone: they start, register what the scenarios need, and answer calls."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.interop.catalogue import SCENARIOS
from tests.interop.harness import App, missing, running_app, sync
from tests.interop.test_official_sdks import APPS

# Workers are called over their connection: see test_connect.py and test_official_sdks.py.
SERVED = [name for name, env in APPS.items() if env.get("TRANSPORT") != "connect"]

pytestmark = [pytest.mark.interop, pytest.mark.slow]


class Register(BaseHTTPRequestHandler):
    """A server that only takes registrations, as a dev server would."""

    protocol_version = "HTTP/1.1"
    received: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append(json.loads(body))
        self.answer(b'{"ok":true,"modified":true}')

    def do_GET(self) -> None:
        self.answer(b"{}")

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def register() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    received: list[dict[str, Any]] = []
    handler = type("Handler", (Register,), {"received": received})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", received
    server.shutdown()
    server.server_close()
    thread.join()


def call(app: App, function: str, steps: dict[str, Any]) -> httpx.Response:
    """One call as a server would make it."""
    event = {
        "name": f"{app.name}/{function}",
        "data": {"token": "hand", "n": 7},
        "id": "1",
        "ts": 1,
    }
    body = {
        "ctx": {
            "attempt": 0,
            "disable_immediate_execution": False,
            "env": "",
            "max_attempts": 1,
            "run_id": "01M82BFDSEAXH732SHZM7R2J1X",
            "stack": {"current": len(steps), "stack": list(steps)},
            "step_id": "step",
            "use_api": False,
        },
        "event": event,
        "events": [event],
        "steps": steps,
        "use_api": False,
        "version": 2,
    }
    query = {"fnId": f"{app.name}-{function}", "stepId": "step"}
    return httpx.post(app.endpoint, params=query, json=body, timeout=30)


@pytest.mark.parametrize("name", SERVED)
def test_an_app_registers_the_catalogue_and_answers_calls(
    name: str, register: tuple[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    if reason := missing(APPS[name]):
        pytest.skip(reason)
    url, received = register
    with running_app(name, APPS[name], url, tmp_path) as app:
        sync(app)
        names = {function["id"] for function in received[-1]["functions"]}
        wanted = {f"{name}-{s.name}" for s in SCENARIOS.values() if s.only(app)}
        assert wanted <= names
        assert f"{name}-function-fails-failure" in names

        first = call(app, "two-steps", {})
        assert first.status_code == 206, first.text
        op = first.json()[0]
        assert (op["op"], op["data"], op["displayName"]) == ("StepRun", 1, "a")
        assert app.log("hand")[0]["what"] == "a"
        assert call(app, "no-steps", {}).text.find("7") > 0
