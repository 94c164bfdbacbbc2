"""Durable endpoints of the official JavaScript SDK run at our server unchanged.

Its client reads streams of ours.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.interop.harness import (
    JS,
    ROOT,
    Server,
    answers,
    free_port,
    missing,
    process,
    running_server,
    until,
)

pytestmark = [pytest.mark.interop, pytest.mark.slow]


@dataclass
class Site:
    url: str
    server: Server
    folder: Path

    def log(self, word: str) -> list[str]:
        noted = httpx.get(f"{self.url}/log", timeout=30).json()
        return [one for one in noted if one.startswith(word)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    why = missing({"SDK": "inngest4"})
    if why is not None:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("endpoints")
    with ExitStack() as stack:
        server = stack.enter_context(running_server(folder))
        port = free_port()
        env = {"PORT": str(port), "INNGEST_DEV": server.url, "APP_ID": "js-endpoints"}
        stack.enter_context(process(["node", "endpoint.mjs"], env, folder / "app.log", JS))
        url = f"http://127.0.0.1:{port}"
        until("the endpoints", lambda: answers(f"{url}/log"))
        yield Site(url, server, folder)


def asked(site: Site, path: str) -> httpx.Response:
    return httpx.get(site.url + path, timeout=60)


def test_steps_run_while_the_caller_waits(site: Site) -> None:
    answer = asked(site, "/quick")
    assert answer.status_code == 200
    assert answer.json() == [{"what": "quick one"}, {"what": "quick two"}]
    assert site.log("quick") == ["quick one", "quick two"]


def test_who_must_wait_is_sent_to_where_the_answer_will_be(site: Site) -> None:
    answer = asked(site, "/slow?name=a%20b")
    assert answer.status_code == 302
    place = answer.headers["location"]
    assert place.startswith(f"{site.server.url}/v1/http/runs/")
    found = httpx.get(place, timeout=60)
    assert found.headers["content-type"] == "application/json"
    assert found.json() == {
        "before": {"what": "slow before a b"},
        "after": {"what": "slow after a b"},
        "name": "a b",
    }
    assert site.log("slow") == ["slow before a b", "slow after a b"]


def test_a_step_that_fails_is_tried_again_in_the_background(site: Site) -> None:
    answer = asked(site, "/flaky")
    assert answer.status_code == 302
    found = httpx.get(answer.headers["location"], timeout=60)
    assert found.json() == {"found": {"what": "flaky 2"}}


def test_a_stream_goes_on_elsewhere(site: Site) -> None:
    log = site.folder / "client.log"
    with process(["node", "endpoint-client.mjs"], {"URL": f"{site.url}/stream"}, log, JS) as child:
        assert child.wait(60) == 0
    told = json.loads(log.read_text().splitlines()[-1])
    assert told["status"] == 200
    assert told["body"] == {"streamed": True}
    assert told["pushed"] == ["first", "first", "second"]
    assert site.log("stream") == ["stream one"]


def test_the_official_client_reads_the_stream_of_a_python_endpoint(site: Site) -> None:
    port, log = free_port(), site.folder / "python-client.log"
    env = {"PORT": str(port), "INNGEST_DEV": site.server.url}
    command = [sys.executable, "-m", "tests.interop.apps.streaming_app"]
    url = f"http://127.0.0.1:{port}"
    with process(command, env, site.folder / "python.log", ROOT):
        until("the endpoint", lambda: answers(url))
        with process(["node", "endpoint-client.mjs"], {"URL": f"{url}/told"}, log, JS) as child:
            assert child.wait(60) == 0
    told = json.loads(log.read_text().splitlines()[-1])
    assert told == {"pushed": ["first", "second"], "status": 200, "body": {"streamed": True}}
