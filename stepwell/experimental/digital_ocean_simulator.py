"""DigitalOcean's functions on your own machine: a Flask application around `main`.

Needs Flask.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import flask

FULL_PATH = "/api/v1/web/fn-00000000/fake-name"
"""Where the function is found, besides at `/`."""

Main: TypeAlias = Callable[[dict[str, Any], Any], Any]
"""A function of DigitalOcean: an event and a context in, a response as a dict out."""


@dataclass(frozen=True, slots=True)
class _Context:
    api_host: str
    function_name: str


class DigitalOceanSimulator:
    """Runs `main` for every request to `app`, as the platform would."""

    def __init__(self, main: Main) -> None:
        self.app = flask.Flask(__name__)
        self._main = main
        for path in ("/", FULL_PATH):
            self.app.add_url_rule(path, path, self._answer, methods=["GET", "POST", "PUT"])

    def _answer(self) -> flask.Response:
        asked = flask.request
        event = {
            "http": {
                "body": asked.get_data(as_text=True),
                "headers": {name.lower(): value for name, value in asked.headers.items()},
                "method": asked.method,
                "path": "",
                "queryString": asked.query_string.decode(),
            }
        }
        told = self._main(event, _Context(asked.url_root, "/fn-00000000/fake-name"))
        if not isinstance(told, dict):
            raise TypeError(f"main returned {type(told).__name__}: return a dict with a body")
        response = cast("dict[str, Any]", told)
        body = response.get("body")
        return flask.Response(
            json.dumps(body) if body is not None and not isinstance(body, str) else body,
            response.get("statusCode", 200),
            response.get("headers") or {},
        )
