"""Keys are made and revoked, and what is changed by hand is written down. What is decided here is
that it is so; who may ask for it is the door's business."""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.input import (
    ChangeAsked,
    ChangeRefused,
    Done,
    KeyCreated,
    KeyRevoked,
    Verdict,
)


def create(draft: Draft, given: KeyCreated) -> Done:
    """There is one more key."""
    draft.add(fact.KeyStored(given.key))
    return Done(Verdict.APPLIED, given.key.id)


def revoke(draft: Draft, given: KeyRevoked) -> Done:
    """It opens nothing from now on."""
    draft.add(fact.KeyEnded(given.id, draft.now.ms))
    return Done(Verdict.APPLIED, given.id)


def write_down(draft: Draft, given: ChangeAsked) -> Done:
    """Somebody is about to have something changed."""
    draft.add(fact.ChangeWritten(given.entry))
    return Done(Verdict.APPLIED, given.entry.id)


def refused(draft: Draft, given: ChangeRefused) -> Done:
    """Nothing came of it."""
    draft.add(fact.ChangeMarked(given.id, given.status))
    return Done(Verdict.APPLIED, given.id)
