"""Many runs are told to stop at once. What is decided here is that they are to.

Each run is then ended by a decision of its own, so that no decision grows with their number.
"""

from stepwell.expr.dialect import ExpressionError, compile_expression
from stepwell.expr.verdict import never_true
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.message.input import (
    CancellationAsked,
    CancellationDropped,
    CancellationEnded,
    Done,
    Verdict,
)


def ask(draft: Draft, given: CancellationAsked) -> Done:
    """Remember that these runs are to end."""
    asked = given.cancellation
    if asked.condition:
        try:
            program = compile_expression(asked.condition)
        except ExpressionError as error:
            return Done(Verdict.REFUSED, asked.id, str(error))
        why = never_true(program, {"async": None, "vars": None})
        if why is not None:
            return Done(Verdict.REFUSED, asked.id, f"{asked.condition!r} {why}")
    draft.add(fact.CancellationStored(asked))
    draft.announce(Topic.CANCELLATION, asked.id)
    return Done(Verdict.APPLIED, asked.id)


def ended(draft: Draft, given: CancellationEnded) -> Done:
    """All of them were told."""
    draft.add(fact.CancellationDone(given.id, draft.now.ms))
    return Done(Verdict.APPLIED, given.id)


def drop(draft: Draft, given: CancellationDropped) -> Done:
    """Forget it; runs it has not come to go on."""
    draft.add(fact.CancellationForgotten(given.id))
    return Done(Verdict.APPLIED, given.id)
