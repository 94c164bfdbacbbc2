"""Whose turn is it? Free capacity goes round the lanes by deficit round robin: each gets as many
calls per round as its weight says, and what is left of a turn is not lost."""

import msgspec

from stepwell.expr.dialect import EvaluationError, Program
from stepwell.server.flow.key import NO_KEY, Evaluate, Key

WEIGHT_MIN = 0.01
WEIGHT_MAX = 100.0


class Fairness(msgspec.Struct, frozen=True):
    """`weight` None is 1."""

    key: Key = NO_KEY
    weight: Program | None = None

    def weight_for(self, evaluate: Evaluate) -> str:
        """The weight as text; what is no positive number counts as 1."""
        if self.weight is None:
            return "1"
        try:
            value = evaluate(self.weight)
        except EvaluationError:
            return "1"
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            return "1"
        return f"{min(max(value, WEIGHT_MIN), WEIGHT_MAX):g}"
