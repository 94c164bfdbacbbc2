"""Which branch environment and platform a request is for, and how the server learns it (A.10)."""

from collections.abc import Mapping
from typing import Any

import pytest

import stepwell
from stepwell.sdk.connect.option import ConnectOptions, plan
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest


class Network:
    """An `http_client` that remembers the headers of every request."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        self.seen.append((url, dict(headers)))
        return (200, {}, b'{"ids":["1"],"status":200,"data":{"run_id":"r"}}')

    def said(self, header: str) -> list[str | None]:
        return [headers.get(header) for _, headers in self.seen]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {})


async def talk(network: Network, variables: dict[str, str], **options: Any) -> None:
    """Make every kind of request there is: send, signal, registration, a worker's start."""
    client = stepwell.Inngest(app_id="shop", is_dev=True, http_client=network, **options)
    client.set_env_vars(variables)
    await client.send(stepwell.Event(name="a"))
    client.send_sync(stepwell.Event(name="a"))
    await client.send_signal("s")
    served = ServeHandler(client, [], framework="x")
    await served.handle(ServeRequest(method="PUT", url="http://h.test/x", headers={}, query={}))
    worker = plan([(client, [])], ConnectOptions(instance_id="me"))
    await worker.handshake().start(0, ())


async def test_e_190_the_call_then_the_client_then_the_variable() -> None:
    network = Network()
    client = stepwell.Inngest(app_id="a", is_dev=True, env="mine", http_client=network)
    client.set_env_vars({"INNGEST_ENV": "named", "VERCEL_GIT_COMMIT_REF": "branch"})
    await client.send(stepwell.Event(name="a"), env="for-this")
    client.send_sync(stepwell.Event(name="a"), env="for-this")
    await client.send(stepwell.Event(name="a"))
    other = stepwell.Inngest(app_id="a", is_dev=True, http_client=network)
    other.set_env_vars({"INNGEST_ENV": "named", "VERCEL_GIT_COMMIT_REF": "branch"})
    await other.send(stepwell.Event(name="a"))
    other.set_env_vars({"INNGEST_ENV": ""})
    await other.send(stepwell.Event(name="a"))
    told = network.said("x-inngest-env")
    assert told == ["for-this", "for-this", "mine", "named", "branch"]


async def test_e_191_every_request_names_the_environment() -> None:
    network = Network()
    await talk(network, {"INNGEST_ENV": "feature/x"})
    paths = [url.removeprefix("http://127.0.0.1:8288") for url, _ in network.seen]
    event = "/e/NO_EVENT_KEY_SET"
    assert paths == [event, event, "/v1/signals", "/fn/register", "/v0/connect/start"]
    assert network.said("x-inngest-env") == ["feature/x"] * 5


async def test_e_192_without_one_there_is_no_header() -> None:
    network = Network()
    await talk(network, {})
    assert len(network.seen) == 5
    assert network.said("x-inngest-env") == [None] * 5


async def test_e_193_every_request_names_the_platform() -> None:
    network = Network()
    await talk(network, {"RENDER": "true"})
    assert network.said("x-inngest-platform") == ["render"] * 5
    await talk(elsewhere := Network(), {})
    assert elsewhere.said("x-inngest-platform") == [None] * 5
