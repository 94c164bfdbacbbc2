"""The scenarios: which event is sent, how the run must end, and what the app must have seen."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stepwell.encryption import Cipher, is_encrypted
from tests.interop.harness import App

LARGE = 1_800_000
SECRET = "a passphrase of the tests"
WORDS = "grüße 🚀 \u2028 \u0007 “x”"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one scenario in one app."""

    app: App
    status: str
    output: Any
    notes: list[dict[str, Any]]
    run_id: str

    def seen(self) -> list[str]:
        """What was done, in order of time."""
        return [note["what"] for note in self.notes]

    def attempts(self, what: str) -> list[int]:
        return [note["attempt"] for note in self.notes if note["what"] == what]

    def gap_ms(self, before: int, after: int) -> float:
        return float(self.notes[after]["at"] - self.notes[before]["at"])


@dataclass(frozen=True, slots=True)
class Scenario:
    """One function of the catalogue, the data of its event, and the judgement."""

    name: str
    check: Callable[[Outcome], None]
    data: dict[str, Any] = field(default_factory=dict)
    only: Callable[[App], bool] = lambda app: True
    # Other runs note something too, perhaps a little later.
    echoes: bool = False
    # Sent again and again until the run ends: (event name, data beside the token).
    follow: tuple[tuple[str, dict[str, Any]], ...] = ()


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, **options: Any) -> Callable[[Callable[[Outcome], None]], None]:
    def register(check: Callable[[Outcome], None]) -> None:
        SCENARIOS[name] = Scenario(name, check, **options)

    return register


def completed(outcome: Outcome, output: Any, seen: list[str] | None = None) -> None:
    """The run ended well with this output, and exactly these things were done in this order."""
    assert (outcome.status, outcome.output) == ("Completed", output)
    if seen is not None:
        assert outcome.seen() == seen


def failed(outcome: Outcome, message: str) -> None:
    assert outcome.status == "Failed"
    assert message in str(outcome.output)


def python(app: App) -> bool:
    return app.language == "python"


@scenario("no-steps", data={"n": 7})
def no_steps(outcome: Outcome) -> None:
    completed(outcome, {"n": 7}, ["handler"])


@scenario("two-steps")
def two_steps(outcome: Outcome) -> None:
    completed(outcome, [1, 2], ["a", "b"])


@scenario("two-steps-sync", only=python)
def two_steps_sync(outcome: Outcome) -> None:
    completed(outcome, [1, 2], ["a", "b"])


@scenario("twenty-steps")
def twenty_steps(outcome: Outcome) -> None:
    completed(outcome, 190, [f"step-{n}" for n in range(20)])


@scenario("three-entered", only=lambda app: app.name in {"js3", "js4", "js4-plain"})
def three_entered(outcome: Outcome) -> None:
    """With checkpoints the fourth version goes from step to step within one call; without them,
    and before it, every step is a call of its own."""
    completed(outcome, "through")
    entered = outcome.seen().count("entered")
    assert entered == (1 if outcome.app.name == "js4" else 4)


@scenario("parallel-two")
def parallel_two(outcome: Outcome) -> None:
    completed(outcome, [1, 2, 3])
    assert sorted(outcome.seen()) == ["a", "b", "c"]
    assert outcome.seen()[-1] == "c"


@scenario("parallel-mixed", only=lambda app: app.language == "js")
def parallel_mixed(outcome: Outcome) -> None:
    completed(outcome, [1, "slept", {"doubled": 8}], ["a"])


@scenario("race", only=lambda app: not app.name.startswith("js3"))
def race(outcome: Outcome) -> None:
    completed(outcome, ["x", "y"])
    assert sorted(outcome.seen()) == ["x-1", "x-2", "y-1", "y-2"]


@scenario("sleep")
def sleep(outcome: Outcome) -> None:
    completed(outcome, "awake", ["before", "after"])
    assert outcome.gap_ms(0, 1) >= 900


@scenario(
    "wait-matched",
    follow=(("approved", {"ok": False, "by": "nobody"}), ("approved", {"ok": True, "by": "kim"})),
)
def wait_matched(outcome: Outcome) -> None:
    completed(outcome, {"by": "kim"}, ["resumed"])


@scenario("wait-timeout")
def wait_timeout(outcome: Outcome) -> None:
    completed(outcome, {"got": None})


@scenario("invoke-ok")
def invoke_ok(outcome: Outcome) -> None:
    completed(outcome, {"child": {"doubled": 14}})


@scenario("invoke-fails")
def invoke_fails(outcome: Outcome) -> None:
    completed(outcome, {"caught": "child broke"})


@scenario("step-retry-ok")
def step_retry_ok(outcome: Outcome) -> None:
    completed(outcome, "fine", ["flaky", "flaky"])
    assert outcome.attempts("flaky") == [0, 1]


@scenario("step-exhausted-caught")
def step_exhausted_caught(outcome: Outcome) -> None:
    assert outcome.status == "Completed"
    assert outcome.output["message"] == "always broken"
    assert outcome.seen() == ["broken", "broken", "after"]
    assert outcome.attempts("broken") == [0, 1]
    assert outcome.attempts("after") == [0]


@scenario("step-exhausted-uncaught")
def step_exhausted_uncaught(outcome: Outcome) -> None:
    failed(outcome, "always broken")
    assert outcome.attempts("broken") == [0, 1]


@scenario("function-retry")
def function_retry(outcome: Outcome) -> None:
    completed(outcome, "second time")
    assert outcome.attempts("handler") == [0, 1]


@scenario("function-fails", echoes=True)
def function_fails(outcome: Outcome) -> None:
    failed(outcome, "no hope")
    assert outcome.attempts("handler") == [0, 1]
    told = [note for note in outcome.notes if note["what"] == "on-failure"]
    assert [(t["message"], t["failed_run"], t["function"]) for t in told] == [
        ("no hope", outcome.run_id, f"{outcome.app.name}-function-fails")
    ]


@scenario("non-retriable")
def non_retriable(outcome: Outcome) -> None:
    failed(outcome, "never again")
    assert outcome.attempts("handler") == [0]


@scenario("non-retriable-step")
def non_retriable_step(outcome: Outcome) -> None:
    """The JavaScript SDKs report the step as failed; the official Python SDK ends the run."""
    assert outcome.attempts("broken") == [0]
    if outcome.app.name in {"py", "py-connect"}:
        failed(outcome, "never again")
    else:
        completed(outcome, {"caught": "never again"})


@scenario("retry-after")
def retry_after(outcome: Outcome) -> None:
    """The app asked for four seconds; the server's own interval is one."""
    completed(outcome, "later it was", ["handler", "handler"])
    assert outcome.attempts("handler") == [0, 1]
    assert 2_900 <= outcome.gap_ms(0, 1) <= 15_000


@scenario("large-state")
def large_state(outcome: Outcome) -> None:
    completed(outcome, 3 * LARGE, ["large-0", "large-1", "large-2", "last"])


@scenario("repeated-ids")
def repeated_ids(outcome: Outcome) -> None:
    completed(outcome, [0, 1, 2], ["again-0", "again-1", "again-2"])


@scenario("step-null")
def step_null(outcome: Outcome) -> None:
    completed(outcome, [None, "after"], ["nothing", "after"])


@scenario("unicode", data={"words": WORDS})
def unicode(outcome: Outcome) -> None:
    completed(outcome, [WORDS, WORDS])


@scenario("send-event", echoes=True)
def send_event(outcome: Outcome) -> None:
    completed(outcome, 2)
    assert sorted(n["n"] for n in outcome.notes if n["what"] == "heard") == [1, 2]


@scenario("defers", echoes=True, only=lambda app: app.name.startswith(("js4", "ours")))
def defers(outcome: Outcome) -> None:
    completed(outcome, "done")
    assert outcome.seen().count("a") == 1
    told = [(n["parent"], n["function"]) for n in outcome.notes if n["what"] == "later"]
    assert told == [(outcome.run_id, f"{outcome.app.name}-defers")]


# What the server says about runs (E-170 to E-177): told once each, with the run's own id.


def told(outcome: Outcome) -> list[tuple[str, Any]]:
    """The internal events about the run by name, each with its error or else its result."""
    found = [note for note in outcome.notes if note["what"] == "told"]
    assert {note["run"] for note in found} == {outcome.run_id}
    return sorted(
        (note["name"].partition(".")[2], note["error"] or note["result"]) for note in found
    )


@scenario("watched-ok", echoes=True)
def watched_ok(outcome: Outcome) -> None:
    completed(outcome, {"n": 7})
    assert told(outcome) == [("finished", {"n": 7})]


@scenario("watched-fails", echoes=True)
def watched_fails(outcome: Outcome) -> None:
    failed(outcome, "watched")
    assert told(outcome) == [("failed", "watched"), ("finished", "watched")]


@scenario("watched-cancelled", follow=(("enough", {}),), echoes=True)
def watched_cancelled(outcome: Outcome) -> None:
    assert outcome.status == "Cancelled"
    assert told(outcome) == [("cancelled", None), ("finished", None)]


@scenario("invoked-event")
def invoked_event(outcome: Outcome) -> None:
    completed(outcome, ["inngest/function.invoked", 7])


# Encrypted here, read by the app's own package; its ciphertext is read here again. The package for
# JavaScript exists for its fourth version alone.
@scenario(
    "encrypted",
    data={"encrypted": Cipher(SECRET).encrypt({"pin": 1234})},
    only=lambda app: not app.name.startswith("js3"),
)
def encrypted(outcome: Outcome) -> None:
    assert is_encrypted(outcome.output)
    assert "1234" not in str(outcome.output)
    assert outcome.status == "Completed"
    assert Cipher(SECRET).decrypt(outcome.output) == {"pin": 1234}
    assert [note["pin"] for note in outcome.notes if note["what"] == "seen"] == [1234]
    assert outcome.seen() == ["secret", "seen"]
