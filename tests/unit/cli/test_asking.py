"""The verbs that ask a running server, against a real one."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx
import msgspec
import pytest
from click.testing import CliRunner, Result

from stepwell.cli.main import main
from stepwell.cli.server_api import Away, Refused, ServerApi
from stepwell.server.config import Command, ServerConfig
from stepwell.server.serving import Server
from tests.unit.server.api.harness import function, registration

NOBODY = "no function listens to shop/ordr (runs that wait for it hear of it); near it: shop/order"


FREE = ServerConfig(port=0)
FIXED = (
    "STEPWELL_API_KEY",
    "INNGEST_SIGNING_KEY",
    "INNGEST_EVENT_KEY",
    "INNGEST_DEV",
    "STEPWELL_URL",
)


class Running:
    """A server on a thread of its own."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))

    async def _run(self) -> None:
        async with Server(self.config) as server:
            self.url = server.url
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def call(self, *arguments: str, stdin: str | None = None, **env: str) -> Result:
        told = [*arguments[:1], "--url", self.url, *arguments[1:]]
        return CliRunner().invoke(
            main, told, input=stdin, env={**dict.fromkeys(FIXED, None), **env, "COLUMNS": "160"}
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with Running(FREE) as running:
        register(running)
        yield running


def register(running: Running, **headers: str) -> None:
    url = f"{running.url}/fn/register"
    once = {**function("once", event="once"), "rateLimit": {"limit": 1, "period": "1h"}}
    body = registration(function("order", event="shop/order"), once)
    assert httpx.post(url, json=body, headers=headers).status_code == 200


def test_an_event_is_sent_and_its_run_told(server: Running) -> None:
    sent = server.call("send", "shop/order", '{"id": 7}', "--id", "order-7")
    assert sent.exit_code == 0, sent.output
    event_id = sent.stdout.strip()
    assert len(event_id) == 26
    assert sent.stderr.strip() == "1 function listens to shop/order: shop-order"
    told = server.call("run", event_id)
    assert told.exit_code == 0, told.output
    assert "shop-order" in told.output
    run_id = next(word for word in told.output.split() if len(word) == 26)
    assert server.call("run", run_id).output.splitlines()[0].endswith(run_id)
    output = server.call("run", run_id, "--output")
    assert output.output.strip() == "null"
    lines = server.call("run", run_id, "--logs").output
    assert lines.strip() == "The function wrote no lines with ctx.logger, or none that are kept."


def test_an_event_nobody_listens_to_is_told_with_the_nearest_name(server: Running) -> None:
    sent = server.call("send", "shop/ordr")
    assert sent.exit_code == 0
    assert sent.stderr.strip() == NOBODY
    for verb in ("run", "why"):
        told = server.call(verb, sent.stdout.strip())
        assert told.exit_code == 1
        assert f"event {sent.stdout.strip()} (shop/ordr) started no run" in told.output
        assert NOBODY in told.output
    far = server.call("send", "completely different")
    assert far.stderr.strip() == (
        "no function listens to completely different (runs that wait for it hear of it)"
    )


def test_an_event_that_flow_control_stopped_says_why(server: Running) -> None:
    first, second = (server.call("send", "once").stdout.strip() for _ in range(2))
    assert "shop-once" in server.call("run", first).output
    told = server.call("run", second)
    assert told.exit_code == 0, told.output
    said = " ".join(told.output.split())
    assert said.startswith("RateLimit shop-once: the rate limit was used up when it came, at ")


def test_a_function_is_paused_and_goes_on(server: Running) -> None:
    assert server.call("pause", "shop-order").output.strip() == "shop-order is paused"
    assert server.call("pause", "shop-order").output.strip() == "shop-order was paused"
    skipped = server.call("send", "shop/order").stdout.strip()
    told = server.call("why", skipped).output
    assert told.startswith("shop-order: the function was paused when it came, at ")
    assert told.endswith("; stepwell replay shop-order starts it after all\n")
    assert server.call("resume", "shop-order").output.strip() == "shop-order goes on"
    assert server.call("resume", "shop-order").output.strip() == "shop-order was not paused"
    assert "there is no function shop-x" in server.call("pause", "shop-x").output
    assert "shop-order?" in server.call("resume", "shop-x").output
    replayed = ("replay", "--since", "1h", "--reason", "FunctionPaused", "shop-order")
    assert server.call(*replayed, "--dry-run").stdout == "replay is about 1 events\n"
    assert server.call(*replayed).stdout == "shop-order: 1 started, 0 skipped once more\n"
    assert server.call(*replayed).stdout == "shop-order: 0 started, 0 skipped once more\n"
    assert "was paused" not in server.call("why", skipped).output
    assert "--since 'soon' is no time" in server.call("replay", "--since", "soon", "x").output


def test_why_a_run_does_not_run(server: Running) -> None:
    first, second = (server.call("send", "once").stdout.strip() for _ in range(2))
    del first
    told = server.call("why", second)
    assert told.exit_code == 0, told.output
    assert told.output.startswith("shop-once: the rate limit was used up when it came, at ")
    sent = server.call("send", "shop/order").stdout.strip()
    assert server.call("why", sent).output.startswith("shop-order: ")


def test_an_event_that_counted_before_started_no_run(server: Running) -> None:
    ids = [server.call("send", "shop/order", "--id", "twice").stdout.strip() for _ in range(2)]
    told = server.call("run", ids[1])
    assert told.exit_code == 1
    assert "1 function listens to shop/order: shop-order; but none was started" in told.output


def test_data_may_come_from_standard_input(server: Running) -> None:
    assert server.call("send", "a", "-", stdin='{"x": 1}').exit_code == 0
    assert server.call("send", "a").exit_code == 0


@pytest.mark.parametrize("data", ["5", "{", "[1]"])
def test_data_that_is_no_object_is_refused(server: Running, data: str) -> None:
    refused = server.call("send", "a", data)
    assert refused.exit_code == 2
    assert "is no JSON object" in refused.output


def test_what_the_server_refuses_is_told(server: Running) -> None:
    refused = server.call("send", "inngest/x")
    assert refused.exit_code == 1
    assert "HTTP 400: event name is reserved for internal use: inngest/x" in refused.output
    unknown = server.call("run", "01JQDAE4RQ0000000000000009")
    assert "HTTP 404: Run not found" in unknown.output


def test_runs_are_listed_and_filtered(server: Running) -> None:
    for _ in range(3):
        server.call("send", "shop/order")
    listed = server.call("runs", "--limit", "2")
    assert listed.exit_code == 0, listed.output
    assert listed.output.count("shop-order") == 2
    assert "more: stepwell runs --cursor" in listed.output
    assert server.call("runs", "--status", "completed").output.strip() == "no runs"
    assert "status 'odd' is unknown" in server.call("runs", "--status", "odd").output


def test_a_healthy_server_is_said_to_be(server: Running) -> None:
    told = server.call("doctor")
    assert told.exit_code == 0
    assert "healthy: no stranded run" in told.output


def test_nobody_there_is_told_with_what_to_do() -> None:
    told = CliRunner().invoke(main, ["runs", "--url", "http://127.0.0.1:9"])
    assert told.exit_code == 1
    assert "no server answers at http://127.0.0.1:9" in told.output
    assert "stepwell dev" in told.output


def test_the_address_comes_from_the_environment(server: Running) -> None:
    for variable in ("STEPWELL_URL", "INNGEST_DEV", "INNGEST_BASE_URL"):
        told = CliRunner().invoke(main, ["doctor"], env={variable: server.url})
        assert told.exit_code == 0, told.output


def test_keys_are_asked_for_and_used(tmp_path: Path) -> None:
    config = msgspec.structs.replace(
        FREE,
        command=Command.START,
        signing_keys=("signkey-test-12ab",),
        event_keys=("k",),
        sqlite_dir=str(tmp_path),
    )
    with Running(config) as running:
        assert "asks for a key: pass --signing-key" in running.call("runs").output
        assert "asks for a key: pass --event-key" in running.call("send", "a").output
        refused = running.call("runs", "--signing-key", "signkey-test-34cd").output
        assert "refuses the key it was given" in refused
        refused = running.call("send", "a", "--event-key", "other").output
        assert "refuses the event key it was given" in refused
        sent = running.call("send", "a", "--event-key", "k")
        assert (sent.exit_code, sent.stderr) == (0, "")
        assert running.call("runs", INNGEST_SIGNING_KEY="signkey-prod-12ab").exit_code == 0
        assert "malformed" in running.call("runs", "--signing-key", "xyz").output
        locked = CliRunner().invoke(main, ["doctor", "--database", str(tmp_path / "stepwell.db")])
        assert locked.exit_code == 1
        assert "in use" in locked.output
    opened = CliRunner().invoke(main, ["doctor", "--database", str(tmp_path / "stepwell.db")])
    assert opened.exit_code == 0, opened.output
    assert "healthy" in opened.output


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_is_told_and_shown_no_key(status: int) -> None:
    """Followed, a POST would become a GET, and whoever it leads to would see the key."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                said = f"HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:1/v1\r\n\r\n"
                connection.sendall(said.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        server = ServerApi(f"http://127.0.0.1:{listening.getsockname()[1]}", "swk_key")
        with pytest.raises(Refused, match=r"redirects to http://127.0.0.1:1/v1: name that server"):
            server.post(dict, "/v1/signals", {})
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (HEAD + b"5\r\nab\nc", "broke off its answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no server answers"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno", "answered HTTP 503"),
    ],
)
def test_what_breaks_off_or_is_no_answer_is_told(said: bytes, told: str) -> None:
    with saying(said) as url, pytest.raises(Away, match=told):
        ServerApi(url).get(object, "/api/v2/runs")


def test_lines_end_where_the_server_is_killed() -> None:
    with saying(HEAD + b"3\r\nab\n\r\n5\r\nc") as url:
        assert list(ServerApi(url).lines("/api/v2/stream")) == ["ab"]


@contextmanager
def saying(said: bytes) -> Iterator[str]:
    """A server that says this to one caller and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            caller, _ = listening.accept()
            with caller:
                caller.recv(65_536)
                caller.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()
