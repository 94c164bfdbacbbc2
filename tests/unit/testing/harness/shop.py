"""A small application, as users write one: what the tests of the harness are about."""

from datetime import timedelta
from typing import Annotated

import stepwell

client = stepwell.Inngest(app_id="shop", is_production=False)
charged: list[int] = []


class Declined(Exception):
    """The bank says no."""


def charge(amount: int) -> str:
    charged.append(amount)
    return f"charged {amount}"


def mailer() -> str:
    raise AssertionError("a test sends no mail")


@client.create_function(fn_id="order", trigger=stepwell.TriggerEvent(event="shop/order"), retries=2)
async def order(ctx: stepwell.Context) -> str:
    receipt = await ctx.step.run("charge", charge, ctx.event.data["amount"])
    await ctx.step.sleep("calm", timedelta(days=3))
    await ctx.step.run("remind", lambda: "reminded")
    return receipt


@client.create_function(fn_id="approve", trigger=stepwell.TriggerEvent(event="shop/approval.asked"))
async def approve(ctx: stepwell.Context) -> str:
    answer = await ctx.step.wait_for_event(
        "answer", event="shop/approval.given", timeout=timedelta(days=1)
    )
    if answer is None:
        return "nobody answered"
    receipt = await ctx.step.invoke("pay", function=pay, data={"amount": 7})
    return f"{answer.data['by']}: {receipt}"


@client.create_function(fn_id="pay", trigger=stepwell.TriggerEvent(event="shop/pay"))
def pay(ctx: stepwell.ContextSync, mail: Annotated[str, stepwell.Depends(mailer)]) -> str:
    return ctx.step.run("mail", lambda: f"paid by {mail}")


@client.create_function(fn_id="signal", trigger=stepwell.TriggerEvent(event="shop/signal"))
async def signalled(ctx: stepwell.Context) -> object:
    return await ctx.step.wait_for_signal("wait", signal="go", timeout=timedelta(hours=1))
