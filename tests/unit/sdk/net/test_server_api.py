"""Requests to the server's API: whom they go to, with which key, and when with the other one."""

from typing import Any

import pytest

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.net.server_api import ApiRequest, ServerApi
from stepwell.sdk.settings import Options, resolve
from stepwell.wire.signature import bearer

PRIMARY, FALLBACK = "signkey-test-12345678", "signkey-test-87654321"
ASKED = ApiRequest(method="GET", path="/v0/x?y=1", headers={"x-a": "b"}, timeout_seconds=3)


class Http:
    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.seen: list[tuple[str, dict[str, str], float]] = []

    def request_sync(self, method: str, url: str, **given: Any) -> HttpReply:
        assert (method, given["body"]) == ("GET", None)
        self.seen.append((url, given["headers"], given["timeout_seconds"]))
        return HttpReply(self.statuses.pop(0), {}, b"")

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        return self.request_sync(method, url, **given)


def api(http: Http, **options: Any) -> ServerApi:
    settings = resolve(Options(is_dev=True, base_url="http://s.test/", env="e", **options), {})
    return ServerApi(lambda: http, settings)


async def test_one_request_in_both_colours() -> None:
    http = Http(200, 500)
    asking = api(http, signing_key=PRIMARY)
    assert (await asking.ask(ASKED)).status == 200
    assert asking.ask_sync(ASKED).status == 500
    assert http.seen[0] == http.seen[1]
    url, headers, timeout = http.seen[0]
    assert (url, timeout) == ("http://s.test/v0/x?y=1", 3)
    assert headers["authorization"] == bearer(PRIMARY)
    assert (headers["x-a"], headers["x-inngest-env"]) == ("b", "e")


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_gives_way_to_the_fallback(status: int) -> None:
    http = Http(status, 200, status, status)
    asking = api(http, signing_key=PRIMARY, signing_key_fallback=FALLBACK)
    assert (await asking.ask(ASKED)).status == 200
    assert asking.ask_sync(ASKED).status == status
    keys = [headers["authorization"] for _, headers, _ in http.seen]
    assert keys == [bearer(PRIMARY), bearer(FALLBACK)] * 2


def test_without_a_key_nothing_is_claimed() -> None:
    http = Http(200)
    api(http).ask_sync(ASKED)
    assert "authorization" not in http.seen[0][1]


def test_a_key_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match=r"signing_key: .*hexadecimal"):
        api(Http(), signing_key="signkey-test-xyz")
