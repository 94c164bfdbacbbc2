"""Between Django's requests and the serve handler: what was asked, and at which host."""

import asyncio
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import DisallowedHost, ImproperlyConfigured
from django.http import HttpRequest

from stepwell.sdk.serve.request import ServeRequest, read_query
from stepwell.sdk.serve.wsgi import WsgiHeaders


async def body_behind_asgi(request: HttpRequest) -> bytes:
    """The body, which lies in a file if it is large."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length) <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
        return request.read()
    return await asyncio.to_thread(request.read)


def wrapped_by(kind: type) -> str:
    """What to say of an endpoint inside of a view of some other framework."""
    return (
        f"the endpoint of stepwell.django.serve is inside of a view of {kind.__module__}, whose"
        " permissions and parsers are not for signed calls: put the URL pattern that serve() gives"
        " into urlpatterns as it is"
    )


def serve_request(request: Any, body: bytes) -> ServeRequest:
    """A request of Django's as the serve handler takes it.

    Raises ImproperlyConfigured if Django REST framework has wrapped the view.
    """
    if not isinstance(request, HttpRequest):
        raise ImproperlyConfigured(wrapped_by(request.__class__))
    # For middleware that wants it, too: `request.body` has a limit that is too small for calls.
    request._body = body  # noqa: SLF001
    path = quote(request.path)
    return ServeRequest(
        method=request.method or "",
        # Only a sync asks where the endpoint is, and Django takes its time to tell.
        url=f"{request.scheme}://{_host(request)}{path}" if request.method == "PUT" else path,
        headers=WsgiHeaders(request.META),
        query=read_query(request.META.get("QUERY_STRING", "")),
        body=body,
        raw=request,
    )


def _host(request: HttpRequest) -> str:
    try:
        return request.get_host()
    except DisallowedHost:
        # The project's hosts are for browsers; a server may know the app by another name.
        return str(request.META.get("HTTP_HOST", "localhost"))
