"""The official JavaScript SDK publishes and subscribes at our server, and ours hears the same."""

import json
from pathlib import Path
from typing import Any

import pytest

import stepwell
from tests.interop.harness import JS, free_port, missing, process, running_server

pytestmark = [pytest.mark.interop, pytest.mark.slow]

TOLD: list[tuple[str, str, Any, bool]] = [
    ("data", "status", {"from": "client"}, False),
    ("data", "status", {"from": "step"}, True),
    ("datastream-start", "text", "", False),
    ("chunk", "text", "as it comes", False),
    ("datastream-end", "text", "", False),
]


def _told(kind: str, topic: str, data: object, run: bool) -> tuple[str, str, Any, bool]:
    return kind, topic, "" if kind.startswith("datastream") else data, run


def test_both_sdks_hear_the_same(tmp_path: Path) -> None:
    why = missing({"SDK": "inngest4"})
    if why is not None:
        pytest.skip(why)
    with running_server(tmp_path) as server:
        client = stepwell.Inngest(app_id="listener", is_dev=True, base_url=server.url)
        topics = [stepwell.Topic("order:js", name) for name in ("status", "text")]
        env = {"APP_ID": "js-realtime", "PORT": str(free_port()), "INNGEST_DEV": server.url}
        log = tmp_path / "realtime.log"
        with (
            client.realtime.subscribe_sync(*topics) as messages,
            process(["node", "--experimental-websocket", "realtime.mjs"], env, log, JS) as child,
        ):
            ours = [next(messages) for _ in TOLD]
            assert child.wait(60) == 0
        lines = [json.loads(line) for line in log.read_text().splitlines() if line[:1] == "{"]
    theirs = [_told(one["kind"], one["topic"], one.get("data"), one["run"]) for one in lines]
    assert [_told(m.kind, m.topic, m.data, m.run_id is not None) for m in ours] == TOLD
    assert theirs == TOLD[:2]
