"""`POST /invoke/{function}`, line by line (server.md 1.8, 2.6)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell.server.engine.message.input import Returned
from stepwell.wire.identifier import function_uuid, is_ulid
from tests.unit.server.api.harness import Api, function, serving, step
from tests.unit.server.api.test_runs import data, progressed


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        heard = function("listener", event="inngest/function.finished", retries=0)
        assert (await made.register(function("a", event="x"), heard)).status_code == 200
        yield made


async def ends(api: Api) -> list[dict[str, Any]]:
    """What the listener is told."""
    runs = [job.run for job in await api.jobs() if job.run.function == "shop-listener"]
    return [(await data(api, f"/v1/events/{run.event_ids[0]}"))["data"] for run in runs]


async def test_the_body_is_like_an_event_whose_name_is_ignored(api: Api) -> None:
    for name in ("other/name", "inngest/function.failed", "", 5, None):
        body = {"name": name, "data": {"n": 1}, "user": {"id": 7}}
        answer = await api.http.post("/invoke/shop-a", json=body)
        assert answer.status_code == 200, name
        event = await data(api, f"/v1/events/{answer.json()['id']}")
        assert event["name"] == "inngest/function.invoked"
        assert event["data"]["n"] == 1


async def test_the_answer_is_the_id_of_the_event(api: Api) -> None:
    answer = await api.http.post("/invoke/shop-a", json={"data": {}})
    told = answer.json()
    assert (answer.status_code, told["status"]) == (200, 200)
    assert is_ulid(told["id"])
    (run,) = await data(api, f"/v1/events/{told['id']}/runs")
    assert set(told) == {"id", "run_id", "status"}
    assert told["run_id"] == run["run_id"]


async def test_a_function_that_does_not_exist_is_no_error_of_the_request(api: Api) -> None:
    answer = await api.http.post("/invoke/shop-z", json={"data": {"n": 1}})
    told = answer.json()
    assert (answer.status_code, told["status"]) == (200, 200)
    assert is_ulid(told["id"])
    assert told["error"].startswith("could not find function with ID: shop-z; use the id of")
    assert "shop-a" in told["error"]
    event = await data(api, f"/v1/events/{told['id']}")
    assert event["data"] == {"n": 1, "_inngest": {"fn_id": "shop-z"}}
    assert await data(api, f"/v1/events/{told['id']}/runs") == []


async def test_its_end_is_told_later_with_an_error(api: Api) -> None:
    await api.http.post("/invoke/shop-z", json={"data": {"n": 1}})
    (end,) = await ends(api)
    assert (end["function_id"], end["run_id"]) == ("", "")
    assert end["error"] == {"name": "Error", "message": "could not find function with ID: shop-z"}
    assert end["event"]["data"]["n"] == 1
    assert "result" not in end
    assert "correlation_id" not in end


async def test_a_repeated_request_is_told_of_once(api: Api) -> None:
    seed = {"x-inngest-event-id-seed": "1743130137367,AAAAAAAAAAAAAA=="}
    first = await api.http.post("/invoke/shop-z", json={}, headers=seed)
    again = await api.http.post("/invoke/shop-z", json={}, headers=seed)
    assert first.json() == again.json()
    assert len(await ends(api)) == 1


async def test_a_step_that_invokes_nobody_is_told_of_with_who_asked(api: Api) -> None:
    await api.send("x", n=1)
    (job,) = await api.jobs()
    wanted = step("child", op="InvokeFunction")
    wanted["opts"] = {"function_id": "shop-z", "payload": {"data": {"n": 2}}}
    await api.answer(job, progressed(wanted))
    (end,) = await ends(api)
    assert end["correlation_id"] == f"{job.run.id}.{wanted['id']}"
    assert end["error"]["message"] == "could not find function with ID: shop-z"


async def test_a_body_that_cannot_be_used(api: Api) -> None:
    answer = await api.http.post("/invoke/shop-a", content=b"{")
    assert answer.status_code == 400
    told = answer.json()
    assert (set(told), told["data"], told["status"]) == ({"error", "data", "status"}, None, 400)


async def test_the_id_may_be_url_encoded_or_a_uuid(api: Api) -> None:
    for named in ("shop%2Da", function_uuid("shop-a")):
        told = (await api.http.post(f"/invoke/{named}", json={})).json()
        (run,) = await data(api, f"/v1/events/{told['id']}/runs")
        assert run["function"] == "shop-a"


async def test_a_run_that_is_invoked_has_no_trigger_to_satisfy(api: Api) -> None:
    told = (await api.http.post("/invoke/shop-a", json={"data": {"n": 1}})).json()
    (job,) = await api.jobs()
    await api.answer(job, Returned(b"1"))
    (run,) = await data(api, f"/v1/events/{told['id']}/runs")
    assert (run["status"], run["output"]) == ("Completed", 1)
