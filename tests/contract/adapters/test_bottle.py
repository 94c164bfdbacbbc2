"""Bottle keeps the contract of adapters, on waitress."""

from contextlib import AbstractContextManager
from typing import Any

import bottle

import stepwell
import stepwell.bottle
from stepwell.testing.contract.adapter import AdapterContract
from stepwell.testing.contract.adapter_peer import call_body, send
from tests.contract.adapters.servers import gunicorn_serves, waitress_serves
from tests.contract.adapters.shown import Shown


def nobody(callback: Any) -> Any:
    """A plugin of the whole application."""
    return lambda *args, **kwargs: bottle.abort(403)


class TestBottle(AdapterContract):
    shown = Shown("Bottle", "stepwell.bottle", "waitress", ("bottle", "waitress"))
    framework = "bottle"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app = bottle.Bottle()
        app.install(nobody)
        stepwell.bottle.serve(app, client, functions, **options)
        if not mount:
            return waitress_serves(app)
        outer = bottle.Bottle()
        outer.mount(f"{mount}/", app)
        return waitress_serves(outer)


def test_a_server_may_put_chunks_together_and_say_so() -> None:
    """Bottle would do it once more."""
    client = stepwell.Inngest(app_id="contract", is_dev=True)

    @client.create_function(fn_id="size", trigger=stepwell.TriggerEvent(event="e"))
    def size(ctx: stepwell.ContextSync) -> int:
        return len(str(ctx.event.data["text"]))

    app = bottle.Bottle()
    stepwell.bottle.serve(app, client, [size])
    body = call_body({"text": "x" * 1000}, {})
    with gunicorn_serves(app) as origin:
        url = f"{origin}/api/inngest?fnId=contract-size&stepId=step"
        assert send("POST", url, iter((body[:7], body[7:]))).json == 1000
