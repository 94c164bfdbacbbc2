"""What an event's `meta` keeps beside sessions: the trace context of its sender (D-60)."""

import json
from typing import Any

import msgspec
import pytest

from stepwell.wire.event_session import normal_meta

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def kept(meta: Any) -> Any:
    found = normal_meta(msgspec.Raw(json.dumps(meta).encode()))
    return None if found is None else json.loads(found)


def test_d60_the_trace_context_of_a_sender_is_kept() -> None:
    assert kept({"traceparent": PARENT, "tracestate": "a=b", "other": 1}) == {
        "traceparent": PARENT,
        "tracestate": "a=b",
    }
    both = {"sessions": {"user": "1"}, "traceparent": PARENT}
    assert kept(both) == both


@pytest.mark.parametrize("value", [None, "", 1, {}, "x" * 513])
def test_d60_what_cannot_be_one_is_left_out(value: Any) -> None:
    assert kept({"traceparent": value}) is None
