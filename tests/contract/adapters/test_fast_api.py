"""FastAPI keeps the contract of adapters, on uvicorn."""

from contextlib import AbstractContextManager
from typing import Any

import fastapi

import stepwell
import stepwell.fast_api
from stepwell.testing.contract.adapter import AdapterContract
from stepwell.testing.contract.adapter_peer import call_body, send
from tests.contract.adapters.servers import hypercorn_on_trio_serves, uvicorn_serves
from tests.contract.adapters.shown import Shown


def nobody() -> None:
    """A dependency of the whole application."""
    raise fastapi.HTTPException(403)


class TestFastApi(AdapterContract):
    shown = Shown("FastAPI", "stepwell.fast_api", "uvicorn", ("fastapi", "uvicorn"))
    framework = "fast_api"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app = fastapi.FastAPI(dependencies=[fastapi.Depends(nobody)])
        stepwell.fast_api.serve(app, client, functions, **options)
        if mount:
            outer = fastapi.FastAPI()
            outer.mount(mount, app)
            return uvicorn_serves(outer)
        return uvicorn_serves(app)


def test_the_route_is_not_documented() -> None:
    app = fastapi.FastAPI()
    stepwell.fast_api.serve(app, stepwell.Inngest(app_id="a", is_dev=True), [])
    assert app.openapi()["paths"] == {}


def test_a_router_may_be_included_below_a_prefix() -> None:
    client = stepwell.Inngest(app_id="a", is_dev=True)
    router = fastapi.APIRouter(dependencies=[fastapi.Depends(nobody)])
    stepwell.fast_api.serve(router, client, [])
    app = fastapi.FastAPI()
    app.include_router(router, prefix="/inner")
    with uvicorn_serves(app) as origin:
        assert send("GET", f"{origin}/inner/api/inngest").json["mode"] == "dev"
        assert send("GET", f"{origin}/api/inngest").status == 404


def test_a_router_with_a_prefix_keeps_the_endpoint_below_it() -> None:
    client = stepwell.Inngest(app_id="a", is_dev=True)
    router, inner = fastapi.APIRouter(prefix="/guarded"), fastapi.APIRouter(prefix="/deep")
    stepwell.fast_api.serve(router, client, [])
    stepwell.fast_api.serve(inner, client, [])
    router.include_router(inner)
    app = fastapi.FastAPI()
    app.include_router(router, prefix="/v1")
    with uvicorn_serves(app) as origin:
        for path in ("/v1/guarded/api/inngest", "/v1/guarded/deep/api/inngest"):
            assert send("GET", f"{origin}{path}").json["mode"] == "dev"
        assert send("GET", f"{origin}/v1/api/inngest").status == 404
        assert send("GET", f"{origin}/api/inngest").status == 404


def test_on_trio() -> None:
    client = stepwell.Inngest(app_id="a", is_dev=True)

    @client.create_function(fn_id="f", trigger=stepwell.TriggerEvent(event="e"))
    async def f(ctx: stepwell.Context) -> int:
        return await ctx.step.run("one", lambda: 1)

    app = fastapi.FastAPI()
    stepwell.fast_api.serve(app, client, [f])
    with hypercorn_on_trio_serves(app) as origin:
        url = f"{origin}/api/inngest?fnId=a-f&stepId=step"
        assert send("POST", url, call_body({}, {})).json[0]["data"] == 1


def test_the_path_can_be_told(monkeypatch: Any) -> None:
    client = stepwell.Inngest(app_id="a", is_dev=True)
    app = fastapi.FastAPI()
    stepwell.fast_api.serve(app, client, [], serve_path="/x/inngest")
    monkeypatch.setenv("INNGEST_SERVE_PATH", "y/inngest")
    stepwell.fast_api.serve(app, client, [])
    paths = [getattr(route, "path", "") for route in app.routes]
    assert paths[-4:] == ["/x/inngest", "/x/inngest/", "/y/inngest", "/y/inngest/"]
