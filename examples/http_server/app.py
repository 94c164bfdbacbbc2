"""The standard library: a durable function, and a route that runs it and waits.

README.md says how to start it.
"""

import sys
from http.server import ThreadingHTTPServer

import stepwell
import stepwell.http_server

client = stepwell.Inngest(app_id="http-server-example")


@client.create_function(fn_id="welcome", trigger=stepwell.TriggerEvent(event="visitor/arrived"))
def welcome(ctx: stepwell.ContextSync) -> str:
    name = ctx.event.data["name"]
    return ctx.step.run("greet", lambda: f"Welcome, {name}")


class Handler(stepwell.http_server.serve(client, [welcome])):
    def do_GET(self) -> None:
        if self.path.startswith("/api/inngest"):
            self.answer()
            return
        name = self.path.removeprefix("/welcome/")
        text = client.invoke_sync(welcome, data={"name": name}, timeout="10s").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    ThreadingHTTPServer(("localhost", int(sys.argv[1])), Handler).serve_forever()
