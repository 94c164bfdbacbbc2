"""Why an expression is refused, in words: where functions are declared, and where they register."""

from stepwell.expr.dialect import ExpressionError, compile_expression
from stepwell.expr.function import CONVERSIONS


def refusal(source: str, *, plain: bool) -> str | None:
    """What is wrong with an expression; None if nothing is. `plain` ones call nothing."""
    try:
        program = compile_expression(source)
    except ExpressionError as error:
        return f"is no expression: {error}"
    if plain and not program.is_plain:
        called = ", ".join(sorted(program.calls - CONVERSIONS))
        return (
            f"uses {called}: compare, compute and convert only, such as"
            " async.data.id == event.data.id"
        )
    return None
