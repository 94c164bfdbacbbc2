"""A node among others on one database: what it tells them, what it hears, and whether it leads."""

import asyncio
import logging
from functools import partial

import msgspec

from stepwell.server.engine.message.action import Announce, Topic
from stepwell.server.ledger import Ledger
from stepwell.server.realtime.hub import Hub, Published
from stepwell.server.runtime.dispatcher import Dispatcher
from stepwell.server.runtime.perform import Performer
from stepwell.server.runtime.pump import Pump
from stepwell.server.store.port import Cluster, Hint

LOOK_S = 2.0
"""So often, in seconds, whoever leads looks for what others were asked to do and did not tell."""

PUBLISHED = "published"
PUBLISHED_CHARS_MAX = 6_000
"""A longer message to subscribers does not go to other servers; those there are told so."""

_DECODER = msgspec.json.Decoder(tuple[int, Published])
_TOLD = frozenset(
    {
        *(Topic.RUN_STARTED, Topic.RUN_MOVED, Topic.RUN_ENDED, Topic.RUN_CANCELLED),
        *(Topic.RUN_WROTE, Topic.EVENT_STORED, Topic.CANCELLATION, Topic.BULK),
    }
)
_TOPICS = {topic.value: topic for topic in _TOLD}
_FOR_EYES = {
    Topic.EVENT_STORED: Topic.EVENT_STORED,
    Topic.RUN_STARTED: Topic.RUN_MOVED,
    Topic.RUN_MOVED: Topic.RUN_MOVED,
}
"""What people see change, and as what it is told: all that happens to a run within a moment is one
change."""
TOLD_AFTER_S = 0.1

log = logging.getLogger("stepwell.cluster")


def alone() -> bool:
    """Whoever is alone leads."""
    return True


class Companions:
    """The other nodes, as one of them sees them."""

    def __init__(
        self,
        cluster: Cluster,
        ledger: Ledger,
        pump: Pump,
        dispatcher: Dispatcher,
        performer: Performer,
        hub: Hub,
    ) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self._pump = pump
        self._dispatcher = dispatcher
        self._performer = performer
        self._looking: asyncio.Task[None] | None = None
        self._hub = hub
        self._published = 0
        self._changed: dict[tuple[Topic, str], None] = {}
        self._telling: asyncio.TimerHandle | None = None
        performer.elsewhere = self._tell
        hub.elsewhere = self._publish

    def start(self) -> None:
        """Begin to hear and to tell."""
        loop = asyncio.get_running_loop()
        self._cluster.listen(partial(self._heard, loop))
        self._looking = loop.create_task(self._look())

    async def stop(self) -> None:
        """Do nothing more for the others."""
        if self._telling is not None:
            self._telling.cancel()
            self._tell_changes()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def _tell(self, announced: Announce) -> None:
        topic = _FOR_EYES.get(announced.topic)
        if topic is not None:
            self._changed[topic, announced.subject] = None
            if self._telling is None:
                loop = asyncio.get_running_loop()
                self._telling = loop.call_later(TOLD_AFTER_S, self._tell_changes)
        elif announced.topic in _TOLD:
            self._changed.pop((Topic.RUN_MOVED, announced.subject), None)
            self._cluster.tell(announced.topic.value, announced.subject)

    def _tell_changes(self) -> None:
        self._telling = None
        changed, self._changed = self._changed, {}
        for topic, subject in changed:
            self._cluster.tell(topic.value, subject)

    def _publish(self, published: Published) -> None:
        """Each message is another, though it says the same as the last one."""
        self._published += 1
        subject = msgspec.json.encode((self._published, published)).decode()
        if len(subject) > PUBLISHED_CHARS_MAX:
            empty = msgspec.structs.replace(published, body=None)
            subject = msgspec.json.encode((self._published, empty)).decode()
        self._cluster.tell(PUBLISHED, subject)

    def _heard(self, loop: asyncio.AbstractEventLoop, hint: Hint) -> None:
        """On the thread that hears."""
        try:
            loop.call_soon_threadsafe(self._take_in, hint)
        except RuntimeError:
            log.debug("a message came after the end")

    def _take_in(self, hint: Hint) -> None:
        self._ledger.between(partial(self._cluster.heard, hint))
        if hint.is_due or hint.freed:
            self._pump.ask()
        for topic, subject in hint.told:
            if topic == PUBLISHED:
                self._hub.hear(_DECODER.decode(subject)[1])
            elif topic in _TOPICS:
                self._announce(Announce(_TOPICS[topic], subject))

    def _announce(self, announced: Announce) -> None:
        if announced.topic is Topic.RUN_CANCELLED:
            # It is in the log of the process that cancelled it.
            self._dispatcher.cancel_run(announced)
        else:
            self._performer.hear(announced)

    async def _look(self) -> None:
        """What another node was asked to do is carried out by whoever leads, by now."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._cluster.leads:
                for topic in (Topic.CANCELLATION, Topic.BULK):
                    self._performer.hear(Announce(topic, ""))
