"""Azure Functions keep the contract of adapters, by way of the platform's own converters."""

from contextlib import AbstractContextManager
from typing import Any

from azure import functions as azure_functions

import stepwell
import stepwell.azure
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.platforms import azure_serves
from tests.contract.adapters.shown import Shown


class TestAzure(AdapterContract):
    shown = Shown(
        "Azure Functions",
        "stepwell.azure",
        "its converters",
        ("azure-functions",),
        "100 MB, the platform's",
    )
    framework = "azure-functions"
    streams = False

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app = azure_functions.FunctionApp()
        stepwell.azure.serve(app, client, functions, **options)
        return azure_serves(app, f"{mount}/api")


def test_two_apps_below_other_paths() -> None:
    app = azure_functions.FunctionApp()
    for name in ("first app", "second"):
        client = stepwell.Inngest(app_id=name, is_dev=True)
        stepwell.azure.serve(app, client, [], serve_path=f"/x/{name}")
    seen = [
        (function.get_function_name(), function.get_trigger().get_dict_repr()["route"])
        for function in app.get_functions()
    ]
    assert seen == [
        ("inngest_api_first-app-x-first-app", "x/first app"),
        ("inngest_api_second-x-second", "x/second"),
    ]
