"""What is registered as middleware: the only place for the shape of a factory."""

from collections.abc import Callable
from typing import Any, TypeAlias

MiddlewareFactory: TypeAlias = Callable[[Any, Any], Any]
"""A middleware class, or anything called with `(client, raw_request)` that returns an instance."""
