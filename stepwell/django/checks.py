"""What `manage.py check` says of a project: the only place of its warnings.

Source: features E.3.
"""

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from stepwell.django.discovery import get_client


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


def _is_async(path: str) -> bool:
    return bool(getattr(import_string(path), "async_capable", False))
