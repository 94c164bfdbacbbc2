"""The dashboard of an engine in this process, at a URL of a Django project, for its staff.

path("stepwell/", stepwell.django.dashboard.urls(engine))
"""

from collections.abc import Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import URLPattern, re_path

from stepwell.embedded import Engine, Viewer
from stepwell.sdk.background import run
from stepwell.sdk.serve.wsgi import body_of

_Message: TypeAlias = MutableMapping[str, Any]

NAME = "stepwell"
_STREAM = "api/v2/stream"
_POLLED = b"retry: 5000\nevent: ready\ndata: {}\n\n"
"""A stream that ends at once, is opened again after five seconds, and has everything asked for."""
_VIEWER = "stepwell.viewer"


def staff(request: HttpRequest) -> Viewer | None:
    """Who looks: users who are active and staff may look and operate, others may not.

    Raises ImproperlyConfigured where the project has no `AuthenticationMiddleware`.
    """
    user = getattr(request, "user", None)
    if user is None:
        raise ImproperlyConfigured(
            "the dashboard asks who looks: put django.contrib.auth.middleware"
            ".AuthenticationMiddleware into MIDDLEWARE"
        )
    return Viewer(user.get_username()) if user.is_active and user.is_staff else None


def urls(
    engine: Engine, who: Callable[[HttpRequest], Viewer | None] = staff
) -> tuple[list[URLPattern], str, str]:
    """What `path` takes to serve the dashboard below a place: `path("stepwell/", urls(engine))`.

    Whoever is not logged in is sent to `LOGIN_URL`; whom `who` does not know is refused with 403.
    No token is needed: what changes anything is refused if it comes from a page of another origin.
    The page asks for changes every five seconds: being told of them would hold a thread.

    Args:
        engine: The engine, running or not: `engine.start_in_background()` starts it, in `wsgi.py`
            or `asgi.py`, which only servers load.
        who: Who looks, by a request; None for who may not.
    """
    app = engine.dashboard(lambda scope: scope[_VIEWER])

    def page(request: HttpRequest, rest: str) -> HttpResponseBase:
        viewer = who(request)
        if viewer is None:
            return _refused(request)
        if rest == _STREAM:
            return HttpResponse(_POLLED, content_type="text/event-stream")
        body = body_of(request.META, request.read)
        return run(_answered(app, {**_scope(request, rest), _VIEWER: viewer}, body))

    marks: Any = page
    marks.csrf_exempt = True
    marks.login_required = False
    return [re_path(r"^(?P<rest>.*)$", page, name="dashboard")], NAME, NAME


def _refused(request: HttpRequest) -> HttpResponseBase:
    is_page = "text/html" in request.headers.get("accept", "")
    user = getattr(request, "user", None)
    if is_page and user is not None and not user.is_authenticated:
        back = urlencode({"next": request.get_full_path()}, safe="/")
        return HttpResponseRedirect(f"{resolve_url(settings.LOGIN_URL)}?{back}")
    told = "only staff of this project may look at the dashboard: log in as somebody who is"
    return JsonResponse({"errors": [{"code": "access_denied", "message": told}]}, status=403)


def _scope(request: HttpRequest, rest: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.path.encode(),
        "root_path": request.path.removesuffix(rest).rstrip("/"),
        "query_string": request.META.get("QUERY_STRING", "").encode("latin-1"),
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in request.headers.items()
        ],
        "client": (request.META.get("REMOTE_ADDR", ""), 0),
        "server": None,
    }


async def _answered(app: Any, scope: dict[str, Any], body: bytes) -> HttpResponse:
    """The whole answer of an ASGI app."""
    told: list[_Message] = []

    async def receive() -> _Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: _Message) -> None:
        told.append(message)

    await app(scope, receive, send)
    begin, *parts = told
    answer = HttpResponse(b"".join(part.get("body", b"") for part in parts), status=begin["status"])
    for name, value in begin["headers"]:
        answer.headers[name.decode("latin-1")] = value.decode("latin-1")
    return answer
