"""Steps that are saved while a call goes on."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from stepwell.server.drivers.request import call_request
from stepwell.server.engine.message.input import Job, LeaseLost, Returned
from stepwell.wire.checkpoint import GROUP_MAX, GROUP_PATH
from tests.unit.server.api.harness import BEARER, KEYS, Api, function, serving, step


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


def one_of_group(api: Api, job: Job, *steps: dict[str, Any], **changed: Any) -> dict[str, Any]:
    listing = api.ledger.catalog.listing(job.run.function)
    assert listing is not None
    ctx = call_request(job, api.deps.reader.call_state(job.run), listing).ctx
    names = ("run_id", "fn_id", "qi_id", "request_id", "generation_id")
    return {**{name: getattr(ctx, name) for name in names}, "steps": list(steps), **changed}


async def test_several_runs_save_in_one_request_and_none_suffers_from_another(api: Api) -> None:
    for number in range(4):
        await api.send("x", n=number)
    first, stale, torn, last = await api.jobs()
    lease = stale.lease
    await api.ledger.submit(LeaseLost(lease.id, lease.run_id, lease.key))
    await api.jobs()
    commits = api.ledger.commits
    answer = await api.http.post(
        GROUP_PATH,
        json=[
            one_of_group(api, first, step("one", 1)),
            one_of_group(api, stale, step("one", 2), request_id="01JQDAE4RQ0000000000000009"),
            {"steps": 5},
            one_of_group(api, torn, step("z", op="Sleep")),
            one_of_group(api, torn, step("one", 3), run_id="x"),
            one_of_group(api, torn, step("one", 3), qi_id="?"),
            "no checkpoint",
            one_of_group(api, last, step("one", 4)),
        ],
    )
    assert answer.status_code == 200
    told = answer.json()
    assert [one["status"] for one in told] == [200, 409, 400, 400, 400, 400, 400, 200]
    assert "cannot checkpoint async steps: return Sleep" in told[3]["error"]
    assert told[4]["error"] == "Invalid run ID: x"
    assert api.ledger.commits == commits + 1
    assert await saved(api, first) == {"hash-one": {"data": 1}}
    assert await saved(api, stale) == {}
    assert await saved(api, last) == {"hash-one": {"data": 4}}


async def test_what_is_no_group_is_told(api: Api) -> None:
    for body in (b"{}", b"[", b"\xff"):
        answer = await api.http.post(GROUP_PATH, content=body)
        assert answer.status_code == 400
        assert "a list of checkpoints is expected" in answer.json()["error"]
    many = await api.http.post(GROUP_PATH, json=[{}] * (GROUP_MAX + 1))
    assert many.json()["error"] == "over 100 checkpoints: at most so many travel together"


async def test_groups_need_the_signing_key_too() -> None:
    async with serving(KEYS) as closed:
        assert (await closed.http.post(GROUP_PATH, json=[])).status_code == 401
        assert (await closed.http.post(GROUP_PATH, json=[], headers=BEARER)).json() == []
