"""Messages to subscribers of a channel, and the tokens they subscribe with."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import Error
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.net.server_api import ApiRequest
from stepwell.sdk.value.codec import CodecError, encode_any
from stepwell.wire.outside import decode

SECONDS_MAX = 30.0


class _Token(msgspec.Struct):
    jwt: str


async def publish(client: Inngest, channel: str, topic: str, data: Mapping[str, object]) -> None:
    """Send data to everybody who subscribed to a topic of a channel.

    Raises Error if the data is no JSON or the server refuses it.
    """
    _published(await client.api.ask(_publication(channel, topic, data)))


def publish_sync(client: Inngest, channel: str, topic: str, data: Mapping[str, object]) -> None:
    """The same as `publish`, for blocking code."""
    _published(client.api.ask_sync(_publication(channel, topic, data)))


async def get_subscription_token(
    client: Inngest, channel: str, topics: list[str]
) -> Mapping[str, object]:
    """A token with which somebody may subscribe to these topics: `channel`, `topics` and `key`.

    Raises Error if the server refuses.
    """
    return _subscription(await client.api.ask(_wish(channel, topics)), channel, topics)


def get_subscription_token_sync(
    client: Inngest, channel: str, topics: list[str]
) -> Mapping[str, object]:
    """The same as `get_subscription_token`, for blocking code."""
    return _subscription(client.api.ask_sync(_wish(channel, topics)), channel, topics)


def _publication(channel: str, topic: str, data: Mapping[str, object]) -> ApiRequest:
    try:
        body = bytes(encode_any(dict(data)))
    except CodecError as error:
        raise Error(f"realtime: data cannot be written as JSON: {error}") from None
    query = urlencode({"channel": channel, "topic": topic})
    return ApiRequest(
        method="POST",
        path=f"/v1/realtime/publish?{query}",
        body=body,
        timeout_seconds=SECONDS_MAX,
    )


def _wish(channel: str, topics: list[str]) -> ApiRequest:
    wanted: list[dict[str, Any]] = [
        {"channel": channel, "name": topic, "kind": "run"} for topic in topics
    ]
    return ApiRequest(
        method="POST",
        path="/v1/realtime/token",
        body=json.dumps(wanted).encode(),
        timeout_seconds=SECONDS_MAX,
    )


def _published(reply: HttpReply) -> None:
    if reply.status >= 400:
        raise Error(f"publishing failed: HTTP {reply.status}: {_shown(reply)}")


def _subscription(reply: HttpReply, channel: str, topics: list[str]) -> Mapping[str, object]:
    try:
        token = decode(reply.body, msgspec.json.Decoder(_Token))
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = f"HTTP {reply.status}: {_shown(reply)}"
        raise Error(f"the server gave no subscription token: {told}") from None
    return {"channel": channel, "topics": topics, "key": token.jwt}


def _shown(reply: HttpReply) -> str:
    return reply.body[:300].decode(errors="replace")
