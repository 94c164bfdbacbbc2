"""Calls what users wrote with the arguments they named: the only place that fits one to the other.

Hooks offer more than most of them want; each takes what it has a parameter for.
"""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from stepwell.sdk.errors import ConfigurationError

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


_KNOWN_MAX = 1024
_known: dict[tuple[object, ...], tuple[str, ...]] = {}


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
    names = tuple(offered)
    # By its code, not by itself: hooks are made anew for each call, and hold what they close over.
    key = _kind_of(function, names)
    wanted = _known.get(key) if key is not None else None
    if wanted is None:
        wanted = _wanted(function, names)
        if key is not None:
            if len(_known) >= _KNOWN_MAX:
                _known.clear()
            _known[key] = wanted
    return function(**{name: offered[name] for name in wanted})


def _kind_of(function: Callable[..., Any], offered: tuple[str, ...]) -> tuple[object, ...] | None:
    """What functions have in common that want the same; None for other callables."""
    if not isinstance(function, FunctionType) or function.__dict__:
        return None
    defaults, named = function.__defaults__ or (), function.__kwdefaults__ or {}
    return (function.__code__, len(defaults), tuple(named), offered)
