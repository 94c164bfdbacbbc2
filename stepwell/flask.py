"""Serve functions in a Flask application, and make durable endpoints of its views."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias, Unpack, cast
from wsgiref.types import WSGIEnvironment

import flask
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.local import LocalProxy
from werkzeug.wsgi import get_input_stream

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.function import Function
from stepwell.sdk.serve.durable import DurableEndpoint, EndpointOptions, told_response
from stepwell.sdk.serve.framework import Framework
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
from stepwell.sdk.serve.refused import Refusals
from stepwell.sdk.serve.request import SERVE_PATH_DEFAULT, route_name
from stepwell.sdk.serve.response import ServeResponse, StreamingResponseSync
from stepwell.sdk.serve.route import RUN_ERRORS, route_answer
from stepwell.sdk.serve.wsgi import request_from
from stepwell.sdk.settings import StreamingChoice
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.wire import header
from stepwell.wire.endpoint import HttpAnswer

FRAMEWORK = Framework.FLASK


def serve(
    app: flask.Flask | flask.Blueprint,
    client: Inngest,
    functions: Iterable[Function[Any] | None],
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
    streaming: StreamingChoice | None = None,
    trust_proxy: bool | None = None,
    **more: Unpack[MoreOptions],
) -> None:
    """Serve these functions at `/api/inngest`, or at `serve_path`, of a Flask app or blueprint.

    The arguments are those of `stepwell.asgi.serve`. The application's `MAX_CONTENT_LENGTH` does
    not apply, nor does Flask-WTF's protection if it was set up before; `async def` functions run
    on the process's background loop.
    """
    handler = ServeHandler(
        client,
        functions,
        framework=FRAMEWORK,
        enable_unauthed_sync=enable_unauthed_sync,
        public_path=public_path,
        serve_origin=serve_origin,
        serve_path=serve_path,
        streaming=streaming,
        trust_proxy=trust_proxy,
        **more,
    )

    def inngest_api() -> flask.Response:
        # The request behind the proxy, which outlasts this view.
        proxy = cast("LocalProxy[flask.Request]", flask.request)
        request = proxy._get_current_object()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        if "stream" not in request.__dict__:
            # The application's limit for bodies counts when its own stream is made, no later.
            request.__dict__["stream"] = get_input_stream(request.environ)
        # The body before anything parses it, and kept for middleware that wants it, too.
        try:
            body = request.get_data(cache=True)
        except ClientDisconnected:
            # Nobody is there to be told; the header says that no guard of the application spoke.
            return _Answer([], 400, Headers([(header.SDK_HANDLED, "true")]))
        response = handler.handle_sync(request_from(request.environ, body, request))
        return _answered(response)

    path = handler.serve_path or SERVE_PATH_DEFAULT
    if isinstance(app, flask.Flask):
        _prepare(app, client, inngest_api)
    else:
        app.record(lambda state: client.add_endpoint(f"{state.url_prefix or ''}{path}"))
        app.record(lambda state: _prepare(state.app, client, inngest_api))
    app.add_url_rule(
        path,
        endpoint=route_name(client.app_id, path),
        view_func=inngest_api,
        methods=["GET", "POST", "PUT"],
        strict_slashes=False,
    )


def _prepare(app: Any, client: Inngest, view: Callable[[], flask.Response]) -> None:
    """Flask-WTF, where it was set up before, wants no token of this view; what refuses its requests
    is told of."""
    csrf = app.extensions.get("csrf")
    if csrf is not None:
        csrf.exempt(view)
    refusals = Refusals(client)

    def look(answer: flask.Response) -> flask.Response:
        asked = flask.request
        refusals.note(asked.method, asked.path, answer.status_code, answer.headers)
        return answer

    app.after_request(look)


class _Answer(flask.Response):
    """A response whose headers go out as they are: nothing in them is to be completed."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """All of them."""
        return self.headers


def _answered(response: ServeResponse | StreamingResponseSync) -> flask.Response:
    headers = Headers(list(response.headers.items()))
    if isinstance(response, ServeResponse):
        headers["content-length"] = len(response.body)
        return _Answer([response.body], response.status, headers)
    return _Answer(response.chunks, response.status, headers)


def answer_run_errors(app: flask.Flask | flask.Blueprint) -> None:
    """Make answers of the errors of `client.invoke_sync` in views: 202 with the run's id if it
    takes longer than the timeout, 500 if it failed, 503 if the server cannot be reached."""

    def told(error: Exception) -> flask.Response:
        answer = route_answer(error)
        return flask.Response(answer.body, answer.status, dict(answer.headers))

    for kind in RUN_ERRORS:
        app.register_error_handler(kind, told)


Handler: TypeAlias = (
    Callable[[Context[Any], flask.Request], Awaitable[Any]]
    | Callable[[ContextSync[Any], flask.Request], Any]
)


def endpoint(
    client: Inngest, **options: Unpack[EndpointOptions]
) -> Callable[[Handler], Callable[..., flask.Response]]:
    """Make a durable endpoint of a handler `(ctx, request)`, to be a view: its steps are saved
    while the caller waits. What the URL captured is in `request.view_args`.

    The arguments are those of `stepwell.starlette.endpoint`. What it returns is a Response, or
    anything that JSON can hold.
    """

    def decorate(handler: Handler) -> Callable[..., flask.Response]:
        durable = DurableEndpoint(client, handler, FRAMEWORK, _read, options)

        def view(**_: object) -> flask.Response:
            proxy = cast("LocalProxy[flask.Request]", flask.request)
            request = proxy._get_current_object()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            body = request.get_data(cache=True)
            given = request_from(request.environ, body, request)
            query = request.query_string.decode("latin-1")
            if durable.is_streamed(given):
                told = durable.streamed_sync(given, query)
                # What belongs to the request is given back once the handler has ended, not before.
                chunks = flask.stream_with_context(told.chunks)
                return flask.Response(chunks, told.status, dict(told.headers))
            found = durable.answer_sync(given, query)
            return flask.Response(found.body, found.status, dict(found.headers))

        return durable.named(view)

    return decorate


def _read(value: Any) -> HttpAnswer | None:
    if isinstance(value, HTTPException):
        return HttpAnswer(value.code or 500, {}, value.description or "")
    if not isinstance(value, flask.Response):
        return None
    return told_response(value.status_code, dict(value.headers), value.get_data())
