"""Events that are sent when a transaction commits, and never when it is rolled back.

Between the commit and the sending lies an instant in which a process may die.
"""

import time
from collections.abc import Iterable

from django.db import transaction

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.send.outgoing import Sendable, collect, encode
from stepwell.sdk.send.sending import new_seed


def send_on_commit(
    client: Inngest,
    events: Sendable | Iterable[Sendable],
    *,
    using: str | None = None,
    robust: bool = False,
) -> None:
    """Send events once the transaction around this call is committed; outside of one, now.

    Args:
        client: Who sends.
        events: An Event, a mapping with an event's fields, or several of them. They are judged now.
        using: Alias of the database, by default the default one.
        robust: If sending fails, log it and let other callbacks of the transaction run.

    Raises EventValidationError now if an event is malformed, and SendEventsError out of the commit
    if the server refuses or stays away, unless `robust`.
    """
    now_ms = time.time_ns() // 1_000_000
    collected = collect(events, client.schemas)
    encode(collected, now_ms)
    seed = new_seed(now_ms)

    def send() -> None:
        client.send_sync(collected, seed=seed)

    transaction.on_commit(send, using=using, robust=robust)
