"""Expressions of options, judged where they are declared if the language is installed.

It comes with the server. Without it the server judges, when the app registers.
"""

from collections.abc import Iterator
from importlib.util import find_spec

from stepwell.wire.function_config import FunctionConfig, expressions


def expression_problems(config: FunctionConfig) -> Iterator[tuple[str, str]]:
    """What is wrong with expressions of a function: the field of each, and its value and fault."""
    given = [(field, source) for field, source in expressions(config) if source]
    if not given or find_spec("cel_expr_python") is None:
        return
    from stepwell.expr.refusal import refusal  # noqa: PLC0415 - it needs the library

    for field, source in given:
        why = refusal(source, plain=field.startswith("cancel["))
        if why is not None:
            yield field, f"{source!r} {why}"
