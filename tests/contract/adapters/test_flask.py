"""Flask keeps the contract of adapters, on werkzeug's threaded server."""

from contextlib import AbstractContextManager
from typing import Any

import flask
from flask_wtf import CSRFProtect  # type: ignore[import-untyped]

import stepwell
import stepwell.flask
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import werkzeug_serves
from tests.contract.adapters.shown import Shown


class TestFlask(AdapterContract):
    shown = Shown("Flask", "stepwell.flask", "werkzeug", ("flask", "werkzeug"))
    framework = "flask"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app = flask.Flask("contract")
        app.config.update(MAX_CONTENT_LENGTH=1000, SECRET_KEY="for tests alone")
        CSRFProtect(app)
        if mount:
            blueprint = flask.Blueprint("inner", "contract", url_prefix=mount)
            stepwell.flask.serve(blueprint, client, functions, **options)
            app.register_blueprint(blueprint)
        else:
            stepwell.flask.serve(app, client, functions, **options)
        return werkzeug_serves(app)


def test_two_apps_in_one() -> None:
    app = flask.Flask("two")
    for name in ("a", "b"):
        client = stepwell.Inngest(app_id=name, is_dev=True)
        stepwell.flask.serve(app, client, [], serve_path=f"/{name}")
    seen = [app.test_client().get(f"/{name}").get_json()["mode"] for name in ("a", "b")]
    assert seen == ["dev", "dev"]
