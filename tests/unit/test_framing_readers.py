"""What aiohttp hears of bytes that came, behind the readers of old answers."""

from typing import Any

import pytest
from aiohttp.client_proto import ResponseHandler

from stepwell.sdk.net import pooled_framing
from stepwell.server.drivers import old_framing


@pytest.mark.parametrize("module", [pooled_framing, old_framing], ids=lambda m: m.__name__)
def test_nothing_is_heard_too_where_reading_goes_on_after_a_pause(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp gives itself no bytes, to go on with what had come before it paused: the end of a
    large answer would be lost otherwise."""
    heard: list[bytes] = []
    monkeypatch.setattr(ResponseHandler, "__init__", lambda self, **given: None)
    monkeypatch.setattr(ResponseHandler, "data_received", lambda self, data: heard.append(data))
    reader = module._Reader()
    for data in (b"HTTP/1.", b"1 200 OK\r\n", b""):
        reader.data_received(data)
    assert heard == [b"HTTP/1.1 200 OK\r\n", b""]
