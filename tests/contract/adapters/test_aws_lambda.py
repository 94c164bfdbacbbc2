"""AWS Lambda keeps the contract of adapters, behind each of its HTTP triggers."""

from contextlib import AbstractContextManager
from typing import Any

import pytest

import stepwell
import stepwell.aws_lambda
from stepwell.sdk.errors import BodyInvalidError
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.platforms import (
    Asked,
    as_balanced,
    as_http_api,
    as_rest_api,
    invoke_lambda,
    platform_serves,
)
from tests.contract.adapters.shown import Shown

LIMIT = "6 MB, the platform's; load balancers 1 MB"


class LambdaContract(AdapterContract):
    framework = "lambda"
    streams = False

    def event(self, asked: Asked, mount: str) -> dict[str, Any]:
        raise NotImplementedError

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        handler = stepwell.aws_lambda.serve(client, functions, **options)
        return platform_serves(lambda asked: invoke_lambda(handler, self.event(asked, mount)))


class TestHttpApi(LambdaContract):
    """API Gateway's second payload format, and function URLs."""

    shown = Shown("AWS Lambda", "stepwell.aws_lambda", "HTTP API, function URL", (), LIMIT)

    def event(self, asked: Asked, mount: str) -> dict[str, Any]:
        return as_http_api(asked, mount)


class TestRestApi(LambdaContract):
    """API Gateway's first payload format, with stages."""

    shown = Shown("AWS Lambda", "stepwell.aws_lambda", "REST API", (), LIMIT)

    def event(self, asked: Asked, mount: str) -> dict[str, Any]:
        return as_rest_api(asked, mount)


class TestLoadBalancer(LambdaContract):
    shown = Shown("AWS Lambda", "stepwell.aws_lambda", "load balancer", (), LIMIT)

    def event(self, asked: Asked, mount: str) -> dict[str, Any]:
        return as_balanced(asked, multiple=False)


class TestLoadBalancerWithLists(LambdaContract):
    """A target group with multi-value headers."""

    shown = Shown("AWS Lambda", "stepwell.aws_lambda", "load balancer, lists of values", (), LIMIT)

    def event(self, asked: Asked, mount: str) -> dict[str, Any]:
        return as_balanced(asked, multiple=True)


def test_events_of_other_kinds_are_refused() -> None:
    handler = stepwell.aws_lambda.serve(stepwell.Inngest(app_id="a", is_dev=True), [])
    with pytest.raises(BodyInvalidError, match="one with Records"):
        handler({"Records": []}, None)
    with pytest.raises(BodyInvalidError, match="nothing in it"):
        handler({}, None)


def test_of_several_values_the_first_counts() -> None:
    asked = Asked("GET", "/x", "a=1&a=2&b=%C3%BC", [("host", "h"), ("k", "1"), ("k", "2")], b"")
    for event in (as_rest_api(asked, "/x"), as_balanced(asked, multiple=True)):
        request = stepwell.aws_lambda.request_from(event, None)
        assert request.query == {"a": "1", "b": "ü"}
        assert request.headers["k"] == "1"


def test_bodies_that_are_not_what_they_are_called() -> None:
    event = as_http_api(Asked("POST", "/x", "", [("host", "h")], b"x"))
    with pytest.raises(BodyInvalidError, match="base64"):
        stepwell.aws_lambda.request_from({**event, "body": "%"}, None)
    with pytest.raises(BodyInvalidError, match="dict"):
        stepwell.aws_lambda.request_from({**event, "body": {}}, None)
