"""A signal reaches the one run that waits for its name."""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.resume import resume
from stepwell.server.engine.message.input import Done, SignalSent, Verdict


def deliver(draft: Draft, given: SignalSent) -> Done:
    """Resume the waiter. A signal nobody waits for is not kept."""
    wait = draft.signal(given.name)
    run = None if wait is None else draft.run(wait.run_id)
    if wait is None or run is None or run.ended:
        return Done(Verdict.GONE, reason="No signal found")
    name = msgspec.json.encode(given.name)
    memo = b'{"data":{"data":' + given.data + b',"signal":' + name + b"}}"
    resume(draft, run, wait, memo)
    return Done(Verdict.APPLIED, run.id)
