"""Y2: a call that was told "not before then" lets everything rest that shares its keys."""

from typing import Any

import msgspec
import pytest

from stepwell.server.engine.message.input import Broke, Progressed
from stepwell.wire.failure import Failure, encode_failure
from stepwell.wire.function_config import Concurrency, Fairness, Throttle
from stepwell.wire.identifier import step_hash
from stepwell.wire.named_limit import FunctionLimit, StepLimit
from stepwell.wire.operation import StepError, StepPlanned
from tests.bench import NOW_MS, progressed
from tests.flow.flow_bench import MINUTE, SECOND, FlowBench, controlled

USER = "event.data.user"
TOLD = Failure("RetryAfterError", "429", retry_scope="key")
KEYED: list[dict[str, Any]] = [
    {"concurrency": (Concurrency(5, USER),)},
    {"concurrency": (Concurrency(5), Concurrency(9, USER))},
    {"run_concurrency": (Concurrency(5, USER),)},
    {"throttle": Throttle(50, "1s", key=USER)},
    {"fairness": Fairness(USER)},
    {"limits": (FunctionLimit("api", key=USER),)},
]


def broke(delay_ms: int | None, failure: Failure = TOLD) -> Broke:
    return Broke(failure, encode_failure(failure), delay_ms=delay_ms)


def users(bench: FlowBench) -> str:
    """Whose calls begin now."""
    found = []
    for job in bench.claim():
        event = bench.reader.event(job.run.event_ids[0])
        assert event is not None
        found.append(msgspec.json.decode(event.body)["data"]["user"])
    return "".join(sorted(found))


@pytest.mark.parametrize("controls", KEYED, ids=lambda one: next(iter(one)))
def test_Y2_the_key_rests_and_others_do_not(bench: FlowBench, controls: dict[str, Any]) -> None:
    bench.register(controlled(**controls))
    bench.send("go", {"user": "a"})
    bench.reply(bench.job(), broke(30 * SECOND))
    for user in "aab":
        bench.send("go", {"user": user})
    assert users(bench) == "b"
    bench.restart()
    bench.at(30 * SECOND - 1)
    assert users(bench) == "b", "begun again after the restart"
    assert users(bench) == ""
    assert bench.next_due_ms == NOW_MS + 30 * SECOND
    bench.at(30 * SECOND)
    assert users(bench) == "aaa"


def test_a_function_without_keys_rests_as_a_whole(bench: FlowBench) -> None:
    bench.register(controlled(), controlled("other", "went"))
    bench.send("go")
    bench.reply(bench.job(), broke(30 * SECOND))
    bench.send("go")
    bench.send("went")
    assert [job.run.function for job in bench.claim()] == ["shop-other"]
    bench.at(30 * SECOND)
    assert [job.run.function for job in bench.claim()] == ["shop-work"] * 2


def test_a_step_lets_its_named_limit_rest_for_all_functions(bench: FlowBench) -> None:
    bench.register(controlled(), controlled("other", "went"))
    asked = StepPlanned(id=step_hash("ask"), name="ask", limits=(StepLimit("openai"),))
    for name in ("go", "went"):
        bench.send(name)
    for job in bench.claim():
        bench.reply(job, progressed(asked))
    first, second = bench.claim()
    failed = StepError(id=step_hash("ask"), name="ask", failure=TOLD)
    bench.reply(first, Progressed((failed,), delay_ms=MINUTE))
    bench.reply(second, Progressed((failed,), delay_ms=20 * SECOND))
    bench.at(59 * SECOND)
    assert bench.claim() == [], "the longer of two words counts"
    bench.at(60 * SECOND)
    assert len(bench.claim()) == 2


@pytest.mark.parametrize(("delay_ms", "failure"), [(None, TOLD), (30 * SECOND, Failure("E", "m"))])
def test_nothing_else_lets_a_key_rest(
    bench: FlowBench, delay_ms: int | None, failure: Failure
) -> None:
    bench.register(controlled(concurrency=(Concurrency(5, USER),)))
    bench.send("go", {"user": "a"})
    bench.reply(bench.job(), broke(delay_ms, failure))
    bench.send("go", {"user": "a"})
    assert users(bench) == "a"


def test_a_run_in_its_place_goes_on_after_a_rest_whoever_waits_for_the_place(
    bench: FlowBench,
) -> None:
    """Who has waited longest under the key waits for the end of that very run."""
    bench.register(controlled(run_concurrency=(Concurrency(1, USER),)))
    first = bench.send("go", {"user": "a"})
    steps = [StepPlanned(id=step_hash(name), name=name) for name in ("ask", "tell")]
    bench.reply(bench.job(), progressed(*steps))
    ask, tell = bench.claim()
    bench.send("go", {"user": "a"})
    assert bench.claim() == []
    failed = [StepError(id=one.id, name=one.name, failure=TOLD) for one in steps]
    bench.reply(ask, Progressed((failed[0],), delay_ms=30 * SECOND))
    plain = msgspec.structs.replace(failed[1], failure=Failure("E", "m"))
    bench.reply(tell, Progressed((plain,), delay_ms=10 * SECOND))
    bench.at(10 * SECOND)
    assert bench.claim() == []
    bench.at(30 * SECOND)
    assert [job.run.event_ids[0] for job in bench.claim()] == [first, first]
