"""Development mode: how it is chosen, what it changes, and the probe of mode "auto" (A.9)."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

import stepwell
from stepwell.sdk.net import probing
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.response import ServeResponse
from stepwell.wire import limit

DEV = "http://127.0.0.1:8288"
NO_SERVER = ConnectionRefusedError("nobody listens")
DEV_SERVER = (200, {}, b'{"version":"1.2.3","functions":[]}')


class Network:
    """An `http_client`: answers the probe with `dev`, everything else well, and remembers."""

    def __init__(self, dev: Any = DEV_SERVER) -> None:
        self.dev = dev
        self.seen: list[str] = []
        self.down = False

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        self.seen.append(f"{method} {url}")
        if url.endswith("/dev"):
            if isinstance(self.dev, Exception):
                raise self.dev
            return tuple[int, Mapping[str, str], bytes](self.dev)
        if self.down:
            raise NO_SERVER
        return (200, {}, b'{"ids":["1"],"status":200,"ok":true,"modified":true}')


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither settings nor platforms of the machine that runs the tests."""
    monkeypatch.setattr("os.environ", {})
    monkeypatch.setattr(limit, "SEND_BACKOFF_MS", 0)


def client(network: Network, **options: Any) -> stepwell.Inngest:
    return stepwell.Inngest(app_id="shop", http_client=network, **options)


async def ask(client: stepwell.Inngest, method: str, blocking: bool = False) -> Any:
    """What the client's endpoint answers."""
    served = ServeHandler(client, [], framework="x")
    request = ServeRequest(method=method, url="http://h.test/api/inngest", headers={}, query={})
    answer = served.handle_sync(request) if blocking else await served.handle(request)
    assert isinstance(answer, ServeResponse)
    return json.loads(answer.body)


async def send(client: stepwell.Inngest, blocking: bool) -> list[str]:
    event = stepwell.Event(name="a")
    return client.send_sync(event) if blocking else await client.send(event)


@pytest.mark.parametrize("options", [{"is_dev": True}, {"is_production": False}, {"mode": "dev"}])
async def test_e_180_dev_needs_no_keys_and_goes_to_the_local_server(
    options: dict[str, Any],
) -> None:
    network = Network()
    dev = client(network, **options)
    await dev.send(stepwell.Event(name="a"))
    assert network.seen == [f"POST {DEV}/e/NO_EVENT_KEY_SET"]
    assert (await ask(dev, "GET"))["mode"] == "dev"  # unsigned, and answered


@pytest.mark.parametrize("blocking", [False, True])
async def test_e_184_a_guessed_server_is_asked_for_once(blocking: bool) -> None:
    network = Network()
    auto = client(network, mode="auto")
    assert await send(auto, blocking) == ["1"]
    assert await send(auto, not blocking) == ["1"]
    event = f"POST {DEV}/e/NO_EVENT_KEY_SET"
    assert network.seen == [f"GET {DEV}/dev", event, event]


@pytest.mark.parametrize("blocking", [False, True])
async def test_e_184_a_server_that_was_found_is_not_remembered_for_ever(
    blocking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network()
    auto = client(network, mode="auto", send_retries=0)
    await send(auto, blocking)
    network.down = True  # it was stopped,
    with pytest.raises(stepwell.SendEventsError):
        await send(auto, blocking)
    network.down, network.dev = False, (200, {}, b"<html>")  # and its port is another program's
    network.seen.clear()
    with pytest.raises(stepwell.SendEventsError, match="no development server at"):
        await send(auto, blocking)
    assert network.seen == [f"GET {DEV}/dev"]
    network.dev = DEV_SERVER
    await send(auto, blocking)
    monkeypatch.setattr(probing, "REMEMBERED_SECONDS", 0)
    network.seen.clear()
    await send(auto, blocking)
    assert network.seen[0] == f"GET {DEV}/dev"


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize(
    "answer", [NO_SERVER, (404, {}, b"{}"), (200, {}, b"<html>"), (200, {}, b'{"ok":true}')]
)
async def test_e_184_without_one_nothing_is_sent_and_nothing_goes_to_the_cloud(
    blocking: bool, answer: Any
) -> None:
    network = Network(answer)
    auto = client(network, mode="auto", event_key="a-real-key", send_retries=1)
    with pytest.raises(stepwell.SendEventsError, match="no development server at") as caught:
        await send(auto, blocking)
    assert "`stepwell dev`" in str(caught.value)
    assert "INNGEST_DEV=0" in str(caught.value)
    assert set(network.seen) == {f"GET {DEV}/dev"}
    network.dev = DEV_SERVER  # it is started, and the next try finds it
    assert await send(auto, blocking) == ["1"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_e_184_syncs_and_introspection_ask_too(blocking: bool) -> None:
    network = Network()
    auto = client(network, mode="auto")
    assert (await ask(auto, "GET", blocking))["extra"]["is_dev_server_available"] is True
    assert (await ask(auto, "PUT", blocking))["modified"] is True
    assert network.seen[-1] == f"POST {DEV}/fn/register"
    assert "https" not in "".join(network.seen)
    gone = client(Network(NO_SERVER), mode="auto")
    assert (await ask(gone, "GET", blocking))["extra"]["is_dev_server_available"] is False
    assert "no development server" in (await ask(gone, "PUT", blocking))["message"]


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "auto", "base_url": "http://mine.test"},
        {"mode": "auto", "env_vars": {"INNGEST_DEV": "1"}},
        {"mode": "auto", "env_vars": {"NODE_ENV": "production"}, "event_key": "k"},
        {"mode": "dev"},
        {"is_production": True, "event_key": "k"},
    ],
)
async def test_e_184_what_somebody_said_is_not_probed(options: dict[str, Any]) -> None:
    network = Network(NO_SERVER)
    variables = options.pop("env_vars", {})
    told = client(network, **options)
    told.set_env_vars(variables)
    await told.send(stepwell.Event(name="a"))
    assert [seen.split()[0] for seen in network.seen] == ["POST"]


@pytest.mark.parametrize(
    ("options", "variables", "mode", "explicit"),
    [
        ({"mode": "auto"}, {}, "dev", False),
        ({"is_dev": True}, {}, "dev", True),
        ({}, {"INNGEST_DEV": "1"}, "dev", True),
    ],
)
async def test_e_185_introspection_tells_the_mode_and_who_chose_it(
    options: dict[str, Any], variables: dict[str, str], mode: str, explicit: bool
) -> None:
    told = client(Network(), **options)
    told.set_env_vars(variables)
    seen = await ask(told, "GET")
    assert (seen["mode"], "extra" not in seen) == (mode, explicit)
    assert explicit or seen["extra"]["is_mode_explicit"] is False


async def test_e_186_without_a_word_it_is_the_cloud() -> None:
    network = Network()
    with pytest.raises(stepwell.EventKeyUnspecifiedError, match="INNGEST_DEV=1"):
        await client(network).send(stepwell.Event(name="a"))
    with pytest.raises(stepwell.SigningKeyMissingError, match="INNGEST_SIGNING_KEY"):
        await ask(client(network), "GET")
    assert client(network).settings.mode_is_explicit is False
    assert network.seen == []
