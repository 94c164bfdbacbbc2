"""Requests that wait for the end of a run."""

import asyncio

import pytest

from stepwell.server.api.run_watch import RunWatch
from stepwell.server.engine.message.input import Returned
from tests.unit.server.api.harness import function, serving


async def test_who_waits_is_woken_by_its_own_run() -> None:
    watch = RunWatch()
    mine = [asyncio.ensure_future(watch.until("a", 60)) for _ in range(2)]
    other = asyncio.ensure_future(watch.until("b", 60))
    await asyncio.sleep(0)
    watch.hear("a")
    await asyncio.gather(*mine)
    assert not other.done()
    watch.release()
    await other
    await watch.until("c", 60)


async def test_time_runs_out_and_nothing_is_kept() -> None:
    watch = RunWatch()
    await watch.until("a", 0.001)
    waiting = asyncio.ensure_future(watch.until("a", 60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    watch.hear("a")
    assert not watch._waiting


async def test_the_api_answers_when_the_run_has_ended() -> None:
    async with serving() as api:
        await api.register(function("a", event="x"))
        await api.send("x")
        (job,) = await api.jobs()
        path = f"/v1/runs/{job.run.id}"
        early = await api.http.get(path, params={"wait": "0.001"})
        assert early.json()["data"]["status"] == "Running"
        asked = asyncio.ensure_future(api.http.get(path, params={"wait": "1e9"}))
        while not api.deps.ends._waiting:
            await asyncio.sleep(0)
        await api.answer(job, Returned(b"7"))
        api.deps.ends.hear(job.run.id)
        answer = (await asked).json()["data"]
        assert (answer["status"], answer["output"]) == ("Completed", 7)
        again = await api.http.get(path, params={"wait": "60"})
        assert again.json()["data"]["output"] == 7


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
async def test_a_wait_that_cannot_be_used(text: str) -> None:
    async with serving() as api:
        await api.register(function("a", event="x"))
        await api.send("x")
        (job,) = await api.jobs()
        answer = await api.http.get(f"/v1/runs/{job.run.id}", params={"wait": text})
        assert answer.status_code == 400
        assert "wait" in answer.json()["error"]
