"""A program is stopped, changed and started again while its run sleeps: each policy, from the
handler to the row, on virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

import stepwell
from stepwell.embedded import attach
from stepwell.sdk.function.option import OnCodeChange
from stepwell.server.api.app import api_app
from stepwell.server.api.deps import ApiDeps
from stepwell.server.config import ServerConfig
from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.node import Node
from stepwell.server.store.port import RunFilter, Store
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.testing.virtual_time import EPOCH_MS, VirtualClock, VirtualLoop, run_virtually

NAP_S = 3_600 + 60
Handler = Callable[[stepwell.Context[Any]], Awaitable[list[str]]]


@dataclass
class Shop:
    """The same app, in one version of its code after the other."""

    path: Path
    policy: OnCodeChange
    options: dict[str, Any] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    now_ms: int = EPOCH_MS

    def old(self) -> Handler:
        async def order(ctx: stepwell.Context[Any]) -> list[str]:
            paid = await ctx.step.run("charge", self._does("charge"))
            await ctx.step.sleep("a nap", "1h")
            return [paid, await ctx.step.run("ship", self._does("ship"))]

        return order

    def new(self) -> Handler:
        async def order(ctx: stepwell.Context[Any]) -> list[str]:
            paid = await ctx.step.run("charge", self._does("charge"))
            await ctx.step.sleep("a nap", "1h")
            return [paid, await ctx.step.run("send", self._does("send"))]

        return order

    def _does(self, name: str) -> Callable[[], Awaitable[str]]:
        async def step() -> str:
            self.done.append(name)
            return name

        return step

    def process(self, handler: Handler, work: Callable[["Process"], Awaitable[Any]]) -> Any:
        """A process with this code, from its start to its end."""
        store = SqliteStore(self.path, durability="relaxed")
        client = stepwell.Inngest(app_id="shop", is_production=False)
        function = client.create_function(
            fn_id="order",
            trigger=stepwell.TriggerEvent(event="order"),
            handler=handler,
            on_code_change=self.policy,
            **self.options,
        )

        async def scene(loop: VirtualLoop) -> Any:
            clock = VirtualClock(loop, self.now_ms)
            async with Node(store, clock=clock) as node:
                await attach(node, client, [function])
                found = await work(Process(client, node, store))
                self.now_ms = clock.now_ms()
                return found

        try:
            return run_virtually(scene)
        finally:
            store.close()


@dataclass
class Process:
    client: stepwell.Inngest
    node: Node
    store: Store

    def runs(self) -> list[Run]:
        return self.node.reader.runs(RunFilter(ascending=True))

    async def ask(self, method: str, path: str) -> Any:
        deps = ApiDeps(self.node.ledger, self.node.reader, self.node.clock, ServerConfig())
        transport = httpx.ASGITransport(api_app(deps))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            answer = await http.request(method, f"/api/v2{path}")
            assert answer.status_code == 200, answer.text
            return answer.json()["data"]


async def begin(process: Process) -> None:
    await process.client.send(stepwell.Event(name="order"))
    await asyncio.sleep(60)
    (run,) = process.runs()
    assert run.code


async def wake(process: Process) -> Run:
    await asyncio.sleep(NAP_S)
    (run,) = process.runs()
    return run


def asleep(tmp_path: Path, policy: OnCodeChange, **options: Any) -> Shop:
    """A run has charged and sleeps; its process is gone."""
    shop = Shop(tmp_path / "shop.db", policy, options)
    shop.process(shop.old(), begin)
    assert shop.done == ["charge"]
    return shop


def test_continue_goes_on_by_the_new_code(tmp_path: Path) -> None:
    shop = asleep(tmp_path, "continue")
    run = shop.process(shop.new(), wake)
    assert run.output == b'["charge","send"]'
    assert shop.done == ["charge", "send"]


@pytest.mark.parametrize("policy", ["pause", "pin"])
def test_the_same_code_goes_on_whatever_the_policy(tmp_path: Path, policy: OnCodeChange) -> None:
    shop = asleep(tmp_path, policy)
    run = shop.process(shop.old(), wake)
    assert run.output == b'["charge","ship"]'


@pytest.mark.parametrize("policy", ["pause", "pin"])
def test_a_run_waits_for_its_code_and_goes_on_when_it_is_back(
    tmp_path: Path, policy: OnCodeChange
) -> None:
    shop = asleep(tmp_path, policy)

    async def look(process: Process) -> tuple[Run, str, str]:
        run = await wake(process)
        told = await process.ask("GET", f"/runs/{run.id}/explain")
        (waiting,) = (await process.ask("GET", "/doctor"))["waiting"]
        return run, told["text"], waiting["reason"]

    run, why, reason = shop.process(shop.new(), look)
    assert (run.status, shop.done, reason) == (RunStatus.RUNNING, ["charge"], "code_changed")
    assert f"it began under code {run.code}" in why
    assert f"(on_code_change is {policy})" in why
    run = shop.process(shop.old(), wake)
    assert run.output == b'["charge","ship"]'


@pytest.mark.parametrize("policy", ["pause", "pin"])
def test_a_person_lets_it_go_on(tmp_path: Path, policy: OnCodeChange) -> None:
    shop = asleep(tmp_path, policy)

    async def resume(process: Process) -> tuple[Any, Any, Run]:
        run = await wake(process)
        answer = await process.ask("POST", f"/runs/{run.id}/resume")
        await asyncio.sleep(60)
        (run,) = process.runs()
        return answer, await process.ask("GET", f"/runs/{run.id}/trace"), run

    answer, trace, run = shop.process(shop.new(), resume)
    assert answer == {"runId": run.id, "changed": True}
    assert run.output == b'["charge","send"]'
    assert trace["code"] == {"began": run.code, "now": run.code, "onChange": policy}


def test_restart_begins_again(tmp_path: Path) -> None:
    shop = asleep(tmp_path, "restart")

    async def look(process: Process) -> list[Run]:
        await asyncio.sleep(2 * NAP_S)
        return process.runs()

    old, new = shop.process(shop.new(), look)
    assert (old.status, new.original) == (RunStatus.CANCELLED, old.id)
    assert new.output == b'["charge","send"]'
    assert shop.done == ["charge", "charge", "send"]


def test_the_user_says_which_code_it_is(tmp_path: Path) -> None:
    shop = asleep(tmp_path, "pause", code_version="1")
    # Another program under the same name goes on.
    run = shop.process(shop.new(), wake)
    assert run.output == b'["charge","send"]'
    assert run.code == "1"
