"""A durable endpoint of ours that says something while it works. Run by the tests with: PORT and
INNGEST_DEV (the server's origin)."""

import os
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

import stepwell
from stepwell.starlette import endpoint

client = stepwell.Inngest(app_id="py-endpoints", is_production=False)


@endpoint(client)
async def told(ctx: stepwell.Context, request: Any) -> dict[str, bool]:
    stepwell.stream.push("first")
    await ctx.step.run("one", lambda: None)
    await ctx.step.sleep("nap", 300)
    stepwell.stream.push("second")
    return {"streamed": True}


if __name__ == "__main__":
    uvicorn.run(Starlette(routes=[Route("/told", told)]), port=int(os.environ["PORT"]))
