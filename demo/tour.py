"""The app of the tour: a function for each shape a run can have, from one step to a thousand."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import stepwell

# Its lines are read on the page, not in the terminal.
log = logging.getLogger("demo.studio")
log.setLevel(logging.INFO)
log.addHandler(logging.NullHandler())
log.propagate = False

tour = stepwell.Inngest(app_id="studio", logger=log)
gpu = stepwell.limit("gpu", concurrency=2)
tokens = stepwell.limit("model-tokens", rate=90_000, period="1m")

FRUIT = ("apple", "pear", "quince", "medlar", "plum")


def on(event: str, condition: str | None = None) -> stepwell.TriggerEvent:
    return stepwell.TriggerEvent(event=event, expression=condition)


@tour.create_function(fn_id="greet", trigger=on("visitor/arrived"))
async def greet(ctx: stepwell.Context) -> str:
    """One step."""
    return await ctx.step.run("look up the name", lambda: f"Hello, {ctx.event.data['name']}")


@tour.create_function(fn_id="import-rows", trigger=on("rows/uploaded"))
async def import_rows(ctx: stepwell.Context) -> str:
    """A thousand steps, one after the other."""
    for number in range(int(str(ctx.event.data["rows"]))):
        await ctx.step.run(f"row {number + 1}", lambda: None)
    return f"{ctx.event.data['rows']} rows"


@tour.create_function(fn_id="resize-images", trigger=on("album/shared"))
async def resize_images(ctx: stepwell.Context) -> int:
    """A hundred steps at once."""

    async def resize(number: int) -> int:
        await asyncio.sleep(0.02 + 0.013 * (number * 7 % 11))
        return number

    done = await asyncio.gather(*(ctx.step.run(f"image {n + 1}", resize, n) for n in range(100)))
    ctx.logger.info("%d images in the album", len(done))
    return len(done)


@tour.create_function(fn_id="refund", trigger=on("refund/asked"))
async def refund(ctx: stepwell.Context) -> str:
    """It waits for somebody's approval."""
    await ctx.step.run("check the order", lambda: {"order": ctx.event.data["order"], "paid": 1499})
    answer = await ctx.step.wait_for_event(
        "approval",
        event="refund/approved",
        if_exp="event.data.order == async.data.order",
        timeout=timedelta(days=3),
    )
    return "expired" if answer is None else "approved"


@tour.create_function(fn_id="sync-ledger", trigger=on("ledger/closed"), retries=19)
async def sync_ledger(ctx: stepwell.Context) -> None:
    """A step that fails twenty times."""

    def post() -> None:
        try:
            raise ConnectionError("connection refused by ledger.internal:5432")
        except ConnectionError as error:
            raise RuntimeError("the ledger did not take the entry") from error

    await ctx.step.run("post the entry", post)


@tour.create_function(fn_id="yearly-report", trigger=on("report/asked"))
async def yearly_report(ctx: stepwell.Context) -> None:
    """Somebody cancels it while it sleeps."""
    await ctx.step.run("collect the figures", lambda: [3, 1, 4, 1, 5])
    await ctx.step.sleep("until the books close", timedelta(days=30))


@tour.create_function(
    fn_id="index-documents",
    trigger=on("document/saved"),
    batch_events=stepwell.Batch(max_size=5, timeout=timedelta(seconds=5)),
)
async def index_documents(ctx: stepwell.Context) -> int:
    """One run for several events."""
    names = [str(event.data["name"]) for event in ctx.events]
    await ctx.step.run("write the index", lambda: names)
    return len(names)


@tour.create_function(fn_id="sum-folder", trigger=on("folder/opened"))
async def sum_folder(ctx: stepwell.Context) -> int:
    """A tree of runs that wait for each other, five deep."""
    depth = int(str(ctx.event.data["depth"]))
    own = await ctx.step.run("add up the files", lambda: depth * 10)
    if depth <= 1:
        return own
    below = await ctx.step.invoke(
        "the folder below", function=sum_folder, data={"depth": depth - 1}
    )
    return own + int(str(below))


@tour.create_function(fn_id="answer", trigger=on("question/asked"))
async def answer(ctx: stepwell.Context) -> dict[str, object]:
    """An agent: it asks a model, uses tools, and asks again."""

    async def model(turn: int) -> dict[str, object]:
        await asyncio.sleep(0.12)
        tokens.used(1_400 + 300 * turn)
        wanted = ("search the handbook", "look up the order", None)[turn]
        return {"turn": turn, "tool": wanted, "tokens": 1_400 + 300 * turn}

    async def tool(name: str) -> str:
        await asyncio.sleep(0.05)
        return f"what {name!r} found"

    for turn in range(3):
        said = await ctx.step.run(
            f"ask the model ({turn + 1})", model, turn, limits=[tokens.take(1_000)]
        )
        if said["tool"] is None:
            break
        await ctx.step.run(str(said["tool"]), tool, str(said["tool"]))
    return {"answer": "Returns are free for thirty days.", "turns": turn + 1}


@tour.create_function(fn_id="export-catalogue", trigger=on("catalogue/asked"))
async def export_catalogue(ctx: stepwell.Context) -> list[dict[str, object]]:
    """A result of two megabytes."""

    def goods() -> list[dict[str, object]]:
        return [
            {"id": 2**70 + n, "name": FRUIT[n % 5], "price": n * 1.25, "tags": [*FRUIT]}
            for n in range(18_000)
        ]

    return await ctx.step.run("read everything", goods)


@tour.create_function(fn_id="bestellung", trigger=on("bestellung/größe"))
async def bestellung(ctx: stepwell.Context) -> dict[str, str]:
    """Names and data in many scripts."""
    await ctx.step.run("Größe prüfen", lambda: "Übergröße")
    await ctx.step.run("注文を確認する", lambda: "確認しました")
    await ctx.step.run("تحقق من الطلب", lambda: "تم التحقق")
    return {"emoji": "👩🏽‍🚀", "bidi": "a\u202eb", "markup": "<b>not bold</b>"}


@tour.create_function(fn_id="charge-card", trigger=on("order/placed"), retries=2)
async def charge_card(ctx: stepwell.Context) -> dict[str, Any]:
    """It fails for some customers."""

    async def charge() -> str:
        ctx.logger.info("charging the card for order %s", ctx.event.data["order"])
        await asyncio.sleep(0.03)
        if int(str(ctx.event.data["order"])) % 4 == 3:
            raise stepwell.NonRetriableError("the card was declined: insufficient funds")
        return f"receipt-{ctx.event.data['order']}"

    receipt = await ctx.step.run("charge the card", charge)
    await ctx.step.sleep("let the fraud check run", 400)
    ctx.logger.info("no objection by the fraud check: %s", receipt)
    return {"receipt": receipt, "mailed": await ctx.step.run("mail the receipt", lambda: True)}


@tour.create_function(
    fn_id="render-video",
    trigger=on("video/uploaded"),
    limits=[gpu.by(key="event.data.studio")],
    concurrency=[stepwell.Concurrency(limit=20)],
)
async def render_video(ctx: stepwell.Context) -> str:
    """Many wait for few places."""

    async def render() -> str:
        await asyncio.sleep(float(str(ctx.event.data["seconds"])))
        return "done"

    return await ctx.step.run("render", render)


@tour.create_function(
    fn_id="daily-digest",
    trigger=stepwell.TriggerCron(cron="TZ=Europe/Paris 30 6 * * MON-FRI"),
)
async def daily_digest(ctx: stepwell.Context) -> str:
    """By a schedule, in a zone whose clocks change."""
    return await ctx.step.run("gather", lambda: "nothing new")


@tour.create_function(fn_id="heartbeat", trigger=stepwell.TriggerCron(cron="* * * * *"))
async def heartbeat(ctx: stepwell.Context) -> str:
    """Every minute."""
    return "beats"
