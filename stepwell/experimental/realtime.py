"""Messages to subscribers of a channel, and the tokens they subscribe with, by the names of the
official SDK: `client.realtime` does the same, with types."""

from collections.abc import Mapping

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.realtime.topic import Topic


async def publish(client: Inngest, channel: str, topic: str, data: Mapping[str, object]) -> None:
    """Send data to everybody who subscribed to a topic of a channel.

    Raises Error if the data is no JSON or the server refuses it.
    """
    await client.realtime.publish(Topic(channel, topic), dict(data))


def publish_sync(client: Inngest, channel: str, topic: str, data: Mapping[str, object]) -> None:
    """The same as `publish`, for blocking code."""
    client.realtime.publish_sync(Topic(channel, topic), dict(data))


async def get_subscription_token(
    client: Inngest, channel: str, topics: list[str]
) -> Mapping[str, object]:
    """A token with which somebody may subscribe to these topics: `channel`, `topics` and `key`.

    Raises Error if the server refuses.
    """
    token = await client.realtime.token(*(Topic(channel, topic) for topic in topics))
    return {"channel": channel, "topics": topics, "key": token["key"]}


def get_subscription_token_sync(
    client: Inngest, channel: str, topics: list[str]
) -> Mapping[str, object]:
    """The same as `get_subscription_token`, for blocking code."""
    token = client.realtime.token_sync(*(Topic(channel, topic) for topic in topics))
    return {"channel": channel, "topics": topics, "key": token["key"]}
