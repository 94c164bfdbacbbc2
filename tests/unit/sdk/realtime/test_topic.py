"""Topics have names that can be, blanks that are filled in, and types that their messages fit."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from stepwell import Channel, ConfigurationError, Error, Topic
from stepwell.sdk.realtime.publishing import publication_of
from stepwell.wire.realtime import MESSAGE_BYTES_MAX, TopicPlace


@dataclass
class Status:
    done: int
    at: datetime


AT = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = Channel("order:{order_id}")


def test_blanks_are_filled_in() -> None:
    topic = ORDER.topic("status", Status)
    assert topic.at(order_id=42).place == TopicPlace("order:42", "status")
    assert ORDER.at(order_id="a").topic("status").place == TopicPlace("order:a", "status")
    assert repr(topic) == "<Topic status of order:{order_id}>"
    with pytest.raises(ConfigurationError, match="has blanks: fill them in"):
        _ = topic.place
    with pytest.raises(ConfigurationError, match="these blanks: order_id; order_id is missing"):
        topic.at()
    with pytest.raises(ConfigurationError, match="order_id; order is not one of them"):
        topic.at(order_id=1, order=2)


@pytest.mark.parametrize(
    ("channel", "name", "told"),
    [("", "t", "channel = ''"), ("c", "", "name = ''"), ("c" * 257, "t", "channel has 257")],
)
def test_names_that_cannot_be(channel: str, name: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Topic(channel, name)


def test_data_travels_by_its_type() -> None:
    topic = Topic("c", "t", Status)
    found = publication_of(topic, Status(1, AT), "01J")
    assert bytes(found.data) == b'{"at":"2026-01-01T00:00:00Z","done":1}'
    assert (found.place, found.run_id) == (TopicPlace("c", "t"), "01J")
    assert bytes(publication_of(Topic("c", "t"), {"any": [AT]}).data).startswith(b'{"any":["2026')


@pytest.mark.parametrize(
    ("topic", "data", "error", "told"),
    [
        ("status", 1, ConfigurationError, "topic = 'status': give a Topic"),
        (Topic("c", "t", int), "one", Error, 'topic "t" of channel "c": data cannot'),
        (Topic("c", "t"), object(), Error, "object cannot be written"),
        (Topic("c", "t"), "x" * MESSAGE_BYTES_MAX, Error, "has 524290 bytes, at most 524288"),
    ],
)
def test_what_cannot_be_published(
    topic: Any, data: object, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        publication_of(topic, data)
