"""Seconds of precedence for a first call, within its lane.

Bounded, so that nothing waits more than the bound longer than it would in the order of arrival.
"""

from math import isnan

from stepwell.expr.dialect import EvaluationError, Program
from stepwell.server.flow.key import Evaluate

SECONDS_MAX = 600


def seconds(program: Program, evaluate: Evaluate) -> int:
    """What the expression gives, toward zero and within the bound; anything but a number is 0."""
    try:
        value = evaluate(program)
    except EvaluationError:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    if isnan(value):
        return 0
    return int(min(max(value, -SECONDS_MAX), SECONDS_MAX))
