"""Plain WSGI keeps the contract of adapters, on every server of applications."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import stepwell.wsgi
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import (
    gunicorn_serves,
    waitress_serves,
    werkzeug_serves,
    wsgiref_serves,
)
from tests.contract.adapters.shown import Shown


class WsgiContract(AdapterContract):
    framework = "wsgi"
    served_by: ClassVar[Callable[[Any], AbstractContextManager[str]]]

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app: Any = stepwell.wsgi.serve(client, functions, **options)
        serves = type(self).served_by
        return serves(DispatcherMiddleware(NotFound(), {mount: app}) if mount else app)


class TestWsgi(WsgiContract):
    shown = Shown("Plain WSGI", "stepwell.wsgi", "werkzeug", ("werkzeug",))
    served_by = werkzeug_serves


class TestWsgiOnGunicorn(WsgiContract):
    shown = Shown("Plain WSGI", "stepwell.wsgi", "gunicorn", ("gunicorn",))
    served_by = gunicorn_serves
    in_a_child = True


class TestWsgiOnWaitress(WsgiContract):
    shown = Shown("Plain WSGI", "stepwell.wsgi", "waitress", ("waitress",))
    served_by = waitress_serves


class TestWsgiOnWsgiref(WsgiContract):
    shown = Shown("Plain WSGI", "stepwell.wsgi", "wsgiref", ())
    served_by = wsgiref_serves
    takes_chunks = False
