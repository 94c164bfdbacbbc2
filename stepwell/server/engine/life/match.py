"""How a wait is bound to the run that waits: the run's own event is put into the expression, and
one equality is pulled out to look the wait up by."""

from collections.abc import Callable, Mapping

import msgspec

from stepwell.expr.dialect import Program
from stepwell.expr.equality import first_equality
from stepwell.server.engine.row.run import Wait


def bind(
    wait: Wait, source: str, event: Mapping[str, object], compiled: Callable[[str], Program]
) -> Wait:
    """The wait with its condition over `async` alone, and the equality that indexes it, if any.

    The condition must compile; whoever accepts it from a peer has checked that. Raises
    ExpressionError where what the event puts into it makes it too long.
    """
    condition = compiled(source).interpolate(event)
    compiled(condition)
    path, value = first_equality(condition) or ("", "")
    return msgspec.structs.replace(wait, condition=condition, path=path, value=value)
