"""Tornado: a durable function, and a route that runs it and waits.

README.md says how to start it.
"""

import asyncio
import sys

import tornado.web

import stepwell
import stepwell.tornado

client = stepwell.Inngest(app_id="tornado-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
async def welcome(ctx: stepwell.Context) -> str:
    name = ctx.event.data["name"]
    return await ctx.step.run("greet", lambda: f"Welcome, {name}")


class WelcomeNow(tornado.web.RequestHandler):
    async def get(self, name: str) -> None:
        self.write(await client.invoke(welcome, data={"name": name}, timeout="10s"))


async def main() -> None:
    app = tornado.web.Application([("/welcome/(.*)", WelcomeNow)])
    stepwell.tornado.serve(app, client, [welcome])
    app.listen(int(sys.argv[1]))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
