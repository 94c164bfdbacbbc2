"""Middleware that hands what a function needs to its context."""

from typing import Any

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.middleware.declared import InngestMiddleware
from stepwell.sdk.step.context import Context

_OWN = frozenset(Context.__dataclass_fields__)


def dependency_injection_middleware(**dependencies: Any) -> InngestMiddleware:
    """Set these on every context: with `db=db` handlers have `ctx.db`.

    For checkers, annotate the handler's context with a subclass of `Context` that has the fields.
    Raises ConfigurationError for a name the context has already.
    """
    taken = sorted(_OWN & set(dependencies))
    if taken:
        raise ConfigurationError(
            f"dependency_injection_middleware: a context has a {taken[0]!r} of its own; choose"
            " another name"
        )
    hooks = {"transform_input": lambda: {"ctx": dependencies}}
    return InngestMiddleware(
        "Inngest: Dependency Injection", lambda: {"on_function_run": lambda: hooks}
    )
