"""The verbs that list, start, cancel, rerun and watch, against a real server; and as a person sees
them, on a terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import msgspec
import pytest
from click.testing import CliRunner, Result

from stepwell.cli.main import main
from tests.unit.cli.test_asking import FIXED, FREE, Running, register
from tests.unit.server.api.harness import function, registration

OPEN = ("--status", "queued", "--status", "running")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with Running(msgspec.structs.replace(FREE, connect_gateway_port=0)) as running:
        register(running)
        yield running


def call(server: Running, *arguments: str, stdin: str | None = None) -> Result:
    env = {**dict.fromkeys(FIXED), "STEPWELL_URL": server.url, "COLUMNS": "160"}
    return CliRunner().invoke(main, arguments, input=stdin, env=env)


def done(server: Running, *arguments: str) -> str:
    result = call(server, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_what_is_registered_is_listed_in_each_form(server: Running) -> None:
    assert re.search(r"^shop +SERVE +2 ", done(server, "apps"), re.MULTILINE)
    (app,) = msgspec.json.decode(done(server, "apps", "--output", "json"))
    assert (app["name"], app["functionCount"]) == ("shop", 2)
    lines = done(server, "functions", "--output", "ndjson").splitlines()
    assert {msgspec.json.decode(line)["slug"] for line in lines} == {"shop-order", "shop-once"}
    assert "shop/order" in done(server, "functions", "shop")
    assert call(server, "functions", "shop").stderr == ""
    assert done(server, "workers") == "none"
    assert done(server, "workers", "--output", "json") == "[]"


def test_what_is_probably_a_mistake_is_told_below_the_list() -> None:
    with Running(FREE) as running:
        odd = {**function("odd", event="x"), "throttle": {"limit": 0, "period": "1m"}}
        httpx.post(f"{running.url}/fn/register", json=registration(odd)).raise_for_status()
        told = call(running, "functions")
    assert told.stdout.splitlines()[-1].startswith("shop-odd")
    assert told.stderr == "shop-odd: throttle.limit 0 counts as 1: use at least 1\n"


def test_a_run_is_started_cancelled_and_run_again(server: Running) -> None:
    run_id = done(server, "invoke", "shop-order", '{"id": 1}', "--key", "k1")
    assert "started run" in call(server, "invoke", "shop-order", "--key", "k1").output
    assert done(server, "cancel", run_id) == f"{run_id} is cancelled"
    twice = call(server, "cancel", run_id, "01JQDAE4RQ0000000000000009")
    assert twice.exit_code == 1
    assert "already cancelled" in twice.stderr
    assert "Run not found" in twice.stderr
    again = done(server, "rerun", run_id)
    assert again != run_id
    late = call(server, "rerun", run_id, "--wait", "--timeout", "0")
    assert late.exit_code == 1
    assert "has not ended after 0 s" in late.output
    assert "no function shap-order: did you mean shop-order" in call(
        server, "invoke", "shap-order"
    ).output.replace("there is ", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("invoke", "shop-order", "[1]"), "DATA must be a JSON object"),
        (("rerun", "R", "--input", "[1]"), "--input is for the step that --from-step names"),
        (("rerun", "R", "--from-step", "s", "--input", "{}"), "--input must be a JSON list"),
        (("bulk", "cancel", "--rate", "0"), "--rate"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    server: Running, arguments: tuple[str, ...], said: str
) -> None:
    result = call(server, *arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_many_are_counted_asked_about_and_cancelled(server: Running) -> None:
    for n in range(3):
        done(server, "invoke", "shop-order", msgspec.json.encode({"bulk": n}).decode())
    wanted = ("--function", "shop-order", "--query", "event.data.bulk >= 1")
    assert done(server, "bulk", "cancel", *wanted, "--dry-run") == "cancel is about 2 runs"
    no = call(server, "bulk", "cancel", *wanted, stdin="n\n")
    assert no.exit_code == 1
    assert "cancel 2 runs?" in no.output
    begun = call(server, "bulk", "cancel", *wanted, "--yes", "--wait", "--rate", "2000")
    assert begun.exit_code == 0, begun.output
    assert "2 done, 0 refused" in begun.stderr
    id_ = begun.stdout.split()[0]
    (told,) = msgspec.json.decode(done(server, "bulk", "show", id_, "--output", "json"))
    assert (told["status"], told["done"]) == ("COMPLETED", 2)
    assert id_ in done(server, "bulk", "list")
    stopped = call(server, "bulk", "stop", id_)
    assert (stopped.exit_code, "has ended already" in stopped.output) == (1, True)
    assert done(server, "bulk", "rerun", "--status", "failed", "--yes") == "no run is meant"


def test_what_runs_do_is_printed_as_they_do_it(server: Running) -> None:
    # A process: two commands in one would share its output and its environment.
    told = ["tail", "--url", server.url, "--output", "ndjson", "--count", "1", "--app", "shop"]
    tail = subprocess.Popen([sys.executable, "-m", "stepwell", *told], stdout=subprocess.PIPE)
    with tail:
        while tail.poll() is None:
            done(server, "invoke", "shop-order")
            time.sleep(0.1)
        assert tail.stdout is not None
        run = msgspec.json.decode(tail.stdout.read().splitlines()[-1])
    assert (tail.returncode, run["function"]["name"]) == (0, "shop-order")


def test_events_are_listed_and_one_is_told_with_what_it_started(server: Running) -> None:
    sent = done(server, "send", "shop/order", '{"number": 71}', "--id", "sender-71")
    lost = done(server, "send", "shop/nobody", '{"number": 72}')
    listed = done(server, "events", "list", "--limit", "2")
    assert listed.index(lost) < listed.index(sent)
    few = done(server, "events", "list", "--limit", "1")
    assert "more: stepwell events list --cursor" in few
    named = ("events", "list", "--name", "shop/order", "--output")
    (one,) = msgspec.json.decode(
        done(server, *named, "json", "--data", "--query", "event.data.number == 71")
    )
    assert (one["id"], one["externalId"], one["data"]) == (sent, "sender-71", {"number": 71})
    (line,) = done(server, *named, "ndjson", "--limit", "1").splitlines()
    assert "data" not in msgspec.json.decode(line)
    assert done(server, "events", "list", "--name", "none") == "no events"
    told = done(server, "event", sent)
    assert told.startswith(f"shop/order {sent}\nreceived ")
    assert '"number": 71' in told
    assert "shop-order" in told
    assert "no function listens to shop/nobody" in done(server, "event", lost)
    whole = msgspec.json.decode(done(server, "event", sent, "--output", "json"))
    assert [run["function"]["name"] for run in whole["runs"]] == ["shop-order"]
    unknown = call(server, "event", "01JQDAE4RQ0000000000000009")
    assert (unknown.exit_code, "there is no event" in unknown.output) == (1, True)


def test_a_trace_is_printed_in_each_form(server: Running) -> None:
    run_id = done(server, "invoke", "shop-order")
    lines = done(server, "trace", run_id).splitlines()
    assert lines[0].split() == ["SPAN", "KIND", "STATUS", "STARTED", "TOOK", "DETAIL"]
    assert lines[1].split()[:2] == ["shop-order", "run"]
    assert lines[2].split()[0] == "function"
    trace = msgspec.json.decode(done(server, "trace", run_id, "--output", "json"))
    assert trace["runId"] == run_id
    spans = done(server, "trace", run_id, "--output", "ndjson").splitlines()
    assert msgspec.json.decode(spans[1]) == trace["rootSpan"]["children"][0]
    unknown = call(server, "trace", "01JQDAE4RQ0000000000000009")
    assert (unknown.exit_code, "Run not found" in unknown.output) == (1, True)


def test_who_pauses_a_function_is_told_how_many_runs_that_is_about(server: Running) -> None:
    done(server, "bulk", "cancel", *OPEN, "--yes", "--wait", "--rate", "2000")
    for _ in range(2):
        done(server, "invoke", "shop-order")
    assert done(server, "pause", "shop-order", "--dry-run") == "freeze is about 2 runs"
    no = call(server, "pause", "shop-order", "--cancel", stdin="n\n")
    assert (no.exit_code, "cancel 2 runs?" in no.output) == (1, True)
    assert done(server, "resume", "shop-order") == "shop-order was not paused"
    assert done(server, "pause", "shop-order", "--cancel", "--yes") == "shop-order is paused"
    assert done(server, "pause", "shop-order", "--cancel", "--dry-run") == "cancel is about 0 runs"
    assert done(server, "resume", "shop-order") == "shop-order goes on"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(server: Running, shell: str) -> None:
    assert "_STEPWELL_COMPLETE" in done(server, "completion", shell)


def on_a_terminal(columns: int, *arguments: str, until: str = "", **env: str) -> str:
    """What a person sees who runs the command on a terminal that is so wide, and leaves it with
    Ctrl-C once they have seen `until`."""
    pid, master = pty.fork()
    if pid == 0:
        # Whoever runs the tests beside something else may have them ignored.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        size = {"COLUMNS": str(columns), "LINES": "40", "TERM": "xterm-256color"}
        command = [sys.executable, "-m", "stepwell", *arguments]
        os.execve(sys.executable, command, {**os.environ, **env, **size})
    seen = bytearray()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            part = os.read(master, 65_536)
        except OSError:
            break
        if not part:
            break
        seen += part
        if until and until.encode() in seen:
            os.write(master, b"\x03")
    os.close(master)
    if time.monotonic() > end:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return seen.decode()


@pytest.mark.slow
def test_tables_fit_the_terminal(server: Running) -> None:
    seen = on_a_terminal(60, "functions", STEPWELL_URL=server.url)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "").splitlines()
    assert any(line.startswith("shop-order") for line in lines)
    assert all(len(line.rstrip()) <= 60 for line in lines), lines


def test_runs_are_listed_by_what_they_hold_and_in_either_order(server: Running) -> None:
    ids = [
        done(server, "invoke", "shop-order", msgspec.json.encode({"listed": n}).decode())
        for n in range(3)
    ]

    def told(*arguments: str) -> list[str]:
        lines = done(server, "runs", *arguments, "--output", "ndjson").splitlines()
        return [msgspec.json.decode(line)["id"] for line in lines]

    assert told("--query", "event.data.listed >= 1") == [ids[2], ids[1]]
    wanted = ("--query", "event.data.listed >= 0", "--oldest-first", "--function", "shop-order")
    assert told(*wanted) == ids
    assert told(*wanted, "--until", "2020-01-01T00:00:00Z") == []
    assert told("--function", "shop-gone") == []
    assert "query: " in call(server, "runs", "--query", "event.").output


@pytest.mark.slow
def test_a_list_is_watched_on_a_terminal_until_it_is_left(server: Running) -> None:
    run_id = done(server, "invoke", "shop-order")
    seen = on_a_terminal(
        100, "runs", "--watch", "--limit", "3", STEPWELL_URL=server.url, until=run_id
    )
    assert run_id in seen
