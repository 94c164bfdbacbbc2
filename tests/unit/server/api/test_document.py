"""The OpenAPI documents say what both versions of the REST API are, and the server keeps to it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from stepwell.server.api.app import ROUTES
from stepwell.server.api.v1.routes import ROUTES_V1
from stepwell.server.api.v1.routes import described as described_v1
from stepwell.server.api.v2.routes import ROUTES_V2, described
from stepwell.server.config import Command, ServerConfig
from stepwell.server.serving import Server
from tests.unit.server.api.harness import function, registration

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
)
DOCUMENT = described()
DOCUMENT_V1 = described_v1()
OPERATIONS = {
    operation["operationId"]: operation
    for path in DOCUMENT["paths"].values()
    for operation in path.values()
}
KNOWN: dict[str, str] = {}
"""Values of path parameters that name something there is."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of its own thread, with an app, events and runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    config = ServerConfig(
        command=Command.DEV, port=0, connect_gateway_port=0, discovery=False, poll=False
    )

    async def started() -> Server:
        server = Server(config)
        await server.start()
        return server

    server = asyncio.run_coroutine_threadsafe(started(), loop).result(20)
    try:
        with closing(httpx.Client(base_url=server.url, timeout=20)) as http:
            _fill(http)
        yield server.url
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


def _fill(http: httpx.Client) -> None:
    assert http.post("/fn/register", json=registration(function("a", event="x"))).status_code == 200
    ids = http.post("/e/k", json=[{"name": "x", "data": {"n": n}} for n in range(3)]).json()["ids"]
    started = http.post("/api/v2/apps/shop/functions/a/invoke", json={"data": {}}).json()
    run_id = started["data"]["runId"]
    KNOWN.update(runId=run_id, eventId=ids[0], appId="shop", appName="shop", functionId="a")


def test_every_route_is_in_the_document_with_its_words() -> None:
    assert set(OPERATIONS) == {route.name for route in ROUTES_V2}
    assert len(OPERATIONS) == len(ROUTES_V2)
    for name, operation in OPERATIONS.items():
        assert operation["summary"].strip("."), name
        assert "`GET" not in operation["description"], name
        for parameter in operation.get("parameters", ()):
            assert parameter["description"].endswith("."), (name, parameter)


def test_every_route_of_the_first_version_is_told_but_what_sdks_speak() -> None:
    told = {
        operation["operationId"]: operation
        for path in DOCUMENT_V1["paths"].values()
        for operation in path.values()
    }
    assert set(told) == {route.name for route in ROUTES_V1}
    assert len(told) == len(ROUTES_V1)
    asked = [one for one in ROUTES if one.path.startswith("/v1/") and not one.takes.others]
    assert asked == [*ROUTES_V1]
    for name, operation in told.items():
        assert operation["summary"].strip("."), name
        assert "`GET" not in operation["description"], name
    assert {"201", "404"} <= set(told["create_cancellation"]["responses"])
    assert told["delete_cancellation"]["responses"]["204"] == {"description": "Done"}


def test_parameters_and_bodies_are_those_the_handlers_read() -> None:
    listed = {one["name"]: one["schema"] for one in OPERATIONS["list_runs"]["parameters"]}
    assert listed["limit"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    assert listed["status"]["items"]["enum"][0] == "QUEUED"
    assert listed["timeField"]["enum"] == ["queuedAt", "startedAt", "endedAt"]
    body = OPERATIONS["invoke_function"]["requestBody"]
    assert body["required"]
    shape = DOCUMENT["components"]["schemas"]["InvokeBody"]
    assert (shape["required"], shape["additionalProperties"]) == (["data"], False)
    assert not OPERATIONS["rerun"]["requestBody"]["required"]
    assert {"404", "409", "422"} <= set(OPERATIONS["invoke_function"]["responses"])


def test_the_document_is_served(url: str) -> None:
    for root in ("/v2", "/api/v2"):
        answer = httpx.get(f"{url}{root}/openapi.json")
        assert (answer.status_code, answer.json()) == (200, DOCUMENT)
    answer = httpx.get(f"{url}/v1/openapi.json")
    assert (answer.status_code, answer.json()) == (200, DOCUMENT_V1)


def examples(count: int) -> settings:
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
    )


def judged(case: schemathesis.Case, base_url: str) -> None:
    """Ask, and compare the answer with what the document says."""
    positive = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    if positive and len(str(case.path_parameters)) % 2:
        # Every other request is about something there is.
        case.path_parameters |= {n: KNOWN[n] for n in case.path_parameters if n in KNOWN}
    # A parameter without a value is as good as none, and nothing wrong.
    empty = "" in (case.query or {}).values()
    if case.operation.definition.raw["operationId"] == "delete_app":
        # What comes after it is asked about the app, too.
        case.path_parameters["appId"] = "nobody"
    checks = [check for check in CHECKS if not (empty and check is negative_data_rejection)]
    case.call_and_validate(base_url=base_url, checks=checks)


schema = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig())
schema_v1 = schemathesis.openapi.from_dict(DOCUMENT_V1, config=SchemathesisConfig())


@pytest.mark.slow
@schema.exclude(operation_id="stream_changes").parametrize()
@examples(6)
def test_the_server_answers_as_the_document_says(case: schemathesis.Case, url: str) -> None:
    judged(case, f"{url}/api/v2")


@pytest.mark.slow
@schema_v1.parametrize()
@examples(4)
def test_the_first_version_answers_as_its_document_says(case: schemathesis.Case, url: str) -> None:
    # Nobody ends the runs there are: who waited for them would wait long.
    if case.query:
        case.query.pop("wait", None)
    judged(case, url)
