"""What a node tells the others of its runs: each change that people see once, ends at once."""

import asyncio
from collections.abc import Callable
from unittest.mock import create_autospec

import pytest

from stepwell.server.engine.message.action import Action, Announce, Topic
from stepwell.server.ledger import Ledger
from stepwell.server.realtime.hub import Hub
from stepwell.server.runtime import cluster
from stepwell.server.runtime.cluster import Companions
from stepwell.server.runtime.dispatcher import Dispatcher
from stepwell.server.runtime.perform import Performer
from stepwell.server.runtime.pump import Pump
from stepwell.server.store.port import Hint


class Others:
    """A cluster that keeps what it is told."""

    secret = b""
    leads = False

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def listen(self, hear: Callable[[Hint], None]) -> None:
        """Nobody says anything."""

    def tell(self, topic: str, subject: str) -> None:
        self.told.append((topic, subject))

    def heard(self, hint: Hint) -> None:
        """Nothing to remember."""


def companions(others: Others) -> tuple[Companions, Performer]:
    performer = Performer()
    parts = (create_autospec(kind) for kind in (Ledger, Pump, Dispatcher))
    return Companions(others, *parts, performer, Hub(lambda: 0, "epoch")), performer  # type: ignore[arg-type]


CHANGES: list[Action] = [
    Announce(Topic.EVENT_STORED, "e"),
    *(Announce(Topic.RUN_STARTED, run) for run in "ab"),
    *(Announce(Topic.RUN_MOVED, run) for run in "aabb"),
]


async def test_all_that_happens_to_a_run_within_a_moment_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "TOLD_AFTER_S", 0.0)
    others = Others()
    _, performer = companions(others)
    performer.perform(CHANGES)
    performer.perform([Announce(Topic.RUN_ENDED, "a")])
    # Somebody may wait for its end.
    assert others.told == [("run.ended", "a")]
    while len(others.told) < 3:
        await asyncio.sleep(0)
    assert others.told[1:] == [("event.stored", "e"), ("run.moved", "b")]


async def test_what_was_not_told_yet_is_told_in_the_end() -> None:
    others = Others()
    them, performer = companions(others)
    performer.perform(CHANGES)
    await them.stop()
    assert others.told == [("event.stored", "e"), ("run.moved", "a"), ("run.moved", "b")]


async def test_what_changes_after_it_was_told_is_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "TOLD_AFTER_S", 0.0)
    others = Others()
    _, performer = companions(others)
    for count in (1, 2):
        performer.perform([Announce(Topic.RUN_MOVED, "a")])
        while len(others.told) < count:
            await asyncio.sleep(0)
