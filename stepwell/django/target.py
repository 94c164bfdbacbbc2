"""What `manage.py stepwell_dev` runs: the project's functions as an application by itself.

`application` is made when it is first asked for: it sets Django up.
"""

from functools import cache

import django

from stepwell.asgi import serve
from stepwell.django.connections import ConnectionsMiddleware
from stepwell.django.discovery import functions_of, get_client
from stepwell.sdk.serve.asgi import AsgiEndpoint


@cache
def make_application() -> AsgiEndpoint:
    """Serve every function of the project's client, without Django's own requests."""
    django.setup()
    client = get_client()
    client.add_middleware(ConnectionsMiddleware)
    return serve(client, functions_of(client))


def __getattr__(name: str) -> object:
    if name == "application":
        return make_application()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
