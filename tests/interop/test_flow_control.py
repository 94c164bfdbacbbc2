"""Every control of flow, declared with the official SDKs, unchanged, as real processes.

The events of all controls are sent at once, and then each control is judged. Only what cannot
depend on the speed of a machine is asked: order, number, never two at once, never too early.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.interop.harness import (
    App,
    Server,
    connected,
    missing,
    new_token,
    running_app,
    running_server,
    sync,
    until,
)
from tests.interop.test_official_sdks import APPS

PROGRAM = ("flow_app.py", "flow.mjs")
CHOSEN = ("py", "js3", "js4", "py-connect", "js4-connect")

pytestmark = [pytest.mark.interop, pytest.mark.slow]


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of the events of one control: run, if any, and reasons, by event; and what
    handlers noted, in the order in which they began."""

    runs: list[dict[str, Any] | None]
    reasons: list[list[str]]
    notes: list[dict[str, Any]]

    def statuses(self) -> list[str]:
        return [run["status"] if run else "none" for run in self.runs]

    def outputs(self) -> list[Any]:
        return [run["output"] if run else None for run in self.runs]

    def overlaps(self) -> int:
        """How often a handler began before another, that began earlier, had ended."""
        pairs = zip(self.notes, self.notes[1:], strict=False)
        return sum(later["began"] < earlier["ended"] for earlier, later in pairs)

    def of_key(self, key: str) -> "Seen":
        return Seen([], [], [note for note in self.notes if note["key"] == key])


@dataclass(frozen=True, slots=True)
class Control:
    """The keys of the events that are sent, and the judgement."""

    keys: tuple[object, ...]
    judge: Callable[[Seen], None]


CONTROLS: dict[str, Control] = {}


def control(name: str, *keys: object) -> Callable[[Callable[[Seen], None]], None]:
    def register(judge: Callable[[Seen], None]) -> None:
        CONTROLS[name] = Control(keys, judge)

    return register


@control("rate-limit", "a", "a", "b")
def rate_limit(seen: Seen) -> None:
    assert seen.statuses() == ["Completed", "none", "Completed"]
    assert seen.reasons == [[], ["RateLimit"], []]


@control("idempotency", "a", "a", "b")
def idempotency(seen: Seen) -> None:
    assert seen.statuses() == ["Completed", "none", "Completed"]
    assert seen.reasons == [[], ["Idempotency"], []]


@control("debounce", "a", "a", "a", "b")
def debounce(seen: Seen) -> None:
    assert seen.outputs() == [None, None, [2], [3]]
    assert seen.reasons == [["Debounce"], ["Debounce"], [], []]


@control("batch", "a", "a", "a")
def batch(seen: Seen) -> None:
    assert seen.outputs() == [[0, 1, 2]] * 3
    assert len({run["run_id"] for run in seen.runs if run}) == 1


@control("batch-timeout", "a", "b", "a")
def batch_timeout(seen: Seen) -> None:
    assert seen.outputs() == [[0, 2], [1], [0, 2]]


@control("singleton-skip", "a", "a", "b")
def singleton_skip(seen: Seen) -> None:
    assert seen.statuses() == ["Completed", "none", "Completed"]
    assert seen.reasons == [[], ["Singleton"], []]


@control("singleton-cancel", "a", "a", "b")
def singleton_cancel(seen: Seen) -> None:
    assert seen.statuses() == ["Cancelled", "Completed", "Completed"]


@control("concurrency", "a", "b", "c", "d")
def concurrency(seen: Seen) -> None:
    assert seen.statuses() == ["Completed"] * 4
    assert (len(seen.notes), seen.overlaps()) == (4, 0)


@control("concurrency-key", "a", "a", "a", "b", "b")
def concurrency_key(seen: Seen) -> None:
    assert seen.statuses() == ["Completed"] * 5
    assert (seen.of_key("a").overlaps(), seen.of_key("b").overlaps()) == (0, 0)
    assert [note["n"] for note in seen.of_key("a").notes] == [[0], [1], [2]]


@control("throttle", "a", "a", "a")
def throttle(seen: Seen) -> None:
    assert seen.statuses() == ["Completed"] * 3
    times = [run["run_started_at"] for run in seen.runs if run]
    first, _, third = sorted(map(dt.datetime.fromisoformat, times))
    assert third - first >= dt.timedelta(seconds=4)


@control("priority", "plain", "plain", "plain", "plain", "vip")
def priority(seen: Seen) -> None:
    assert seen.statuses() == ["Completed"] * 5
    assert "vip" in [note["key"] for note in seen.notes[:2]]


@control("timeouts-start", "a", "a", "a")
def timeouts_start(seen: Seen) -> None:
    assert seen.statuses().count("Cancelled") >= 2


@control("timeouts-finish", "a")
def timeouts_finish(seen: Seen) -> None:
    assert seen.statuses() == ["Cancelled"]


@dataclass
class Stage:
    """One server, one app, and every control's events already sent."""

    server: Server
    app: App
    sent: dict[str, tuple[list[str], str]] = field(default_factory=dict)

    def begin(self) -> None:
        for name, one in CONTROLS.items():
            token = new_token()
            events = [
                {"name": f"{self.app.name}/{name}", "data": {"token": token, "n": n, "key": key}}
                for n, key in enumerate(one.keys)
            ]
            self.sent[name] = self.server.send_all(events), token

    def seen(self, name: str) -> Seen:
        """Waits until every event has a run that has ended, or a reason why there will be none."""
        ids, token = self.sent[name]
        runs = [
            until(f"event {number} of {name}", lambda e=e: self.end(e))
            for number, e in enumerate(ids)
        ]
        notes = sorted(self.app.log(token), key=lambda note: float(note["began"]))
        return Seen([run or None for run in runs], [self.server.reasons(e) for e in ids], notes)

    def end(self, event: str) -> dict[str, Any] | None:
        """The event's run when it has ended, an empty one if there is none and will be none."""
        runs = self.server.ended(event)
        if runs:
            return runs[0]
        reasons = self.server.reasons(event)
        held = any(reason.endswith("ing") for reason in reasons)
        return {} if reasons and not held and not self.server.runs(event) else None


@pytest.fixture(scope="module", params=CHOSEN)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    name = str(request.param)
    env = APPS[name]
    if reason := missing(env):
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(name)
    with ExitStack() as stack:
        server = stack.enter_context(running_server(folder))
        app = stack.enter_context(running_app(name, env, server.url, folder, PROGRAM))
        if env.get("TRANSPORT") == "connect":
            connected(server, app)
        else:
            sync(app)
        made = Stage(server, app)
        made.begin()
        yield made


@pytest.mark.parametrize("name", CONTROLS)
def test_control(stage: Stage, name: str) -> None:
    CONTROLS[name].judge(stage.seen(name))
