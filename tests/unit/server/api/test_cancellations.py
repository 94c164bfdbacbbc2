"""Many runs of a function end at once; what is asked is kept (server.md 6.3)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell.server.runtime.canceller import Canceller
from stepwell.server.runtime.perform import Performer
from stepwell.wire.identifier import function_uuid
from tests.unit.server.api.harness import Api, function, serving

UNKNOWN = "01JQDAE4RQ0000000000000009"
PAST = "2025-03-28T02:48:57.367Z"  # when the clock of the test stands still


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        await made.register(function("a", event="x"), function("b", event="x"))
        yield made


def at(ms: int) -> str:
    return f"2025-03-28T02:48:57.{367 + ms}Z"


async def ask(api: Api, **body: Any) -> dict[str, Any]:
    answer = await api.http.post("/v1/cancellations", json={"app_id": "shop", **body})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def carry_out(api: Api) -> None:
    await Canceller(api.ledger, api.deps.reader, Performer()).run_once()


async def statuses(api: Api) -> dict[str, list[str]]:
    """By function, in the order of queueing."""
    found: dict[str, list[str]] = {}
    for run in (await api.http.get("/v2/runs?order=ASC")).json()["data"]:
        name = run["function"]["name"].removeprefix("shop-")
        found.setdefault(name, []).append(run["status"][:1])
    return found


async def five(api: Api) -> None:
    for n in range(5):
        await api.send("x", n=n)
        api.clock.ms += 1


async def test_runs_of_a_function_within_a_time_end_and_no_others(api: Api) -> None:
    await five(api)
    told = await ask(api, function_id="a", started_after=at(1), started_before=at(4))
    assert (told["function_id"], told["function_internal_id"], told["app_id"]) == (
        "shop-a",
        function_uuid("shop-a"),
        "shop",
    )
    assert await statuses(api) == {"a": list("QQQQQ"), "b": list("QQQQQ")}
    await carry_out(api)
    assert await statuses(api) == {"a": list("QCCCQ"), "b": list("QQQQQ")}
    answer = await api.http.get(f"/v1/cancellations/{told['id']}")
    assert answer.json()["data"] == {**told, "ended_at": at(5)}
    listed = (await api.http.get("/v1/cancellations")).json()["data"]
    assert listed == [answer.json()["data"]]


async def test_a_condition_looks_at_the_first_event(api: Api) -> None:
    await five(api)
    await ask(api, function_id="shop-b", started_before=at(5), **{"if": "event.data.n > 2"})
    await carry_out(api)
    assert await statuses(api) == {"a": list("QQQQQ"), "b": list("QQQCC")}


async def test_running_ones_end_and_ended_ones_stay(api: Api) -> None:
    await five(api)
    jobs = await api.jobs()
    await api.http.delete(f"/v1/runs/{jobs[0].run.id}")
    await ask(api, function_id=function_uuid("shop-a"), started_before=at(5))
    await carry_out(api)
    assert set((await statuses(api))["a"]) == {"C"}


async def test_runs_of_a_function_that_is_gone(api: Api) -> None:
    await five(api)
    await api.register(function("b", event="x"))
    await ask(api, function_id="a", started_before=at(5))
    await carry_out(api)
    assert (await statuses(api))["a"] == list("CCCCC")


async def test_what_was_dropped_is_not_carried_out(api: Api) -> None:
    await five(api)
    told = await ask(api, function_id="a", started_before=at(5))
    path = f"/v1/cancellations/{told['id']}"
    assert (await api.http.delete(path)).status_code == 204
    await carry_out(api)
    assert (await statuses(api))["a"] == list("QQQQQ")
    for answer in (await api.http.delete(path), await api.http.get(path)):
        assert (answer.status_code, answer.json()["error"]) == (404, "Cancellation not found")


async def test_cancellations_come_in_pages(api: Api) -> None:
    ids = []
    for _ in range(3):
        api.clock.ms += 1
        ids.append((await ask(api, function_id="a", started_before=PAST))["id"])
    page = (await api.http.get("/v1/cancellations?limit=2")).json()
    assert [one["id"] for one in page["data"]] == ids[:0:-1]
    cursor = page["metadata"]["cursor"]
    rest = (await api.http.get(f"/v1/cancellations?limit=2&cursor={cursor}")).json()
    assert [one["id"] for one in rest["data"]] == ids[:1]
    assert "cursor" not in rest["metadata"]


async def refused(api: Api, body: Any) -> tuple[int, str]:
    answer = await api.http.post("/v1/cancellations", json=body)
    assert (await api.http.get("/v1/cancellations")).json()["data"] == []
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize("missing", ["app_id", "function_id", "started_before"])
async def test_what_must_be_said(api: Api, missing: str) -> None:
    body = {"app_id": "shop", "function_id": "a", "started_before": PAST}
    del body[missing]
    status, told = await refused(api, body)
    assert (status, told.partition(";")[0]) == (400, f"{missing} is required")


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"started_before": "soon"}, 400, "started_before 'soon' is no time"),
        ({"started_before": "2099-01-01T00:00:00Z"}, 400, "started_before must be in the past"),
        ({"started_after": PAST}, 400, "started_after must be before started_before"),
        ({"if": "event.data."}, 400, "if: "),
        ({"if": 5}, 400, "Expected `str | null`, got `int`"),
        ({"function_id": "z"}, 404, "function 'z' of app 'shop' is not known"),
        ({"app_id": "other"}, 404, "function 'a' of app 'other' is not known"),
        ({"before": 1}, 400, "field 'before' is not known here"),
    ],
    ids=str,
)
async def test_what_cannot_be_asked(api: Api, more: dict[str, Any], status: int, said: str) -> None:
    body = {"app_id": "shop", "function_id": "a", "started_before": PAST, **more}
    told = await refused(api, body)
    assert told[0] == status
    assert said in told[1]


async def test_ids_that_name_none(api: Api) -> None:
    bad = await api.http.get("/v1/cancellations/mine")
    assert (bad.status_code, bad.json()["error"]) == (400, "Invalid cancellation ID: mine")
    assert (await api.http.get(f"/v1/cancellations/{UNKNOWN}")).status_code == 404
