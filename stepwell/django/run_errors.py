"""Answers for views whose runs gave no result: the middleware of `client.invoke`."""

from collections.abc import Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from stepwell.sdk.serve.route import RUN_ERRORS, route_answer


class RunErrorsMiddleware:
    """Makes 202, 500 and 503 of the errors of `client.invoke`, in views of either colour.

    Name it in MIDDLEWARE: "stepwell.django.RunErrorsMiddleware".
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """Take the rest of the project."""
        self._get_response = get_response
        # Django marks what it hands over in asgiref's way, which Python 3.11 knows no other for.
        if iscoroutinefunction(get_response):  # pyright: ignore[reportDeprecated]
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Let the request through; behind ASGI this is a coroutine."""
        return cast(HttpResponseBase, self._get_response(request))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The answer to a view's error, if it is about a run."""
        if not isinstance(exception, RUN_ERRORS):
            return None
        told = route_answer(exception)
        return HttpResponse(told.body, status=told.status, headers=dict(told.headers))
