"""Calls what users wrote with the arguments they named: the only place that fits one to the other.

Hooks offer more than most of them want; each takes what it has a parameter for.
Source: features A.6, B.4.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from stepwell.sdk.errors import ConfigurationError

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@lru_cache(maxsize=1024)
def _wanted(function: Callable[..., Any], offered: tuple[str, ...]) -> tuple[str, ...]:
    """Which of the offered arguments a function takes. Raises ConfigurationError if it wants more.

    A signature nobody can read takes none.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return offered
    for parameter in parameters:
        known = parameter.kind in _NAMED and parameter.name in offered
        required = parameter.default is inspect.Parameter.empty
        if required and not known and parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
            raise ConfigurationError(
                f"{getattr(function, '__qualname__', function)} has a parameter"
                f' "{parameter.name}" that nothing is passed for: it may take'
                f" {', '.join(offered) or 'none'}"
            )
    taken = {parameter.name for parameter in parameters if parameter.kind in _NAMED}
    return tuple(name for name in offered if name in taken)


def called(function: Callable[..., Any], **offered: Any) -> Any:
    """What a function returns for those of the offered arguments it takes, by name.

    Raises ConfigurationError if it requires another one.
    """
    try:
        names = _wanted(function, tuple(offered))
    except TypeError:  # it cannot be hashed
        names = _wanted.__wrapped__(function, tuple(offered))
    return function(**{name: offered[name] for name in names})
