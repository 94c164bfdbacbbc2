"""Steps that are saved while a call goes on."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from stepwell.server.drivers.request import call_request
from stepwell.server.engine.input import Job, LeaseLost, Returned
from tests.unit.server.api.harness import Api, function, serving, step


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        await made.register(function("a", event="x"))
        yield made


async def called(api: Api) -> Job:
    await api.send("x", n=1)
    (job,) = await api.jobs()
    return job


async def save(api: Api, job: Job, *steps: dict[str, Any], **changed: Any) -> httpx.Response:
    """What JS sends: the ids of the call's `ctx`, and steps with keys nobody needs."""
    listing = api.ledger.catalog.listing(job.run.function)
    assert listing is not None
    ctx = call_request(job, api.deps.reader.call_state(job.run), listing).ctx
    body = {
        "run_id": ctx.run_id,
        "fn_id": ctx.fn_id,
        "qi_id": ctx.qi_id,
        "request_id": ctx.request_id,
        "generation_id": ctx.generation_id,
        "ts": 1,
        "request_started_at": 1,
        "steps": [{**one, "mode": "async", "rawArgs": []} for one in steps],
        **changed,
    }
    return await api.http.post(f"/v1/checkpoint/{ctx.run_id}/async", json=body)


async def saved(api: Api, job: Job) -> Any:
    return (await api.http.get(f"/v0/runs/{job.run.id}/actions")).json()


async def test_steps_are_saved_once_and_the_call_goes_on(api: Api) -> None:
    job = await called(api)
    first = await save(api, job, step("one", {"n": 1}))
    assert (first.status_code, first.content) == (200, b"")
    again = await save(api, job, step("one", {"n": 2}), step("two", 2))
    assert again.status_code == 200
    assert await saved(api, job) == {"hash-one": {"data": {"n": 1}}, "hash-two": {"data": 2}}
    await api.answer(job, Returned(b'"done"'))
    run = (await api.http.get(f"/v1/runs/{job.run.id}")).json()["data"]
    assert (run["status"], run["output"]) == ("Completed", "done")


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (step("z", op="Sleep"), "cannot checkpoint async steps: return Sleep at the end"),
        ({**step("z", op="WaitForEvent"), "name": "x"}, "cannot checkpoint async steps"),
        ({**step("z", op="StepError"), "error": {}}, "cannot checkpoint async steps"),
        (
            {**step("z", op="StepFailed"), "error": {"message": "m"}},
            "cannot checkpoint opcode: StepFailed",
        ),
        (step("z", op="RunComplete"), "cannot checkpoint opcode: RunComplete"),
        (step("z", op="Unheard"), "Unheard"),
    ],
)
async def test_what_ends_a_call_cannot_be_saved_on_the_way(
    api: Api, operation: dict[str, Any], said: str
) -> None:
    job = await called(api)
    answer = await save(api, job, step("one", 1), operation)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert await saved(api, job) == {}


async def test_who_lost_his_lease_is_told_to_stop(api: Api) -> None:
    old = await called(api)
    lease = old.lease
    await api.ledger.submit(LeaseLost(lease.id, lease.run_id, lease.key))
    capacity = api.jobs
    (new,) = await capacity()
    stale = await save(api, old, step("one", 1), request_id="01JQDAE4RQ0000000000000009")
    assert stale.status_code == 409
    assert (await save(api, new, step("one", 2))).status_code == 200
    assert await saved(api, new) == {"hash-one": {"data": 2}}


async def test_a_run_that_ended_saves_nothing(api: Api) -> None:
    job = await called(api)
    await api.answer(job, Returned(b"1"))
    answer = await save(api, job, step("one", 1))
    assert answer.status_code == 400
    assert answer.json()["error"] == "run not found in state store"


async def test_what_is_no_checkpoint_is_told(api: Api) -> None:
    job = await called(api)
    assert "qi_id" in (await save(api, job, step("one", 1), qi_id="?")).json()["error"]
    assert (await save(api, job, steps=5)).status_code == 400
    path = f"/v1/checkpoint/{job.run.id}/async"
    assert (await api.http.post(path, content=b"{")).status_code == 400
    assert (await api.http.post("/v1/checkpoint/x/async", json={})).status_code == 400
    large = await save(api, job, step("one", "x" * 8 * 1024 * 1024))
    assert large.status_code == 413


async def test_a_result_nobody_keeps_is_refused_by_its_step(api: Api) -> None:
    job = await called(api)
    mib = 1024 * 1024
    answer = await save(api, job, step("fine", 1), step("large", "x" * 4 * mib))
    assert answer.status_code == 413
    told = answer.json()["error"]
    assert told.startswith(f'step "large" returned {4 * mib + 2} bytes, at most {4 * mib} are')
    assert await saved(api, job) == {}
    assert (await save(api, job, step("fits", "x" * (4 * mib - 2)))).status_code == 200
