"""`/v2/runs/{id}/logs`, and what the command line shows of it."""

from collections.abc import AsyncIterator

import pytest

from stepwell.server.engine.message.input import Job, Progressed
from stepwell.wire.log import LogLine
from stepwell.wire.operation import Logs
from stepwell.wire.operation_decode import decode_operations
from tests.unit.server.api.harness import Api, function, serving, step, text

UNKNOWN = "01JQDAE4RQ0000000000000009"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        await made.register(function("a", event="x"))
        yield made


async def wrote(api: Api, *lines: LogLine) -> Job:
    """A run whose first step wrote lines."""
    await api.send("x")
    (job,) = await api.jobs()
    (first,) = decode_operations(text([step("charge", 1)]).encode())
    await api.answer(job, Progressed((first, Logs(lines=lines))))
    return job


async def test_lines_are_told_in_order_a_page_at_a_time(api: Api) -> None:
    at = 1_767_225_600_000_000
    lines = [LogLine(at + n, "info", f"line {n}") for n in range(3)]
    job = await wrote(api, LogLine(at, "warning", "in it", "ab", "charge"), *lines)
    path = f"/v2/runs/{job.run.id}/logs"
    first = (await api.http.get(path, params={"limit": 2})).json()
    assert first["data"] == [
        {
            "at": "2026-01-01T00:00:00Z",
            "level": "warning",
            "text": "in it",
            "stepId": "ab",
            "stepName": "charge",
        },
        {"at": "2026-01-01T00:00:00Z", "level": "info", "text": "line 0"},
    ]
    assert first["page"]["hasMore"]
    rest = (await api.http.get(path, params={"cursor": first["page"]["cursor"]})).json()
    assert [one["text"] for one in rest["data"]] == ["line 1", "line 2"]
    assert "hasMore" not in rest["page"]


async def test_a_run_that_wrote_nothing_and_one_that_is_not_there(api: Api) -> None:
    await api.send("x")
    (job,) = await api.jobs()
    assert (await api.http.get(f"/v2/runs/{job.run.id}/logs")).json()["data"] == []
    assert (await api.http.get(f"/v2/runs/{UNKNOWN}/logs")).status_code == 404


async def test_they_are_no_metadata_of_the_run(api: Api) -> None:
    job = await wrote(api, LogLine(1, "info", "said"))
    trace = (await api.http.get(f"/v2/runs/{job.run.id}/trace")).json()["data"]
    assert "metadata" not in trace["rootSpan"]
