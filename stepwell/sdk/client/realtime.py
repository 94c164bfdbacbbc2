"""`client.realtime`: messages to subscribers, their tokens, and subscriptions of one's own."""

from collections.abc import Callable
from typing import Any, TypedDict, TypeVar, cast

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.realtime.over_http import HttpRealtime
from stepwell.sdk.realtime.port import Publication, RealtimePort
from stepwell.sdk.realtime.publishing import publication_of
from stepwell.sdk.realtime.subscription import Subscription, SubscriptionSync
from stepwell.sdk.realtime.topic import Topic
from stepwell.sdk.step.suspension import current_run_id
from stepwell.wire.realtime import TOPICS_MAX, TopicPlace

T = TypeVar("T")


class SubscriptionToken(TypedDict):
    """What a page needs to subscribe: the JavaScript SDK's `subscribe` and `useRealtime` take it as
    it is. It is good for a minute."""

    channel: str
    topics: list[str]
    key: str
    apiBaseUrl: str


class Realtime:
    """Messages to whoever subscribes to a topic now. Made by the client: `client.realtime`."""

    def __init__(
        self,
        http: HttpRealtime,
        engine: Callable[[], RealtimePort | None],
        api_origin: Callable[[], str],
        log: Callable[[], Any],
    ) -> None:
        self._http = http
        self._engine = engine
        self._api_origin = api_origin
        self._log = log

    def _port(self) -> RealtimePort:
        engine = self._engine()
        return self._http if engine is None else engine

    async def publish(self, topic: Topic[T], data: T) -> None:
        """Tell data to the subscribers of a topic, once and now; with none there it is gone.

        In a handler it is told each time the handler passes by: `ctx.step.realtime.publish` tells
        it once. Raises ConfigurationError for what is no topic, Error for data that does not fit it
        or has more than 512 KiB, and if the server refuses; NetworkError if nobody answers.
        """
        await self._port().publish(publication_of(topic, data, current_run_id()))

    async def tell(self, publication: Publication) -> None:
        """Tell what was made ready elsewhere."""
        await self._port().publish(publication)

    def tell_sync(self, publication: Publication) -> None:
        """The same for blocking code."""
        self._port().publish_sync(publication)

    def publish_sync(self, topic: Topic[T], data: T) -> None:
        """The same as `publish`, for blocking code."""
        self._port().publish_sync(publication_of(topic, data, current_run_id()))

    async def token(self, *topics: Topic[Any]) -> SubscriptionToken:
        """A token with which somebody may subscribe to topics of one channel: hand it to a page.

        Raises ConfigurationError for topics of several channels, and where the engine is in this
        process, which pages cannot reach; Error if the server refuses.
        """
        places = _places(topics)
        channel = _only_channel(places)
        return self._told(channel, places, await self._http.token(places))

    def token_sync(self, *topics: Topic[Any]) -> SubscriptionToken:
        """The same as `token`, for blocking code."""
        places = _places(topics)
        channel = _only_channel(places)
        return self._told(channel, places, self._http.token_sync(places))

    def _told(self, channel: str, places: list[TopicPlace], key: str) -> SubscriptionToken:
        return {
            "channel": channel,
            "topics": [place.topic for place in places],
            "key": key,
            "apiBaseUrl": self._api_origin(),
        }

    def subscribe(
        self, *topics: Topic[T], since: str = "", on_lost: Callable[[], object] | None = None
    ) -> Subscription[T]:
        """Hear what is published to topics: `async with client.realtime.subscribe(status) as
        messages:`, and then `async for message in messages:`.

        It connects again by itself. What was published meanwhile comes then, up to a minute later.

        Args:
            topics: What to hear of, at most 100, of any channels.
            since: Begin after the message with this id.
            on_lost: Called where messages may be missing: read anew what they were about.

        Raises ConfigurationError for what is no topic.
        """
        _places(topics)
        return Subscription(self._port, topics, since, on_lost, self._log())

    def subscribe_sync(
        self, *topics: Topic[T], since: str = "", on_lost: Callable[[], object] | None = None
    ) -> SubscriptionSync[T]:
        """The same for blocking code: `with … as messages:`, and `for message in messages:`."""
        return SubscriptionSync(self.subscribe(*topics, since=since, on_lost=on_lost))


def _places(topics: tuple[object, ...]) -> list[TopicPlace]:
    if not topics or len(topics) > TOPICS_MAX:
        raise ConfigurationError(f"{len(topics)} topics: name between 1 and {TOPICS_MAX}")
    for place, topic in enumerate(topics):
        if not isinstance(topic, Topic):
            raise ConfigurationError(
                f'topics[{place}] = {topic!r}: give a Topic, as in Topic("order:42", "status")'
            )
    return [cast("Topic[object]", topic).place for topic in topics]


def _only_channel(places: list[TopicPlace]) -> str:
    channels = {place.channel for place in places}
    if len(channels) > 1:
        raise ConfigurationError(
            f"the topics are of {len(channels)} channels: a token for a page is for one"
        )
    return places[0].channel
