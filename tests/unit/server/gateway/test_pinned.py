"""Runs that stay with the code they began under: two workers of different code."""

from typing import Any

import msgspec

from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.query.offline import explanation_in
from stepwell.wire.connect_word import AppConfig, ReplyStatus
from tests.unit.server.gateway.hand import Hand, Pair, answer, ended, functions, until

SLUG = "app-fn"


def step(name: str) -> bytes:
    one = {"id": name, "op": "StepRun", "name": name, "displayName": name, "data": 7}
    return msgspec.json.encode([one])


def coded(code: str, policy: str = "pin") -> tuple[AppConfig, ...]:
    """An app whose function has this code."""
    (config,) = msgspec.json.decode(functions(SLUG))
    config["code"] = {"version": code, "onChange": policy}
    return (AppConfig("app", msgspec.json.encode([config])),)


async def worker(first: Hand, code: str, policy: str = "pin", **options: Any) -> Hand:
    """One more worker of the same server."""
    hand = Hand(first.server, first.http)
    await hand.join(apps=coded(code, policy), instance_id=f"worker-{code}", **options)
    return hand


async def begun(old: Hand) -> tuple[str, Run]:
    """A run that the old worker has done a step of, while it holds its second call."""
    event = await old.send()
    request = await old.take()
    await old.say(answer(request, step("charge"), ReplyStatus.NOT_COMPLETED))
    return event, old.run(event)


def why(hand: Hand, run: Run) -> str:
    told = explanation_in(hand.server.node.reader, run.id, hand.server.node.clock.now_ms())
    assert told is not None
    return told.text


async def test_each_run_is_called_at_a_worker_with_its_code(pair: Pair) -> None:
    _, first = pair
    old = await worker(first, "A")
    event, run = await begun(old)
    request = await old.take()
    new = await worker(first, "B")
    await old.say(answer(request, step("pack"), ReplyStatus.NOT_COMPLETED))
    again = await old.take()
    assert (again.run_id, old.run(event).code) == (run.id, "A")
    # What begins now begins with the newest code, and stays with it.
    other = await new.send()
    request = await new.take()
    await new.say(answer(request, step("charge"), ReplyStatus.NOT_COMPLETED))
    request = await new.take()
    assert new.run(other).code == "B"
    await new.say(answer(request))
    await old.say(answer(again))
    for hand, one in ((old, event), (new, other)):
        assert (await ended(hand, one)).status is RunStatus.COMPLETED
    await old.close()
    await new.close()


async def test_a_run_waits_visibly_until_a_worker_with_its_code_is_back(pair: Pair) -> None:
    _, first = pair
    old = await worker(first, "A")
    event, run = await begun(old)
    request = await old.take()
    new = await worker(first, "B")
    await old.say(answer(request, step("pack"), ReplyStatus.NOT_COMPLETED))
    await old.take()
    await old.close()
    await until(lambda: "waits for an app with code A" in why(new, run), 20)
    assert "it began under code A, and app-fn has code B now" in why(new, run)
    assert old.run(event).status is RunStatus.RUNNING
    back = await worker(first, "A")
    request = await back.take()
    assert request.run_id == run.id
    await back.say(answer(request))
    assert (await ended(back, event)).status is RunStatus.COMPLETED
    await back.close()
    await new.close()
