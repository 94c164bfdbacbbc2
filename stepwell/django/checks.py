"""What `manage.py check` says of a project: the only place of its warnings."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_resolver
from django.utils.module_loading import import_string

from stepwell.django.discovery import get_client
from stepwell.django.request import wrapped_by
from stepwell.django.serving import serve


def check_client(**_: Any) -> list[checks.CheckMessage]:
    """Whether the settings name a client; a project that only serves one by hand names none."""
    if not getattr(settings, "STEPWELL", None):
        return []
    try:
        get_client()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="stepwell.E001")]
    return []


def check_middleware(**_: Any) -> list[checks.CheckMessage]:
    """Whether, behind ASGI, middleware that only knows blocking code holds a thread per call."""
    if not getattr(settings, "ASGI_APPLICATION", None):
        return []
    blocking = [path for path in settings.MIDDLEWARE if not _is_async(path)]
    if not blocking:
        return []
    return [
        checks.Warning(
            f"MIDDLEWARE has {', '.join(blocking)}, which cannot be asynchronous: behind ASGI each"
            " call of a function passes through a thread, and at most so many wait at once.",
            hint="Set async_capable = True on it if it can, or run functions in stepwell_worker.",
            id="stepwell.W001",
        )
    ]


def check_routes(**_: Any) -> list[checks.CheckMessage]:
    """Whether an endpoint stands inside of a view of Django REST framework."""
    return [
        checks.Error(wrapped_by(callback.cls.__mro__[1]), id="stepwell.E002")
        for callback in _callbacks(get_resolver().url_patterns)
        if getattr(getattr(callback, "cls", None), "__module__", None) == serve.__module__
    ]


def _callbacks(patterns: Iterable[Any]) -> Iterator[Any]:
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _callbacks(pattern.url_patterns)
        else:
            yield pattern.callback


def _is_async(path: str) -> bool:
    return bool(getattr(import_string(path), "async_capable", False))
