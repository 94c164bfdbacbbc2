"""The app of the demonstration: an order is charged, approved, packed and sent."""

from datetime import timedelta

import stepwell

shop = stepwell.Inngest(app_id="shop")


def tell(text: str) -> None:
    """Shows on the terminal that user code ran, and how often."""
    print(f"    shop: {text}", flush=True)


@shop.create_function(
    fn_id="fulfil-order",
    trigger=stepwell.TriggerEvent(event="order/placed"),
    retries=3,
)
async def fulfil_order(ctx: stepwell.Context) -> dict[str, object]:
    """Steps one after the other, one that fails at first, two at once, a sleep and a wait."""
    order = ctx.event.data["order"]

    async def charge() -> str:
        tell(f"charging order {order} (attempt {ctx.attempt + 1})")
        if ctx.attempt == 0:
            raise ConnectionError("the payment service did not answer")
        return f"receipt-{order}"

    async def label() -> str:
        tell("printing the label")
        return f"label-{order}"

    async def pack() -> str:
        tell("packing")
        return f"parcel-{order}"

    receipt = await ctx.step.run("charge", charge)
    approval = await ctx.step.wait_for_event(
        "approval",
        event="order/approved",
        if_exp="event.data.order == async.data.order",
        timeout=timedelta(days=3),
    )
    if approval is None:
        return {"order": order, "state": "expired"}
    labelled, parcel = await ctx.group.parallel(
        (
            lambda: ctx.step.run("label", label),
            lambda: ctx.step.run("pack", pack),
        )
    )
    await ctx.step.sleep("let the glue dry", 1000)
    return {"order": order, "receipt": receipt, "sent": [labelled, parcel]}
