"""Google's functions keep the contract of adapters, on the platform's own framework."""

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import functions_framework
import pytest
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

import stepwell
import stepwell.google_cloud
from stepwell.testing.contract.adapter import AdapterContract
from stepwell.testing.contract.adapter_peer import InngestServer
from tests.contract.adapters.servers import werkzeug_serves
from tests.contract.adapters.shown import Shown

SOURCE = Path(__file__).with_name("google_function.py")


def deployed(client: Any, functions: Any, **options: Any) -> Any:
    """The WSGI application the platform makes of a source file whose target is `main`."""
    given = ModuleType("stepwell_tests_given")
    given.main = stepwell.google_cloud.serve(client, functions, **options)  # type: ignore[attr-defined]
    sys.modules[given.__name__] = given
    return functions_framework.create_app("main", str(SOURCE), "http")


class TestGoogleCloud(AdapterContract):
    shown = Shown(
        "Google Cloud Functions",
        "stepwell.google_cloud",
        "functions-framework",
        ("functions-framework",),
        "32 MB, the platform's",
    )
    framework = "google-functions"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app = deployed(client, functions, **options)
        return werkzeug_serves(DispatcherMiddleware(NotFound(), {mount: app}) if mount else app)


@pytest.mark.parametrize(
    ("host", "path", "url"),
    [
        ("europe-west1-p.cloudfunctions.net", "/", "/inngest"),
        ("europe-west1-p.cloudfunctions.net", "/api", "/inngest/api"),
        ("inngest-abc.run.app", "/api", "/api"),
    ],
)
def test_the_functions_name_is_put_back_where_the_domain_takes_it(
    monkeypatch: pytest.MonkeyPatch, host: str, path: str, url: str
) -> None:
    monkeypatch.setenv("K_SERVICE", "inngest")
    server = InngestServer()
    try:
        client = stepwell.Inngest(app_id="a", is_dev=True, base_url=server.url)
        app = Client(deployed(client, [], trust_proxy=False))
        assert app.put(path, base_url=f"https://{host}").status_code == 200
    finally:
        server.close()
    assert server.asked[-1][3]["url"] == f"https://{host}{url}"
