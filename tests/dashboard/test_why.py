"""Why a run waits, each reason there is as the page of the run tells it: all at one server."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

import stepwell
from stepwell.embedded import attach
from stepwell.server.engine.message.input import (
    AppFailed,
    AppRegistered,
    AppRemoved,
    FunctionPaused,
)
from stepwell.server.engine.row.run import AppRow, FunctionRow
from stepwell.wire.function_config import FunctionConfig, Trigger, encode_function
from tests.dashboard.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")

gpu = stepwell.limit("gpu", concurrency=1)
FAR = timedelta(hours=1)
GO = "path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')) }"


@dataclass(frozen=True)
class Reason:
    """An event whose latest run waits for this reason; what the page says of it."""

    event: str
    words: str
    follows: bool = False
    """Another run of the function goes on already."""
    kept: bool = False
    """Something is in its way, which the page marks as a warning."""


REASONS = {
    "a call is under way": Reason("asks", "is being called since"),
    "a sleep": Reason("sleeps", "sleeps until"),
    "an event": Reason("awaits", "waits for an event order/approved with"),
    "a signal": Reason("signalled", "waits for the signal door-7"),
    "an invoked run": Reason("invokes", "waits for run 01"),
    "another try": Reason("fails", "is to be called by app halls"),
    "concurrency of steps": Reason(
        "steps", "its concurrency is used up, 1 of 1, by run 01", True, True
    ),
    "concurrency of runs": Reason("runs", "its run concurrency is used up, 1 of 1", True, True),
    "a throttle": Reason(
        "throttled", "the throttle has no start left; the next start is", True, True
    ),
    "a named limit": Reason("limited", "limit gpu is used up, 1 of 1", True, True),
    "a service that said when": Reason("cools", "rests until", True, True),
    "a function that is paused": Reason("paused", "is paused since", True, True),
    "a function that is gone": Reason("gone", "no longer serves function museum-gone", False, True),
    "an app that is away": Reason("away", "cannot be reached at http://127.0.0.1:9", False, True),
    "no worker": Reason("workers", "no worker of app factory is connected", False, True),
    "an app that nobody knows": Reason("lost", "app atlantis is not registered", False, True),
}


def functions_of(client: stepwell.Inngest, forever: asyncio.Event) -> list[stepwell.Function[Any]]:
    """Each waits in its own way, for the event that has its name."""

    def waiting(name: str, **options: Any) -> Any:
        trigger = stepwell.TriggerEvent(event=name)
        return client.create_function(fn_id=name, trigger=trigger, **options)

    async def run_until_let_go(ctx: stepwell.Context) -> None:
        await ctx.step.run("work", forever.wait)

    @waiting("sleeps")
    async def sleeps(ctx: stepwell.Context) -> None:
        await ctx.step.sleep("a while", FAR)

    @waiting("awaits")
    async def awaits(ctx: stepwell.Context) -> None:
        await ctx.step.wait_for_event(
            "approval", event="order/approved", if_exp="async.data.order == 7", timeout=FAR
        )

    @waiting("signalled")
    async def signalled(ctx: stepwell.Context) -> None:
        await ctx.step.wait_for_signal("door", signal="door-7", timeout=FAR)

    @waiting("invokes")
    async def invokes(ctx: stepwell.Context) -> None:
        await ctx.step.invoke("the sleeper", function=sleeps, timeout=FAR)

    @waiting("fails")
    async def fails(ctx: stepwell.Context) -> None:
        def break_down() -> None:
            raise stepwell.RetryAfterError("not now", FAR)

        await ctx.step.run("work", break_down)

    @waiting("cools", concurrency=[stepwell.Concurrency(limit=5)])
    async def cools(ctx: stepwell.Context) -> None:
        raise stepwell.RetryAfterError("429", FAR, scope="key")

    one = [stepwell.Concurrency(limit=1)]
    busy = {
        "asks": {},
        "paused": {"concurrency": one},
        "steps": {"concurrency": one},
        "runs": {"run_concurrency": one},
        "throttled": {"throttle": stepwell.Throttle(limit=1, period=FAR, burst=0)},
        "limited": {"limits": [gpu]},
    }
    made = [waiting(name, **options)(run_until_let_go) for name, options in busy.items()]
    return [sleeps, awaits, signalled, invokes, fails, cools, *made]


def served(app: str, url: str, method: str, *events: str) -> AppRegistered:
    """An app that was registered once, with a function for each event; nobody is there."""
    functions = [
        FunctionConfig(id=f"{app}-{event}", name=event, url=url, triggers=(Trigger(event=event),))
        for event in events
    ]
    rows = [FunctionRow(one.id, app, one.name, encode_function(one), 1, 1) for one in functions]
    return AppRegistered(AppRow(app, url, method, "py", "", "", str(events), 1), tuple(rows))


@pytest_asyncio.fixture(loop_scope="package")
async def halls(shop: Shop) -> AsyncIterator[Shop]:
    """The shop, with an app beside it whose functions wait, and some that nobody serves."""
    client, forever = stepwell.Inngest(app_id="halls", is_production=False), asyncio.Event()
    ledger = shop.server.node.ledger
    await attach(shop.server.node, client, functions_of(client, forever), alone=False)
    nowhere = "http://127.0.0.1:9"
    for app, method, event in (
        ("museum", "serve", "gone"),
        ("abroad", "serve", "away"),
        ("factory", "connect", "workers"),
        ("atlantis", "serve", "lost"),
    ):
        await ledger.submit(served(app, nowhere, method, event))
    yield shop
    forever.set()
    client.attach(None)


async def test_each_reason_why_a_run_waits_is_told_on_its_page(page: Page, halls: Shop) -> None:
    ledger = halls.server.node.ledger
    runs: dict[str, str] = {}
    for reason in REASONS.values():
        if reason.follows:
            # It has begun before the next is sent.
            await halls.run(reason.event, "RUNNING")
        runs[reason.event] = (await halls.run(reason.event))["id"]
    await ledger.submit(FunctionPaused("halls-paused"))
    await ledger.submit(served("museum", "http://127.0.0.1:9", "serve"))
    await ledger.submit(AppFailed("abroad", "http://127.0.0.1:9", "refused"))
    await ledger.submit(AppRemoved("atlantis"))
    await page.goto("runs")
    for name, reason in REASONS.items():
        # As a link does: the page stays, which is ten times as cheap as loading it.
        await page.evaluate(GO, f"/runs/{runs[reason.event]}")
        why = page.get_by_role("region", name="Why it is here")
        await expect(why, name).to_contain_text(reason.words)
        await expect(why, name).to_have_class(
            re.compile("tone-waiting" if reason.kept else "tone-running")
        )


def deployed(code: str) -> tuple[stepwell.Inngest, stepwell.Function[Any]]:
    """An app whose runs wait for a person when its code changes."""
    client = stepwell.Inngest(app_id="deploys", is_production=False)

    @client.create_function(
        fn_id="ship",
        trigger=stepwell.TriggerEvent(event="order/shipped"),
        code_version=code,
        on_code_change="pause",
    )
    async def ship(ctx: stepwell.Context) -> str:
        await ctx.step.run("pack", lambda: None)
        await ctx.step.wait_for_event("a lorry", event="lorry/came", timeout=FAR)
        return await ctx.step.run("load", lambda: f"loaded by {code}")

    return client, ship


async def test_a_run_that_waits_for_a_person_because_its_code_changed_is_let_go_on(
    page: Page, shop: Shop
) -> None:
    client, ship = deployed("first")
    await attach(shop.server.node, client, [ship], alone=False)
    run = await shop.run("order/shipped", "RUNNING")
    await page.goto(f"runs/{run['id']}")
    why = page.get_by_role("region", name="Why it is here")
    await expect(why).to_contain_text("waits for an event lorry/came")
    client.attach(None)
    client, ship = deployed("second")
    await attach(shop.server.node, client, [ship], alone=False)
    await shop.send("lorry/came")
    await expect(why).to_contain_text("it waits for a person")
    await expect(page.locator(".facts")).to_contain_text("firstnow second")
    await why.get_by_role("button", name="Let it go on").click()
    await page.get_by_role("dialog").get_by_role("button", name="Go on").click()
    await expect(page.locator(".run-title")).to_contain_text("Completed")
    await expect(page.get_by_role("region", name="Details")).to_contain_text("loaded by second")
    client.attach(None)
