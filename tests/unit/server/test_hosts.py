"""By which names a server may be asked, over HTTP and over sockets."""

import aiohttp
import msgspec
import pytest

from stepwell.server.config import Command, ServerConfig
from stepwell.server.hosts import Hosts, is_foreign_page, name_of
from stepwell.server.serving import Server

DEV = ServerConfig()
OPEN = ServerConfig(host="0.0.0.0")
FREE = ServerConfig(port=0, connect_gateway_port=0)
KEYS = ServerConfig(command=Command.START, signing_keys=("abcd",), event_keys=("k",))
OWN = ("localhost", "localhost:8288", "LOCALHOST", "127.0.0.1:1", "[::1]:8288", "a.localhost")
FOREIGN = (
    "evil.example",
    "evil.example:8288",
    "localhost.evil.example",
    "",
    "127.0.0.1.example",
)


def known(config: ServerConfig, host: str) -> bool:
    hosts = Hosts.of(config)
    assert hosts is not None
    return hosts.knows(host)


@pytest.mark.parametrize("host", OWN)
def test_its_own_names_are_known(host: str) -> None:
    assert known(DEV, host) and known(OPEN, host)


@pytest.mark.parametrize("host", FOREIGN)
def test_other_names_are_not(host: str) -> None:
    assert not known(DEV, host) and not known(OPEN, host)


def test_what_a_server_is_called_depends_on_where_it_listens() -> None:
    for host in ("10.0.0.7:8288", "[fd00::1]:8288", "stepwell:8288"):
        assert known(OPEN, host) and not known(DEV, host)
    assert known(ServerConfig(host="10.0.0.7"), "10.0.0.7:8288")
    assert not known(ServerConfig(host="10.0.0.7"), "10.0.0.8:8288")
    assert known(DEV, "host.docker.internal:8288")


def test_further_names_are_a_setting() -> None:
    named = ServerConfig(allowed_hosts=("Stepwell.example.com", ".shop.example"))
    for host in ("stepwell.example.com", "stepwell.example.com.", "a.b.shop.example:1"):
        assert known(named, host)
    for host in ("example.com", "shop.example", "evilshop.example", "evil.example"):
        assert not known(named, host)
    assert known(ServerConfig(allowed_hosts=("*",)), "evil.example")


def test_with_keys_any_name_will_do_unless_some_are_given() -> None:
    assert Hosts.of(KEYS) is None
    assert not known(msgspec.structs.replace(KEYS, allowed_hosts=("a.example",)), "b.example")


def test_names_in_host_headers() -> None:
    assert name_of("[::1]:80") == "::1"
    assert name_of(" A.B.:80 ") == "a.b"
    assert name_of("localhost") == "localhost"


def test_pages_of_elsewhere() -> None:
    assert is_foreign_page({"origin": "http://evil.example", "host": "localhost:8288"})
    assert is_foreign_page({"origin": "null", "host": "localhost:8288"})
    assert is_foreign_page({"origin": "http://[", "host": "localhost:8288"})
    assert not is_foreign_page({"origin": "http://localhost:8288", "host": "localhost:8288"})
    assert not is_foreign_page({"host": "localhost:8288"})


PATHS = ("/health", "/v1/runs", "/e/k", "/fn/register", "/v0/connect/start", "/nothing", "/dev")


async def test_requests_for_other_names_are_refused_before_anything_else() -> None:
    """A page whose host name was given this machine's address reads no runs, registers no app."""
    async with Server(FREE) as server, aiohttp.ClientSession() as http:
        for path in PATHS:
            for method in ("GET", "POST", "OPTIONS", "DELETE"):
                evil = {"host": f"evil.example:{server.port}"}
                async with http.request(method, f"{server.url}{path}", headers=evil) as answer:
                    assert answer.status == 421
                    told = await answer.json()
                    assert told["status"] == 421
                    assert "--allowed-host evil.example" in told["error"]
        async with http.get(f"{server.url}/health", headers={"host": "localhost"}) as answer:
            assert answer.status == 200
        async with http.get(f"http://127.0.0.1:{server.gateway_port}/ready") as answer:
            assert answer.status == 200
        url = f"http://127.0.0.1:{server.gateway_port}/ready"
        async with http.get(url, headers={"host": "evil.example"}) as answer:
            assert answer.status == 421


@pytest.mark.parametrize("port", ["own", "main"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, (421, 403)),
        ({"origin": "http://evil.example"}, (403,)),
        ({"host": "evil.example", "origin": "http://evil.example"}, (421, 403)),
    ],
)
async def test_sockets_of_pages_are_refused(
    port: str, headers: dict[str, str], status: tuple[int, ...]
) -> None:
    async with Server(FREE) as server, aiohttp.ClientSession() as http:
        number = server.gateway_port if port == "own" else server.port
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"ws://127.0.0.1:{number}/v0/connect", headers=headers)
        assert refused.value.status in status
        async with http.ws_connect(f"ws://127.0.0.1:{number}/v0/connect") as socket:
            assert (await socket.receive()).data == b""


async def test_two_host_headers_must_both_be_known() -> None:
    async with Server(FREE) as server:
        from tests.unit.server.front.test_http_protocol import told

        asked = b"GET /health HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n"
        assert (await told(server, asked + b"connection: close\r\n\r\n")).startswith(
            (b"HTTP/1.1 421", b"HTTP/1.1 400")
        )
