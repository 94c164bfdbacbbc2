"""A run again from one of its steps: what was done before is not done twice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import stepwell
from stepwell.embedded import Engine, RunFailed
from stepwell.server.api.app import api_app
from stepwell.server.api.deps import ApiDeps
from stepwell.server.config import ServerConfig


class Shop:
    """An order in three steps; every one of them is counted."""

    def __init__(self) -> None:
        self.client = stepwell.Inngest(app_id="shop", is_production=False)
        self.done: list[str] = []
        self.broken = False

        async def charge(card: str, cents: int) -> int:
            self.done.append(f"charge {card} {cents}")
            return cents

        async def pack(what: str) -> str:
            self.done.append(f"pack {what}")
            if self.broken:
                raise ValueError("out of boxes")
            return what.upper()

        @self.client.create_function(
            fn_id="order", trigger=stepwell.TriggerEvent(event="order"), retries=0
        )
        async def order(ctx: stepwell.Context) -> dict[str, Any]:
            cents = await ctx.step.run("charge", charge, "4242", 1_000)
            packed = await ctx.step.run("pack", pack, "book")
            await ctx.step.sleep("rest", 1)
            return {"cents": cents, "packed": packed}

        self.order = order


@asynccontextmanager
async def running(shop: Shop, path: Path) -> AsyncIterator[tuple[Engine, httpx.AsyncClient]]:
    async with Engine(shop.client, [shop.order], database=path, durability="relaxed") as engine:
        node = engine.node
        api = api_app(ApiDeps(node.ledger, node.reader, node.clock, ServerConfig()))
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield engine, http


@pytest.fixture
async def failed(tmp_path: Path) -> AsyncIterator[tuple[Shop, Engine, httpx.AsyncClient, str]]:
    shop = Shop()
    shop.broken = True
    async with running(shop, tmp_path / "shop.db") as (engine, http):
        (event_id,) = await shop.client.send(stepwell.Event(name="order", data={}))
        with pytest.raises(RunFailed, match="failed: ValueError: out of boxes"):
            await engine.result_of(event_id, timeout_seconds=20)
        (run,) = (await http.get(f"/v1/events/{event_id}/runs")).json()["data"]
        assert shop.done == ["charge 4242 1000", "pack book"]
        shop.done.clear()
        shop.broken = False
        yield shop, engine, http, run["run_id"]


async def ended(http: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    run: dict[str, Any] = (await http.get(f"/v1/runs/{run_id}")).json()["data"]
    return run


async def wait_for(engine: Engine, http: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    assert (await engine.node.run_ended(run_id, 20)).ended
    return await ended(http, run_id)


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_rerun_from_a_step_charges_nobody_twice(failed: Any, version: str) -> None:
    shop, engine, http, run_id = failed
    answer = await http.post(
        f"/{version}/runs/{run_id}/rerun", json={"fromStep": {"stepId": "pack"}}
    )
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    run = await wait_for(engine, http, data.get("run_id") or data["runId"])
    assert run["output"] == {"cents": 1_000, "packed": "BOOK"}
    assert run["original_run_id"] == run_id
    assert shop.done == ["pack book"]


async def test_the_step_is_handed_other_arguments(failed: Any) -> None:
    shop, engine, http, run_id = failed
    body = {"fromStep": {"stepId": "pack", "input": ["two books"]}}
    answer = await http.post(f"/v2/runs/{run_id}/rerun", json=body)
    run = await wait_for(engine, http, answer.json()["data"]["runId"])
    assert run["output"] == {"cents": 1_000, "packed": "TWO BOOKS"}
    assert shop.done == ["pack two books"]


async def test_the_first_step_is_run_again_with_all_after_it(failed: Any) -> None:
    shop, engine, http, run_id = failed
    body = {"fromStep": {"stepId": "charge", "input": ["4242", 5]}}
    answer = await http.post(f"/v2/runs/{run_id}/rerun", json=body)
    run = await wait_for(engine, http, answer.json()["data"]["runId"])
    assert run["output"] == {"cents": 5, "packed": "BOOK"}
    assert shop.done == ["charge 4242 5", "pack book"]
    # The arguments belong to that run: one that repeats it begins with those of the code.
    body = {"fromStep": {"stepId": "charge"}}
    answer = await http.post(f"/v2/runs/{run['run_id']}/rerun", json=body)
    again = await wait_for(engine, http, answer.json()["data"]["runId"])
    assert again["output"]["cents"] == 1_000


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"fromStep": {"stepId": "post"}}, "Step not found in original run: 'post'"),
        ({"fromStep": {}}, "missing required field `stepId`"),
        ({"fromStep": {"stepId": ""}}, "fromStep.stepId is empty"),
        ({"fromStep": {"stepId": "pack", "input": {"a": 1}}}, "must be a list of arguments"),
        ({"fromStep": {"stepId": "pack", "inputs": []}}, "'fromStep.inputs' is not known"),
        ({"from_step": {"stepId": "pack"}}, "did you mean 'fromStep'?"),
        ({"fromStep": "pack"}, "Expected `object | null`, got `str`"),
        ([], "Expected `object`"),
    ],
    ids=str,
)
async def test_what_is_not_understood_starts_nothing(failed: Any, body: Any, said: str) -> None:
    _, _, http, run_id = failed
    answer = await http.post(f"/v2/runs/{run_id}/rerun", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["errors"][0]["message"]
    assert len((await http.get("/v1/runs")).json()["data"]) == 1


async def test_a_sleep_takes_no_arguments(tmp_path: Path) -> None:
    shop = Shop()
    async with running(shop, tmp_path / "shop.db") as (engine, http):
        (event_id,) = await shop.client.send(stepwell.Event(name="order", data={}))
        await engine.result_of(event_id, timeout_seconds=20)
        (run,) = (await http.get(f"/v1/events/{event_id}/runs")).json()["data"]
        path = f"/v2/runs/{run['run_id']}/rerun"
        body = {"fromStep": {"stepId": "rest", "input": [1]}}
        answer = await http.post(path, json=body)
        assert "a Sleep step takes no arguments" in answer.json()["errors"][0]["message"]
        answer = await http.post(path, json={"fromStep": {"stepId": "rest"}})
        again = await wait_for(engine, http, answer.json()["data"]["runId"])
        assert again["output"] == run["output"]
    assert shop.done == ["charge 4242 1000", "pack book"]


async def test_an_error_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop()
    shop.broken = True
    async with running(shop, tmp_path / "shop.db") as (engine, _):
        (event_id,) = await shop.client.send(stepwell.Event(name="order", data={}))
        with pytest.raises(RunFailed):
            await engine.result_of(event_id, timeout_seconds=20)
    told = [
        record.getMessage() for record in caplog.records if "out of boxes" in record.getMessage()
    ]
    assert told == ['ValueError in function "shop-order": out of boxes']
