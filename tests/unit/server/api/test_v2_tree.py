"""The runs that began each other, by the REST API: as a tree, whichever of them is asked for."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell.server.api.v2 import runs
from stepwell.server.engine.message.input import Broke, Job, Outcome, Returned
from stepwell.server.query.v2 import tree as tree_v2
from stepwell.wire.failure import Failure, encode_failure
from tests.unit.server.api.harness import Api, function, serving, step
from tests.unit.server.api.test_runs import progressed

FAILED = Failure("ValueError", "no")
NOWHERE = "01JQDAE4RQ0000000000000009"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        await made.register(
            function("top", event="go"),
            function("mid"),
            function("leaf"),
            function("later", event="inngest/deferred.schedule"),
            function("mend", event="inngest/function.failed"),
        )
        yield made


def invoke(name: str, of: str) -> dict[str, Any]:
    payload: dict[str, Any] = {"data": {}}
    return step(name, op="InvokeFunction") | {"opts": {"function_id": of, "payload": payload}}


async def go_on(api: Api, outcome: Outcome) -> Job:
    """Answers the one call that is due, a moment after it began."""
    (job,) = await api.jobs()
    api.clock.ms += 5
    await api.answer(job, outcome)
    return job


async def story(api: Api) -> dict[str, str]:
    """`top` invokes `mid` and leaves `later` to its end; `mid` invokes `leaf`, which fails, and is
    handled by `mend`. Gives the run of each."""
    await api.send("go")
    later = step("later", op="DeferAdd") | {"opts": {"fn_slug": "shop-later", "input": {}}}
    top = await go_on(api, progressed(invoke("to mid", "shop-mid"), later))
    mid = await go_on(api, progressed(invoke("to leaf", "shop-leaf")))
    leaf = await go_on(api, Broke(FAILED, encode_failure(FAILED), None, True))
    jobs = {job.run.function: job for job in await api.jobs()}
    api.clock.ms += 5
    await api.answer(jobs["shop-mend"], Returned(b"1"))
    await api.answer(jobs["shop-mid"], Returned(b"2"))
    await go_on(api, Returned(b"3"))
    (left,) = await api.jobs()
    found = {"top": top, "mid": mid, "leaf": leaf, "mend": jobs["shop-mend"], "later": left}
    return {name: job.run.id for name, job in found.items()}


async def told(api: Api, run_id: str) -> Any:
    answer = await api.http.get(f"/v2/runs/{run_id}/tree")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def shape(node: dict[str, Any]) -> Any:
    """A node in short: its run, how it came, and those below it."""
    below = [shape(child) for child in node.get("children", ())]
    return (node["run"]["id"], node.get("how", ""), node.get("stepName", ""), below)


async def test_a_tree_is_told_whole_whichever_of_its_runs_is_asked_for(api: Api) -> None:
    ids = await story(api)
    mend = (ids["mend"], "failed", "", [])
    leaf = (ids["leaf"], "invoked", "to leaf", [mend])
    mid = (ids["mid"], "invoked", "to mid", [leaf])
    whole = (ids["top"], "", "", [mid, (ids["later"], "deferred", "", [])])
    for run_id in ids.values():
        tree = await told(api, run_id)
        assert (shape(tree["root"]), tree["runId"], tree["isCut"]) == (whole, run_id, False)


async def test_a_run_that_is_waited_for_is_in_the_tree_and_a_lone_run_is_one(api: Api) -> None:
    await api.send("go")
    top = await go_on(api, progressed(invoke("to mid", "shop-mid")))
    tree = await told(api, top.run.id)
    (child,) = tree["root"]["children"]
    assert (child["run"]["function"]["name"], child["stepName"]) == ("shop-mid", "to mid")
    event_id = await api.send("go")
    (lone,) = (await api.http.get(f"/v2/events/{event_id}/runs")).json()["data"]
    assert shape((await told(api, lone["id"]))["root"]) == (lone["id"], "", "", [])
    assert (await api.http.get(f"/v2/runs/{NOWHERE}/tree")).status_code == 404


async def test_a_tree_that_is_too_large_or_takes_too_long_is_cut(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await story(api)
    monkeypatch.setattr(tree_v2, "RUNS_MAX", 2)
    tree = await told(api, ids["leaf"])
    assert shape(tree["root"]) == (ids["top"], "", "", [(ids["mid"], "invoked", "to mid", [])])
    assert tree["isCut"] is True
    monkeypatch.setattr(runs, "until_late", lambda: lambda: False)
    assert shape((await told(api, ids["mid"]))["root"]) == (ids["top"], "", "", [])
