"""Named limits by the REST API: how they stand, other numbers, and what is refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.server.api.harness import Api, function, serving


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        gpu = {"name": "gpu", "key": "event.data.user", "concurrency": 1}
        mail = {"name": "mail", "weight": "event.data.n", "rate": 10, "period": "1m"}
        await made.register(
            function("a", event="x", limits=[gpu]), function("b", event="y", limits=[mail])
        )
        yield made


async def listed(api: Api) -> list[dict[str, Any]]:
    answer = await api.http.get("/api/v2/limits")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_limits_are_listed_with_what_is_used_and_what_waits(api: Api) -> None:
    for user in ("amy", "amy", "bob"):
        await api.send("x", user=user)
    await api.send("y", n=4)
    assert len(await api.jobs()) == 3
    gpu, mail = await listed(api)
    assert (gpu["name"], gpu["concurrency"], gpu["inUse"], gpu["waiting"]) == ("gpu", 1, 2, 1)
    assert gpu["keys"] == [
        {"key": '"amy"', "inUse": 1, "waiting": 1},
        {"key": '"bob"', "inUse": 1},
    ]
    assert gpu["functions"] == ["shop-a"]
    assert (mail["rate"], mail["period"]) == (10, "1m")
    assert mail["keys"] == [{"inUse": 4, "available": 6}]


async def test_a_change_holds_until_it_is_dropped(api: Api) -> None:
    for _ in range(4):
        await api.send("x", user="amy")
    assert len(await api.jobs()) == 1
    changed = await api.http.post("/api/v2/limits/gpu", json={"concurrency": 3})
    told = changed.json()["data"]
    assert (told["concurrency"], told["isChanged"]) == (3, True)
    assert told["declared"] == {"concurrency": 1}
    assert len(await api.jobs()) == 2
    dropped = (await api.http.delete("/api/v2/limits/gpu")).json()["data"]
    assert (dropped["concurrency"], "isChanged" in dropped) == (1, False)
    one = (await api.http.get("/api/v2/limits/gpu")).json()["data"]
    assert (one["inUse"], one["waiting"]) == (3, 1)


async def test_a_limit_may_be_given_before_any_code_names_it(api: Api) -> None:
    body = {"rate": 500, "period": "1h"}
    assert (await api.http.post("/api/v2/limits/new", json=body)).status_code == 200
    assert [one["name"] for one in await listed(api)] == ["gpu", "mail", "new"]
    page = (await api.http.get("/api/v2/limits?limit=2")).json()["page"]
    assert page["cursor"] == "mail"
    rest = (await api.http.get("/api/v2/limits?limit=2&cursor=mail")).json()
    assert [one["name"] for one in rest["data"]] == ["new"]
    assert (await api.http.delete("/api/v2/limits/new")).status_code == 200
    assert len(await listed(api)) == 2


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("a%20b", {"concurrency": 1}, "limit 'a b' is no name of a limit: use up to 100 letters"),
        ("gpu", {}, 'a limit needs numbers: send {"concurrency": 5}, or'),
        ("gpu", {"concurrency": -1}, "concurrency -1 is no limit: use 1 to 1000000"),
        ("gpu", {"rate": 5}, "period is missing: rate needs it, as in rate 500 per period 1m"),
        ("gpu", {"period": "1m"}, "rate is missing: period needs it"),
        ("gpu", {"rate": 5, "period": "soon"}, "period: "),
        ("gpu", {"rate": 5, "period": "8d"}, "period '8d' is too long: use 1s to 1w"),
        ("gpu", {"concurrency": 1, "rate": 5, "period": "1m"}, "concurrency 1 cannot stand beside"),
        ("gpu", {"concurrency": "many"}, "Expected `int`, got `str` - at `$.concurrency`"),
        ("gpu", {"concurency": 1}, "concurency"),
    ],
)
async def test_what_is_refused_names_field_value_and_fix(
    api: Api, name: str, body: dict[str, object], told: str
) -> None:
    answer = await api.http.post(f"/api/v2/limits/{name}", json=body)
    assert answer.status_code == 400
    assert told in answer.json()["errors"][0]["message"]
    assert (await listed(api))[0]["concurrency"] == 1


async def test_a_limit_that_is_not_there(api: Api) -> None:
    for method in ("GET", "DELETE"):
        answer = await api.http.request(method, "/api/v2/limits/none")
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ({"name": "a b"}, "limits[0].name 'a b' is no name of a limit"),
        ({"name": "a", "rate": 1}, "limits[0].period is missing"),
        ({"name": "a", "key": "event.data."}, "limits[0].key 'event.data.' is no expression"),
        ({"name": "a", "weight": "1 +"}, "limits[0].weight '1 +' is no expression"),
    ],
)
async def test_a_registration_names_what_is_wrong(
    api: Api, limit: dict[str, object], told: str
) -> None:
    answer = await api.register(function("c", event="z", limits=[limit]))
    assert answer.status_code == 400
    assert told in answer.text
