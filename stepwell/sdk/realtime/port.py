"""What realtime needs of a server: the port, and what goes through it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from stepwell.wire.realtime import Message, TopicPlace


class Publication(msgspec.Struct, frozen=True):
    """What is published: JSON, to one topic; `run_id` is the run that says it, if one does."""

    place: TopicPlace
    data: msgspec.Raw
    run_id: str = ""


class SubscriptionEnded(Exception):
    """There is nothing to connect to again: the engine in this process was stopped."""


class Listening(Protocol):
    """One connection that messages come by."""

    async def next(self) -> Message | None:
        """The next message; None once the connection is over. Raises SubscriptionEnded. Loses
        nothing when it is cancelled."""
        ...

    async def close(self) -> None:
        """Hear no more."""
        ...


class RealtimePort(Protocol):
    """Where messages go, and where they come from."""

    async def publish(self, publication: Publication) -> None:
        """Tell whoever subscribes. Raises Error if it is refused."""
        ...

    def publish_sync(self, publication: Publication) -> None:
        """The same for blocking code."""
        ...

    async def listen(self, topics: Sequence[TopicPlace], since: str) -> Listening:
        """Hear of topics from now on, or from what came after a message with this id.

        Raises Error if it is refused, NetworkError if nobody answers.
        """
        ...
