"""Where a project's client and functions are: the only reader of the setting STEPWELL.

    STEPWELL = {"CLIENT": "shop.inngest.client"}

Functions live in the module `inngest_functions` of each app.
"""

import sys
from collections.abc import Iterator
from typing import Any, cast
from weakref import WeakKeyDictionary

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import autodiscover_modules, import_string

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.wire.function_config import composite_id

MODULE = "inngest_functions"

_beyond: WeakKeyDictionary[Inngest, dict[str, Function[Any]]] = WeakKeyDictionary()


def import_functions() -> None:
    """Import `inngest_functions` of every app that has one. Raises what such a module raises."""
    autodiscover_modules(MODULE)


def get_client(path: str | None = None) -> Inngest:
    """The project's client: the one of that dotted path, or of STEPWELL["CLIENT"].

    Raises ImproperlyConfigured naming the setting and the fix.
    """
    said = path or getattr(settings, "STEPWELL", {}).get("CLIENT")
    if said is None:
        raise ImproperlyConfigured(
            'STEPWELL["CLIENT"] is missing: set it to where your client is, as in'
            ' STEPWELL = {"CLIENT": "shop.inngest.client"}'
        )
    try:
        found: object = import_string(said)
    except ImportError as error:
        raise ImproperlyConfigured(f'STEPWELL["CLIENT"] = {said!r}: {error}') from error
    if not isinstance(found, Inngest):
        raise ImproperlyConfigured(
            f'STEPWELL["CLIENT"] = {said!r} is a {type(found).__name__}: name a stepwell.Inngest'
        )
    return found


def add_function(client: Inngest, function: Function[Any]) -> None:
    """Count a function that lives elsewhere among the client's, in place of one of its id."""
    _beyond.setdefault(client, {})[function.id] = function


def functions_of(client: Inngest) -> list[Function[Any]]:
    """Every function of this client in the modules `inngest_functions`, and the one for tasks."""
    import_functions()
    found: dict[int, Function[Any]] = {}
    for app in apps.get_app_configs():
        module = sys.modules.get(f"{app.name}.{MODULE}")
        for function in _functions_in(vars(module).values()) if module else ():
            if function.id == composite_id(client.app_id, function.local_id):
                found[id(function)] = function
    _prepare_task_backends()
    return [*found.values(), *_beyond.get(client, {}).values()]


def _prepare_task_backends() -> None:
    """Backends of tasks announce their function when they are made, which may not be yet."""
    for alias, params in getattr(settings, "TASKS", {}).items():
        backend: Any = import_string(params["BACKEND"])
        if getattr(backend, "brings_functions", False):
            backend(alias, params)


def _functions_in(values: Any) -> Iterator[Function[Any]]:
    for value in list(values):
        if isinstance(value, Function):
            yield value
        elif isinstance(value, list | tuple):
            yield from _functions_in(cast("list[object]", value))
