"""Falcon keeps the contract of adapters: ASGI on uvicorn, WSGI on wsgiref."""

from contextlib import AbstractContextManager
from typing import Any

import falcon
import falcon.asgi
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import stepwell.falcon
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import uvicorn_serves, wsgiref_serves
from tests.contract.adapters.shown import Shown


class TestFalconAsgi(AdapterContract):
    shown = Shown("Falcon, ASGI", "stepwell.falcon", "uvicorn", ("falcon", "uvicorn"))
    framework = "falcon"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app: Any = falcon.asgi.App()
        stepwell.falcon.serve(app, client, functions, **options)
        return uvicorn_serves(mounted(mount, app) if mount else app)


def mounted(prefix: str, app: Any) -> Any:
    """Falcon routes by the whole path: what mounts it must take the prefix away."""

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["path"].removeprefix(prefix)
            scope = {**scope, "root_path": prefix, "path": path}
        await app(scope, receive, send)

    return outer


class TestFalconWsgi(AdapterContract):
    shown = Shown("Falcon, WSGI", "stepwell.falcon", "wsgiref", ("falcon",))
    framework = "falcon"
    takes_chunks = False

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app: Any = falcon.App()
        stepwell.falcon.serve(app, client, functions, **options)
        return wsgiref_serves(DispatcherMiddleware(NotFound(), {mount: app}) if mount else app)
