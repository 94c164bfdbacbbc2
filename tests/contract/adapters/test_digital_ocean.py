"""DigitalOcean Functions keep the contract of adapters, in raw HTTP mode."""

import json
from contextlib import AbstractContextManager
from typing import Any

import pytest

import stepwell
import stepwell.digital_ocean
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.platforms import (
    DigitalOceanContext,
    invoke_digital_ocean,
    platform_serves,
)
from tests.contract.adapters.shown import Shown


class TestDigitalOcean(AdapterContract):
    shown = Shown(
        "DigitalOcean Functions",
        "stepwell.digital_ocean",
        "raw HTTP events",
        (),
        "1 MB, the platform's",
    )
    framework = "digitalocean"
    streams = False
    path = "/api/v1/web/fn-b09441/sample/inngest"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        main = stepwell.digital_ocean.serve(client, functions, **options)
        return platform_serves(lambda asked: invoke_digital_ocean(main, asked))


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({}, '"http"'),
        ({"http": {"method": "GET"}}, "web: raw"),
        ({"http": {"method": "GET", "headers": {}}}, "queryString"),
        (
            {"http": {"headers": {}, "queryString": "", "body": "%", "isBase64Encoded": True}},
            "base64",
        ),
    ],
)
def test_events_that_are_not_raw_are_answered_with_what_to_set(event: Any, told: str) -> None:
    main = stepwell.digital_ocean.serve(stepwell.Inngest(app_id="a", is_dev=True), [])
    answer = main(event, DigitalOceanContext("https://faas.test", "/fn/a/b"))
    assert answer["statusCode"] == 400
    body = json.loads(answer["body"])
    assert (body["code"], told in body["message"]) == ("body_invalid", True)
