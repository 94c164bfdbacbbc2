"""Messages to the subscribers of channels, as they travel: the only place for their shape and their
bounds.

A *channel* is a name, such as `order:42`; a *topic* is one kind of message in it. A subscriber has
topics of channels. Ours: each message has an `id`, the place up to which its subscriber has heard.
"""

from typing import Final

import msgspec

from stepwell.wire.outside import TooDeep, check_depth

CONNECT_PATH: Final = "/v1/realtime/connect"
SSE_PATH: Final = "/v1/realtime/sse"
PUBLISH_PATH: Final = "/v1/realtime/publish"
TEE_PATH: Final = "/v1/realtime/publish/tee"
TOKEN_PATH: Final = "/v1/realtime/token"  # noqa: S105 - where tokens are asked for

MESSAGE_BYTES_MAX: Final = 512 * 1024
"""What is published at once."""
NAME_CHARS_MAX: Final = 256
"""The name of a channel or a topic."""
TOPICS_MAX: Final = 100
"""Topics of one subscriber, and those that one message is published to."""
TOKEN_CHARS_MAX: Final = 12_000
"""A token travels in a URL, which is bounded."""
CHUNK_CHARS: Final = 1_024
CHUNKS_MAX: Final = 1_000
"""A stream is published in pieces, and ends after so many."""

STREAM_TOPIC: Final = "$stream"
"""Where the stream of a durable endpoint is: its channel is the run."""

DATA: Final = "data"
CHUNK: Final = "chunk"
STREAM_START: Final = "datastream-start"
STREAM_END: Final = "datastream-end"
PING: Final = "ping"
CLOSING: Final = "closing"
LOST: Final = "lost"
"""Ours: some of what was published while the subscriber was away is not known any more."""


class TopicPlace(msgspec.Struct, frozen=True):
    """A topic of a channel."""

    channel: str
    topic: str


class TopicWish(msgspec.Struct, frozen=True):
    """A topic that a token is asked for."""

    channel: str
    name: str
    kind: str = "run"


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message as it reaches a subscriber. `data` is JSON; `created_at`, RFC 3339."""

    kind: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    channel: str = ""
    topic: str = ""
    id: str = ""
    created_at: str = ""
    env_id: str = ""
    run_id: str = ""
    stream_id: str = ""
    metadata: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def problem_of_name(what: str, name: object) -> str:
    """What is wrong with the name of a channel or a topic; nothing if it can be used."""
    if not isinstance(name, str) or not name:
        return f"{what} = {name!r}: give a name"
    if len(name) > NAME_CHARS_MAX:
        return f"{what} has {len(name)} characters, at most {NAME_CHARS_MAX} are allowed"
    return ""


def published(body: bytes) -> msgspec.Raw:
    """What is published, on one line: JSON stays JSON, anything else is text. Raises ValueError for
    what is neither, and for JSON that is nested too deep."""
    text = body.decode()
    try:
        check_depth(body)
        return msgspec.Raw(msgspec.json.format(body, indent=-1))
    except TooDeep as error:
        raise ValueError(str(error)) from None
    except msgspec.DecodeError:
        return msgspec.Raw(msgspec.json.encode(text))
