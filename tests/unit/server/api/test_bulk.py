"""Many runs are cancelled or run again by a filter: counted before, once each, also after the
process died, and stopped by hand (features: bulk actions)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell.server.api.v2 import bulk
from stepwell.server.engine.message.input import BulkMoved
from stepwell.server.runtime import bulks
from stepwell.server.runtime.bulks import Bulks
from stepwell.server.runtime.perform import Performer
from tests.unit.server.api.harness import Api, function, serving

PATH = "/v2/bulk"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        await made.register(function("a", event="x"), function("b", event="y"))
        for n in range(7):
            made.clock.ms += 1
            await made.send("x" if n < 5 else "y", n=n)
        made.clock.ms += 10
        yield made


async def asked(api: Api, **body: Any) -> dict[str, Any]:
    answer = await api.http.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def told(api: Api, id_: str) -> dict[str, Any]:
    data: dict[str, Any] = (await api.http.get(f"{PATH}/{id_}")).json()["data"]
    return data


async def ended(api: Api, id_: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while (now := await told(api, id_))["status"] == "RUNNING":
            await asyncio.sleep(0.005)
    return now


def runner(api: Api) -> Bulks:
    """What carries it out; it hears of nothing, and looks when it begins."""
    return Bulks(api.ledger, api.deps.reader, Performer(), api.clock)


async def statuses(api: Api) -> dict[str, int]:
    found: dict[str, int] = {}
    for run in (await api.http.get("/v2/runs?limit=100")).json()["data"]:
        key = f"{run['function']['name']} {run['status']}"
        found[key] = found.get(key, 0) + 1
    return found


async def test_it_is_counted_before_and_changes_nothing(api: Api) -> None:
    async def count(**filter_: Any) -> dict[str, Any]:
        answer = await api.http.post(f"{PATH}/count", json={"filter": filter_})
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    assert await count() == {"count": 7, "more": False}
    assert (await count(appId=["shop"], functionId=["a"]))["count"] == 5
    assert (await count(query="event.data.n >= 4"))["count"] == 3
    assert (await count(status=["FAILED"]))["count"] == 0
    assert await statuses(api) == {"shop-a QUEUED": 5, "shop-b QUEUED": 2}
    assert (await api.http.get("/v2/audit")).json()["data"] == []


async def test_runs_of_one_session_alone(api: Api) -> None:
    for user in ("7, the elder", "8"):
        await api.http.post("/e/key", json={"name": "x", "meta": {"sessions": {"user": user}}})
    api.clock.ms += 10
    one = await asked(api, action="cancel", filter={"session": ["user=7, the elder"]}, rate=2_000)
    assert one["total"] == 1
    assert one["filter"]["query"] == 'event.meta.sessions["user"] == "7, the elder"'
    listed = await api.http.get("/v2/runs", params={"session": "user=7, the elder"})
    assert len(listed.json()["data"]) == 1


async def test_runs_by_when_they_ended_each_once_in_that_order(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulks, "PAGE", 1)
    listed = (await api.http.get("/v2/runs?order=ASC&appId=shop&functionId=a")).json()["data"]
    moments = []
    # The one that was queued last ends first.
    for run in reversed(listed):
        api.clock.ms += 1_000
        await api.http.post(f"/v2/runs/{run['id']}/cancel")
        ended_run = (await api.http.get(f"/v2/runs/{run['id']}")).json()["data"]
        moments.append(ended_run["endedAt"])
    api.clock.ms += 1_000
    span = {"timeField": "endedAt", "from": moments[1], "until": moments[4]}
    one = await asked(api, action="rerun", filter=span, rate=2_000)
    assert (one["total"], one["filter"]["timeField"]) == (3, "endedAt")
    work = runner(api)
    work.start()
    done = await ended(api, one["id"])
    await work.stop()
    assert (done["done"], done["refused"]) == (3, 0)
    assert (await statuses(api))["shop-a QUEUED"] == 3
    started = await asked(api, action="cancel", filter={"timeField": "startedAt"})
    same = (await api.http.get("/v2/runs?timeField=startedAt")).json()["data"]
    assert started["total"] == len(same) == 5


async def test_many_runs_are_cancelled_a_page_at_a_time(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulks, "PAGE", 2)
    one = await asked(
        api, action="cancel", filter={"appId": ["shop"], "functionId": ["a"]}, rate=2_000
    )
    assert (one["status"], one["total"], one["done"]) == ("RUNNING", 5, 0)
    api.clock.ms += 1
    await api.send("x", n=9)
    work = runner(api)
    work.start()
    done = await ended(api, one["id"])
    await work.stop()
    assert (done["status"], done["done"], done["refused"]) == ("COMPLETED", 5, 0)
    # What was queued after it was asked for is left alone.
    assert await statuses(api) == {
        "shop-a QUEUED": 1,
        "shop-a CANCELLED": 5,
        "shop-b QUEUED": 2,
    }
    (entry,) = (await api.http.get("/v2/audit")).json()["data"]
    assert entry["operation"] == "create_bulk"


async def test_runs_are_run_again_once_each_although_the_process_dies(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulks, "PAGE", 2)
    wanted = {"query": "event.data.n < 5\nevent.data.n != 2"}
    one = await asked(api, action="rerun", filter=wanted, rate=2_000)
    assert one["total"] == 4
    submit = api.ledger.submit
    steps = 0

    def dying(given: Any) -> Any:
        nonlocal steps
        steps += isinstance(given, BulkMoved)
        answer = submit(given)
        # The commit is made, and nobody hears of it any more.
        return asyncio.get_running_loop().create_future() if steps == 2 else answer

    monkeypatch.setattr(api.ledger, "submit", dying)
    work = runner(api)
    work.start()
    async with asyncio.timeout(20):
        while steps < 2 or (await told(api, one["id"]))["done"] < 4:
            await asyncio.sleep(0.005)
    await work.stop()
    monkeypatch.setattr(api.ledger, "submit", submit)
    assert (await told(api, one["id"]))["status"] == "RUNNING"
    again = runner(api)
    again.start()
    assert (await ended(api, one["id"]))["done"] == 4
    await again.stop()
    runs = (await api.http.get("/v2/runs?limit=100")).json()["data"]
    originals = [run["originalRunId"] for run in runs if "originalRunId" in run]
    assert len(originals) == len(set(originals)) == 4


async def test_it_is_stopped_by_hand(api: Api) -> None:
    one = await asked(api, action="cancel", filter={}, rate=1)
    stopped = await api.http.post(f"{PATH}/{one['id']}/cancel")
    assert stopped.json()["data"]["status"] == "STOPPED"
    work = runner(api)
    work.start()
    await asyncio.sleep(0)
    await work.stop()
    assert await statuses(api) == {"shop-a QUEUED": 5, "shop-b QUEUED": 2}
    twice = await api.http.post(f"{PATH}/{one['id']}/cancel")
    assert twice.status_code == 409
    listed = (await api.http.get(PATH)).json()["data"]
    assert [(entry["id"], entry["status"]) for entry in listed] == [(one["id"], "STOPPED")]


async def test_what_has_ended_refuses_to_be_cancelled(api: Api) -> None:
    await asked(api, action="cancel", filter={}, rate=2_000)
    one = await asked(api, action="cancel", filter={}, rate=2_000)
    work = runner(api)
    work.start()
    done = await ended(api, one["id"])
    await work.stop()
    assert done["done"] + done["refused"] == 7


async def test_only_so_many_go_on_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "OPEN_MAX", 1)
    await asked(api, action="cancel", filter={})
    answer = await api.http.post(PATH, json={"action": "cancel", "filter": {}})
    assert answer.status_code == 409
    assert "1 go on already" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"filter": {}}, "missing required field `action`"),
        ({"action": "delete", "filter": {}}, "Invalid enum value 'delete'"),
        ({"action": "cancel", "filter": {"colour": 1}}, "'filter.colour' is not known here"),
        ({"action": "cancel", "filter": {}, "rate": 0}, "`int` >= 1"),
        ({"action": "cancel", "filter": {"from": "soon"}}, "filter.from 'soon' is no time"),
        ({"action": "cancel", "filter": {"query": "event."}}, "filter.query: "),
        ({"action": "cancel", "filter": {"query": "1" * 5_000}}, "5000 letters"),
        ({"action": "cancel", "filter": {"session": ["user"]}}, "filter.session 'user' is none"),
        ({"action": "cancel", "filter": {"from": "2090-01-01T00:00:00Z"}}, "in the past"),
        ({"action": "cancel", "filter": {"functionId": ["a"]}}, "appId is required"),
    ],
    ids=str,
)
async def test_what_nobody_can_do_is_refused(api: Api, body: Any, said: str) -> None:
    answer = await api.http.post(PATH, json=body)
    assert answer.status_code == 400
    assert said in answer.json()["errors"][0]["message"]


async def skipped(api: Api, count: int) -> None:
    """Events that a paused function skips; then it goes on."""
    await api.http.post("/v2/apps/shop/functions/a/pause")
    for n in range(count):
        await api.send("x", skipped=n)
    await api.http.post("/v2/apps/shop/functions/a/resume")
    api.clock.ms += 1


OF_A = {"appId": ["shop"], "functionId": ["a"]}


async def test_events_that_were_skipped_start_their_runs(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulks, "PAGE", 2)
    await skipped(api, 5)
    counted = await api.http.post(f"{PATH}/count", json={"action": "replay", "filter": OF_A})
    assert counted.json()["data"] == {"count": 5, "more": False}
    rates = {**OF_A, "reason": ["RateLimit"]}
    none = await api.http.post(f"{PATH}/count", json={"action": "replay", "filter": rates})
    assert none.json()["data"]["count"] == 0
    assert await statuses(api) == {"shop-a QUEUED": 5, "shop-b QUEUED": 2}
    one = await asked(api, action="replay", filter=OF_A, rate=2_000)
    assert (one["action"], one["total"]) == ("replay", 5)
    assert "FunctionPaused" in one["filter"]["reason"]
    work = runner(api)
    work.start()
    done = await ended(api, one["id"])
    assert (done["status"], done["done"], done["refused"]) == ("COMPLETED", 5, 0)
    assert (await statuses(api))["shop-a QUEUED"] == 10
    again = await asked(api, action="replay", filter=OF_A, rate=2_000)
    assert again["total"] == 0
    await work.stop()


async def test_a_replay_is_stopped_by_hand_and_by_a_pause(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulks, "PAGE", 2)
    await skipped(api, 5)
    one = await asked(api, action="replay", filter=OF_A, rate=1)
    work = runner(api)
    work.start()
    async with asyncio.timeout(20):
        while not (await told(api, one["id"]))["done"]:
            await asyncio.sleep(0.005)
    stopped = (await api.http.post(f"{PATH}/{one['id']}/cancel")).json()["data"]
    await work.stop()
    assert stopped["status"] == "STOPPED"
    begun = stopped["done"]
    assert (await statuses(api))["shop-a QUEUED"] == 5 + begun < 10
    two = await asked(api, action="replay", filter=OF_A, rate=2_000)
    assert two["total"] == 5 - begun
    await api.http.post("/v2/apps/shop/functions/a/pause")
    work = runner(api)
    work.start()
    assert (await ended(api, two["id"]))["status"] == "STOPPED"
    await work.stop()
    paused = await api.http.post(PATH, json={"action": "replay", "filter": OF_A})
    assert (paused.status_code, "is paused" in paused.text) == (409, True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"action": "replay", "filter": {}}, "must name the one function"),
        ({"action": "replay", "filter": {**OF_A, "status": ["FAILED"]}}, "leave them out"),
        ({"action": "replay", "filter": {**OF_A, "query": "1 == 1"}}, "leave them out"),
        ({"action": "replay", "filter": {**OF_A, "timeField": "endedAt"}}, "leave them out"),
        ({"action": "replay", "filter": {**OF_A, "functionId": ["none"]}}, "is served"),
        ({"action": "cancel", "filter": {"reason": ["RateLimit"]}}, "is for what is replayed"),
    ],
)
async def test_a_replay_nobody_can_mean(api: Api, body: dict[str, Any], said: str) -> None:
    for path in (PATH, f"{PATH}/count"):
        answer = await api.http.post(path, json=body)
        assert answer.status_code == 400, answer.text
        assert said in answer.json()["errors"][0]["message"]
