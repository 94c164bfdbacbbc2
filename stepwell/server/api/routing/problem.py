"""How the API answers: data in an envelope, problems with their real status, kind on all."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stepwell.server.ledger import EngineFault, LedgerClosed
from stepwell.server.store.port import StoreError, Unstorable
from stepwell.wire import header
from stepwell.wire.duration import format_instant

JSON_TYPE = "application/json"
BODY_BYTES_MAX = 64 * 1024 * 1024


class Problem(Exception):
    """What a request got wrong, or what went wrong with it. `code` is for programs, and `data` is
    what there is to tell them besides."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str = "",
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """The HTTP status and what to tell."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.data = data
        self.headers = headers


class AnswerMetadata(msgspec.Struct, omit_defaults=True):
    """When it was so, and what leads to the next page, where there is one."""

    fetched_at: str | msgspec.UnsetType = msgspec.UNSET
    cursor: str | msgspec.UnsetType = msgspec.UNSET


class RunOf(msgspec.Struct):
    """The run it is about."""

    run_id: str


class ProblemTold(msgspec.Struct, omit_defaults=True):
    """What was wrong: a sentence for people, and where there is one, a word for programs."""

    error: str
    status: int
    data: None = None
    code: str = ""


def problem_response(problem: Problem) -> Response:
    """A problem as the public error shape."""
    told = {"error": problem.message, "data": None, "status": problem.status}
    if problem.code:
        told = {"code": problem.code, **told}
    return as_json(told, problem.status, problem.headers)


def raw_json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is encoded already."""
    return Response(body, status, headers, JSON_TYPE)


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON."""
    return raw_json(msgspec.json.encode(value), status, headers)


def enveloped(
    data: object, now_ms: int, *, cursor: str | None = None, **beside: object
) -> Response:
    """The v1 success shape; `cursor` leads to the next page, where there is one. What stands
    beside the data is ours."""
    metadata = AnswerMetadata(format_instant(now_ms), msgspec.UNSET if cursor is None else cursor)
    return as_json({"data": data, "metadata": metadata, **beside})


async def body_of(request: Request, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """The request's body. Raises `Problem` where it is too large, or its sender left."""
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > bytes_max:
                raise Problem(413, f"the request body is over {bytes_max} bytes: send less")
            chunks.append(chunk)
    except ClientDisconnect:
        raise Problem(400, "the connection ended before the request body did") from None
    return b"".join(chunks)


def as_problem(error: Exception) -> Problem:
    """What to answer when an endpoint raised."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, LedgerClosed):
        return Problem(503, str(error))
    if isinstance(error, Unstorable):
        return Problem(400, f"the request cannot be stored: {error}; send less, or smaller numbers")
    if isinstance(error, StoreError):
        return Problem(503, f"the database refused: {error}; try again")
    if isinstance(error, EngineFault):
        return Problem(500, "the server has a fault and changed nothing; its log has the details")
    raise error


Endpoint = Callable[[Request], Awaitable[Response]]


def told(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose problems are answered, not raised."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (Problem, LedgerClosed, StoreError, EngineFault) as error:
            return problem_response(as_problem(error))

    return answered


class KindHeader:
    """Puts `X-Inngest-Server-Kind` on every answer."""

    def __init__(self, app: ASGIApp, kind: str) -> None:
        """The app to answer for, and what the server is."""
        self._app = app
        self._header = (header.SERVER_KIND.encode(), kind.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; other kinds of scope pass untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), self._header]
            await send(message)

        await self._app(scope, receive, marked)
