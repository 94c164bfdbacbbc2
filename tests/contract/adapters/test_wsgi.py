"""Plain WSGI keeps the contract of adapters, on werkzeug's threaded server."""

from contextlib import AbstractContextManager
from typing import Any

from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import stepwell.wsgi
from stepwell.testing.adapter_contract import AdapterContract
from tests.contract.adapters.servers import werkzeug_serves
from tests.contract.adapters.shown import Shown


class TestWsgi(AdapterContract):
    shown = Shown("Plain WSGI", "stepwell.wsgi", "werkzeug", ("werkzeug",))
    framework = "wsgi"
    notices_disconnects = False

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app: Any = stepwell.wsgi.serve(client, functions, **options)
        return werkzeug_serves(DispatcherMiddleware(NotFound(), {mount: app}) if mount else app)
