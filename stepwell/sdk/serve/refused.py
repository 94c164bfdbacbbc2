"""Requests for an endpoint that the application answered itself: a guard of its own came first.

Whoever serves functions is told once, because the server is a stranger to such a guard and hears
nothing else of it.
"""

from typing import Any

from stepwell.sdk.client.client import Inngest
from stepwell.wire import header

_METHODS = frozenset({"POST", "PUT"})
_STATUSES = frozenset({301, 302, 303, 307, 308, 400, 401, 403, 429})


class Refusals:
    """Looks at the answers of one application."""

    def __init__(self, client: Inngest) -> None:
        """The client whose endpoints are looked for, and into whose log it is said."""
        self._client = client
        self._told = False

    def note(self, method: str, path: str, status: int, headers: Any) -> None:
        """An answer goes out. `headers` is asked for lower-case names."""
        if self._told or status not in _STATUSES or method not in _METHODS:
            return
        ours = header.SDK in headers or header.SDK_HANDLED in headers
        if ours or not self._client.is_endpoint(path):
            return
        self._told = True
        self._client.log.warning(
            "%s %s was answered with %d by the application, before it reached the functions: let"
            " whatever guards it pass where client.is_endpoint(path) is true; the endpoint checks"
            " signatures itself",
            method,
            path,
            status,
        )
