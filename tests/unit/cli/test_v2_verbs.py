"""The verbs that list, start, cancel, rerun and watch, against a real server; and as a person sees
them, on a terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from typing import Any, Self

import httpx
import msgspec
import pytest
from click.testing import CliRunner, Result

from stepwell.cli.main import main
from stepwell.cli.server_api import Away
from stepwell.cli.verbs import tail
from stepwell.wire.identifier import step_hash
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
    told = ["tail", "--url", server.url, "--output", "ndjson", "--count", "4"]
    process = subprocess.Popen([sys.executable, "-m", "stepwell", *told], stdout=subprocess.PIPE)
    with process:
        number = 0
        while process.poll() is None:
            done(server, "invoke", "shop-order")
            number += 1
            report_a_line(server, f"01JQDAE4RQ{number:016}")
            time.sleep(0.1)
        assert process.stdout is not None
        found = [msgspec.json.decode(line) for line in process.stdout.read().splitlines()]
    assert (process.returncode, len(found)) == (0, 4)
    assert "shop-order" in {one["function"]["name"] for one in found if "function" in one}
    assert {one["text"] for one in found if "runId" in one} == {"packed"}


def report_a_line(server: Running, run_id: str) -> None:
    """A run that wrote a line, as a durable endpoint reports it."""
    step = {"id": step_hash("pack"), "op": "StepRun", "data": 1}
    lines = [{"at": 1, "level": "info", "text": "packed"}]
    event = {"name": "inngest/http.request", "data": {"domain": "http://site"}}
    event["data"] |= {"method": "GET", "path": "/", "fn": "pack"}
    steps = [step, {"id": "", "op": "Logs", "opts": {"lines": lines}}]
    body = {"run_id": run_id, "event": event, "steps": steps}
    httpx.post(f"{server.url}/v1/checkpoint", json=body).raise_for_status()


class Stream:
    """A server that tells of one change, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: dict[str, object] = {}
        self.more = False

    def get_if_there(self, kind: type, path: str) -> object:
        return path.removesuffix("/shop") != path or None

    def lines(self, path: str, **query: object) -> Iterator[str]:
        self.asked = query
        at = "2026-01-01T00:00:00Z"
        line = {"at": at, "level": "info", "text": "packed\x1b[2J", "runId": "R"}
        lines = [{**line, "stepName": "pack"}, {**line, "text": "two\nlines"}]
        changes = msgspec.json.encode({"lines": lines, "more": self.more}).decode()
        yield from ("event: changes", f"data: {changes}", "")


def test_lines_of_functions_are_printed_with_their_run(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream()
    monkeypatch.setattr(tail, "server_at", lambda *_: stream)
    told = CliRunner().invoke(main, ["tail", "--count", "2", "--app", "shop"])
    assert told.stderr == ""
    assert told.stdout.splitlines() == [
        "2026-01-01 00:00:00  info       R  [pack] packed\ufffd[2J",
        "2026-01-01 00:00:00  info       R  two",
        "lines",
    ]
    assert (stream.asked["appId"], stream.asked["includeLogs"]) == (("shop",), "true")
    CliRunner().invoke(main, ["tail", "--count", "2", "--no-logs"])
    assert "includeLogs" not in stream.asked
    told = CliRunner().invoke(main, ["tail", "--count", "2", "--app", "shup"])
    assert told.stderr == "no app 'shup' is registered: nothing is told until one is\n"


def test_what_is_too_much_at_once_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream()
    stream.more = True
    monkeypatch.setattr(tail, "server_at", lambda *_: stream)
    told = CliRunner().invoke(main, ["tail", "--count", "2"])
    assert told.stderr == "more happened at once than is told: stepwell runs\n"


class Restarting(Stream):
    """A server that is away for two questions after its first answer."""

    url = "http://server"

    def __init__(self) -> None:
        super().__init__()
        self.known: list[object] = []

    def lines(self, path: str, **query: object) -> Iterator[str]:
        self.known.append(query["lastEventId"])
        if len(self.known) in (2, 3):
            raise Away("no server answers")
        yield f"id: {len(self.known)}"
        yield from super().lines(path, **query)


def test_a_server_that_is_away_for_a_while_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Restarting()
    monkeypatch.setattr(tail, "server_at", lambda *_: stream)
    monkeypatch.setattr(tail, "AGAIN_S", 0)
    told = CliRunner().invoke(main, ["tail", "--count", "4"])
    assert (told.exit_code, len(told.stdout.splitlines())) == (0, 6)
    assert told.stderr == "http://server does not answer: asking until it does\n"
    assert stream.known == ["", "1", "1", "1"]


def test_a_server_that_never_answered_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Restarting()
    stream.known = [""]
    monkeypatch.setattr(tail, "server_at", lambda *_: stream)
    told = CliRunner().invoke(main, ["tail"])
    assert (told.exit_code, told.stderr) == (1, "Error: no server answers\n")


def test_a_run_that_nobody_knows_is_not_waited_for(server: Running) -> None:
    told = call(server, "tail", "--run", "01JQDAE4RQ0000000000000009")
    assert told.exit_code == 1
    assert "answered HTTP 404: Run not found" in told.output


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


def test_what_has_a_list_is_listed_where_no_part_is_named(server: Running) -> None:
    done(server, "send", "shop/nobody", '{"number": 73}')
    assert "shop/nobody" in done(server, "events")
    assert done(server, "events", "--limit", "1") == done(server, "events", "list", "--limit", "1")
    for group in ("keys", "bulk"):
        assert done(server, group) == done(server, group, "list")
    for group in ("events", "keys", "bulk"):
        assert "Commands:" in done(server, group, "--help")
    assert "No such command 'nothing'" in call(server, "events", "nothing").output
    assert "No such command ''" in call(server, "events", "").output  # an empty variable


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


def test_a_run_is_resumed_by_its_id(server: Running) -> None:
    run_id = done(server, "invoke", "shop-order")
    assert done(server, "resume", run_id) == f"{run_id} has the code of now already"
    done(server, "cancel", run_id)
    ended = call(server, "resume", run_id)
    assert (ended.exit_code, "Cannot resume the run: it is cancelled" in ended.output) == (1, True)
    unknown = call(server, "resume", "01JQDAE4RQ0000000000000009")
    assert (unknown.exit_code, "Run not found" in unknown.output) == (1, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(server: Running, shell: str) -> None:
    assert "_STEPWELL_COMPLETE" in done(server, "completion", shell)


# A session leader that opens a terminal gets it as its own: Ctrl-C reaches whom it belongs to.
# Whoever runs the tests beside something else may have signals ignored.
ON_A_TERMINAL = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.close(os.open(os.ttyname(0), os.O_RDWR))
os.execv(sys.executable, [sys.executable, "-m", "stepwell", *sys.argv[1:]])
"""
CTRL_C = b"\x03"


class Terminal:
    """A command on a terminal that is so wide, and what a person sees there."""

    def __init__(self, server: Running, columns: int, *arguments: str) -> None:
        self.seen = ""
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (40, columns))
        fixed = {*FIXED, "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI"}
        env = {name: text for name, text in os.environ.items() if name not in fixed}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_A_TERMINAL, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**env, "STEPWELL_URL": server.url, "TERM": "xterm-256color"},
        )
        os.close(slave)

    def shows(self, text: str = "") -> bool:
        """Waits until something is seen, or the command ends: has it been seen?"""
        end = time.monotonic() + 60
        while not (text and text in self.seen):
            ready, _, _ = select.select([self._master], [], [], max(end - time.monotonic(), 0))
            try:
                part = os.read(self._master, 65_536) if ready else b""
            except OSError:
                part = b""
            if not part:
                return False
            self.seen += part.decode(errors="replace")
        return True

    def types(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    @property
    def lines(self) -> list[str]:
        """What was written, without colours and movements."""
        return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen))


@pytest.mark.slow
def test_a_list_is_watched_on_a_terminal_until_it_is_left(server: Running) -> None:
    first = done(server, "invoke", "shop-order")
    with Terminal(server, 100, "runs", "--watch", "--limit", "3") as terminal:
        assert terminal.shows(first), terminal.seen
        second = done(server, "invoke", "shop-order")
        assert terminal.shows(second), terminal.seen
        terminal.types(CTRL_C)
        terminal.shows()
        assert terminal.process.wait(30) == 0
    assert "Aborted" not in terminal.seen
    assert "Traceback" not in terminal.seen
    # In colours, drawn over what was there, and no wider than the terminal is.
    assert re.search(r"\x1b\[(2|33|36)m(QUEUED|CANCELLED|RUNNING)", terminal.seen)
    assert "\x1b[1A" in terminal.seen
    assert all(len(line.rstrip()) <= 100 for line in terminal.lines), terminal.lines


@pytest.mark.slow
def test_what_takes_long_shows_how_far_it_has_come(server: Running) -> None:
    done(server, "invoke", "shop-order")
    words = ("bulk", "cancel", *OPEN, "--wait", "--rate", "2000")
    with Terminal(server, 80, *words) as terminal:
        assert terminal.shows("[y/N]"), terminal.seen
        terminal.types(b"y\n")
        terminal.shows()
        assert terminal.process.wait(30) == 0
    assert "\u2501" in terminal.seen
    assert re.search(r"[1-9]\d* done, 0 refused", terminal.seen)


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
    assert told(*wanted, "--deferred") == []
    assert told(*wanted, "--not-deferred") == ids
    assert "query: " in call(server, "runs", "--query", "event.").output


def test_runs_and_events_are_listed_by_session(server: Running) -> None:
    events = [
        {"name": "shop/order", "data": {}, "meta": {"sessions": {"user": f"u={n % 2}", "n": n}}}
        for n in range(3)
    ]
    sent = httpx.post(f"{server.url}/e/dev", json=events).json()["ids"]

    def told(verb: str, *arguments: str) -> list[dict[str, Any]]:
        words = [verb, *(["list"] if verb == "events" else []), *arguments, "--output", "ndjson"]
        return [msgspec.json.decode(line) for line in done(server, *words).splitlines()]

    runs = told("runs", "--session", "user=u=0")
    assert {run["trigger"]["eventIds"][0] for run in runs} == {sent[2], sent[0]}
    runs = told("runs", "--session", "user=u=0", "--session", "n=2", "--with-output")
    assert [run["trigger"]["eventIds"] for run in runs] == [[sent[2]]]
    found = told("events", "--session", "user=u=1")
    assert [one["id"] for one in found] == [sent[1]]
    wrong = call(server, "runs", "--session", "user")
    assert (wrong.exit_code, "write it as key=id" in wrong.output) == (1, True)
